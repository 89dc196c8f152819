"""What a result says of where it comes from; above all, that its commands are the ones that repeat it."""

from __future__ import annotations

import hashlib
import shlex
from dataclasses import replace

import pytest

from support.finished_run import RECIPE, environment, journal, recipe_config
from support.published_results import move_to
from tiedlm.cli import train
from tiedlm.config import to_json
from tiedlm.data.sources import PTB
from tiedlm.paper.layout import checksum
from tiedlm.paper.provenance import commands, provenance
from tiedlm.training import loop


@pytest.fixture
def asked(monkeypatch):
    """What a command line of `tiedlm train` asks for: (config, run folder, run to start from)."""

    def understand(line: str):
        calls = []

        def keep(config, run_dir, *, start_from, **_):
            calls.append((config, run_dir, start_from))

        monkeypatch.setattr(loop, "train", keep)
        monkeypatch.setattr(train, "run_config", lambda run: recipe_config(name="demo-real"))
        program, command, *words = shlex.split(line)
        assert (program, command) == ("tiedlm", "train")
        assert train.train(words) == 0
        return calls[0]

    return understand


@pytest.mark.parametrize(
    "config",
    [
        recipe_config(),
        recipe_config(seed=4, threads=2),
        replace(recipe_config(), runtime=replace(recipe_config().runtime, precision="bfloat16", save_seconds=60.0)),
        recipe_config(name="demo-real"),
    ],
)
def test_the_command_asks_for_the_config(asked, config):
    [line] = commands(to_json(config), environment(threads=config.runtime.threads), [])
    assert asked(line)[0] == config


def test_threads_are_told_even_where_the_config_leaves_them_open(asked):
    config = recipe_config(threads=None)
    [line] = commands(to_json(config), environment(threads=6), [])
    assert asked(line)[0] == replace(config, runtime=replace(config.runtime, threads=6))


def test_an_accelerator_has_no_threads_to_tell(asked):
    config = recipe_config(threads=None)
    config = replace(config, runtime=replace(config.runtime, device="cuda"))
    [line] = commands(to_json(config), environment(threads=6), [])
    assert asked(line)[0] == config


def test_each_training_starts_from_the_one_before(asked):
    lines: list[str] = []
    for seed in (0, 0, 1):
        lines = commands(to_json(recipe_config(seed)), environment(), lines)
    runs, starts = zip(*[tuple(map(str, asked(line)[1:])) for line in lines], strict=True)
    assert starts == ("None", *runs[:-1])
    assert runs == (f"runs/{RECIPE}-seed-0", f"runs/{RECIPE}-seed-0-training-2", f"runs/{RECIPE}-seed-1-training-3")


def test_a_training_that_went_on_elsewhere_has_a_command_for_each_place(asked, monkeypatch):
    config = recipe_config(threads=None)
    config = replace(config, runtime=replace(config.runtime, device="cuda", precision="bfloat16"))
    moves = [move_to("there", 23, threads=2), move_to("there", 31, threads=2, precision="bfloat16")]
    lines = commands(to_json(config), environment() | {"moves": moves}, [])
    lines = commands(to_json(config), environment(), lines)
    run = f"runs/{RECIPE}-seed-0"
    to_cpu = "--runtime.device cpu --runtime.precision float32 --runtime.threads 2"
    assert lines[1:3] == [
        f"tiedlm train --resume {run} {to_cpu}  # in epoch 23",
        f"tiedlm train --resume {run} --runtime.precision bfloat16  # in epoch 31",
    ]
    assert asked(lines[0])[0] == config
    assert tuple(map(str, asked(lines[3])[1:])) == (f"{run}-training-2", run)


def test_another_machine_alone_asks_for_no_command(asked):
    config = recipe_config(threads=2)
    moves = [move_to("there", 23, threads=2), move_to("elsewhere", 31, threads=2)]
    assert len(commands(to_json(config), environment(threads=2) | {"moves": moves}, [])) == 1


def test_everything_is_accounted_for():
    told = provenance(
        config=to_json(recipe_config()),
        environment=environment(),
        metrics=journal(),
        weights_sha256="aa",
        files={"config.json": b"c", "scores.json": b"s"},
        first=None,
    )
    assert told["files"] == {
        name: hashlib.sha256(name[:1].encode()).hexdigest() for name in ("config.json", "scores.json")
    }
    assert told["texts_sha256"] == {split: file.sha256 for split, file in PTB.files.items()}
    assert (told["weights_sha256"], told["commit"], told["device"], told["trainings"]) == ("aa", "c0ffee", "cpu", 1)
    assert told["checksum"] == checksum(told)
