"""A finished run becomes a result, in one step, and says how to repeat it."""

import hashlib
import json
import os
import shlex
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from support.files import files
from support.results import analysis, instead_of_measuring, move_to
from support.runs import EPOCHS, RECIPE, environment, journal, make_run, recipe_config, scores, write_run
from support.small_text import small_config
from tiedlm.cli import train
from tiedlm.config import from_json, to_json
from tiedlm.errors import ConfigError, RunError
from tiedlm.evaluation import FREQUENT_WORDS, TARGET
from tiedlm.evaluation.next_words import next_words
from tiedlm.files import replace_dir
from tiedlm.paper import publish as module
from tiedlm.paper import results as results_module
from tiedlm.paper.publish import check_result, measure, publish, repeat_commands
from tiedlm.paper.published import PREDICTIONS
from tiedlm.paper.results import NEAR, read_result
from tiedlm.runs.config import RuntimeConfig
from tiedlm.runs.folder import RunFolder, Session
from tiedlm.runs.load import load_run
from tiedlm.training import loop

NAMES = ["analysis.json", "config.json", "environment.json", "metrics.jsonl", "provenance.json", "scores.json"]


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Path | None]]:
    """The runs that are measured, each with the folder of its corpus."""
    return instead_of_measuring(monkeypatch)


@pytest.fixture
def pair(tmp_path: Path, measured: Any) -> tuple[RunFolder, RunFolder]:
    """A run, and one that started from its weights."""
    first = make_run(tmp_path / "first", weights=b"1", scored=scores(95.0, 90.0))
    return first, make_run(tmp_path / "second", weights=b"2", parent=first)


def test_a_finished_run_is_published_under_its_recipe_and_seed(tmp_path: Path, measured: Any) -> None:
    run = make_run(tmp_path / "run", config=to_json(recipe_config(seed=3)))
    target = publish(run.path, tmp_path / "results", data_dir=tmp_path / "data")
    assert target == tmp_path / "results" / RECIPE / "seed-3"
    assert sorted(files(tmp_path / "results")) == [f"{RECIPE}/seed-3/{name}" for name in NAMES]
    assert measured == [("run", tmp_path / "data")]
    result = read_result(target)
    assert result.config == recipe_config(seed=3)
    assert result.scores["test"].perplexity == pytest.approx(85.1)
    assert result.weights_sha256 == hashlib.sha256(b"weights").hexdigest()
    provenance = json.loads((target / "provenance.json").read_bytes())
    assert provenance["training_seconds"] == 2.0 * EPOCHS
    events = [json.loads(line)["event"] for line in (target / "metrics.jsonl").read_bytes().splitlines()]
    assert events == ["start", "resume", *["epoch"] * EPOCHS, "end"]


def test_where_a_training_was_resumed_is_published_and_no_path_of_the_machine(tmp_path: Path, pair: Any) -> None:
    moves = [move_to("elsewhere", 5, precision="bfloat16")]
    pair[1].save(sessions=(*pair[1].record.sessions, *(from_json(Session, move) for move in moves)))
    target = publish(pair[1].path, tmp_path / "results")
    assert json.loads((target / "environment.json").read_bytes())["moves"] == moves
    assert json.loads((target / "provenance.json").read_bytes())["commands"][-1].endswith("# in epoch 5")
    for name, content in files(target).items():
        assert str(tmp_path).encode() not in content, name
        assert b"/somebody" not in content, name


def test_a_second_training_brings_the_first_along_published_or_not(tmp_path: Path, pair: Any, measured: Any) -> None:
    first, second = pair
    alone = files(publish(first.path, tmp_path / "alone"))
    assert files(publish(second.path, tmp_path / "results") / "first-training") == alone
    first.path.rename(tmp_path / "elsewhere")  # what is published needs no run folder, and is not measured again
    del measured[:]
    target = publish(second.path, tmp_path / "alone")
    assert [name for name, _ in measured] == ["second"]
    assert files(target / "first-training") == alone
    assert files(target) == files(tmp_path / "results" / RECIPE / "seed-0")
    result = read_result(target)
    check_result(result)
    assert [each.trainings for each in result.trainings_in_order()] == [1, 2]


def test_publishing_again_changes_nothing_and_measures_nothing(tmp_path: Path, pair: Any, measured: Any) -> None:
    target = publish(pair[1].path, tmp_path / "results")
    before = {path: path.stat().st_mtime_ns for path in target.rglob("*")}
    del measured[:]
    for run in pair:  # the first training is part of what is there
        assert publish(run.path, tmp_path / "results") == target
    assert {path: path.stat().st_mtime_ns for path in target.rglob("*")} == before
    assert measured == []


def test_another_result_is_replaced_only_on_demand(tmp_path: Path, pair: Any) -> None:
    old = publish(make_run(tmp_path / "old").path, tmp_path / "results")
    before = files(old)
    for run in pair:
        with pytest.raises(RunError, match=r"seed-0 holds the result of another run already\. .*--replace"):
            publish(run.path, tmp_path / "results")
    assert files(old) == before
    assert read_result(publish(pair[1].path, tmp_path / "results", replace=True)).trainings == 2
    target = publish(pair[0].path, tmp_path / "results", replace=True)
    assert sorted(files(target)) == NAMES
    assert [path.name for path in target.parent.iterdir()] == ["seed-0"]


def test_a_damaged_result_is_named_and_made_again_on_demand(tmp_path: Path, measured: Any) -> None:
    run = make_run(tmp_path / "run")
    target = publish(run.path, tmp_path / "results")
    before = files(target)
    (target / "analysis.json").write_text((target / "analysis.json").read_text().replace("0.3", "0.4"))
    with pytest.raises(RunError, match=r"analysis\.json is damaged or was edited"):
        publish(run.path, tmp_path / "results")
    assert publish(run.path, tmp_path / "results", replace=True) == target
    assert files(target) == before
    assert len(measured) == 2


def test_the_first_training_must_be_where_it_was_with_the_weights_of_then(tmp_path: Path, pair: Any) -> None:
    first, second = pair
    first.save(weights=b"other")
    with pytest.raises(RunError, match=r"started from the weights of another run.*first has other weights now"):
        publish(second.path, tmp_path / "results")
    first.path.rename(tmp_path / "elsewhere")
    with pytest.raises(RunError, match=r"started from the weights of another run.*There is no run folder .*first"):
        publish(second.path, tmp_path / "results")
    assert not (tmp_path / "results").exists()


def test_runs_that_are_unfinished_changed_foreign_or_contradict_themselves_are_refused(
    tmp_path: Path, measured: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = recipe_config()
    changed = to_json(replace(whole, training=replace(whole.training, epochs=2)))
    with pytest.raises(RunError, match=r"is not finished: .* Resume it: `tiedlm train --resume .*unfinished`"):
        publish(write_run(tmp_path / "unfinished", whole).path, tmp_path / "results")
    with pytest.raises(ConfigError, match=rf"not one of the recipe '{RECIPE}': training.epochs is 2"):
        publish(make_run(tmp_path / "changed", config=changed, records=journal(2)).path, tmp_path / "results")
    with pytest.raises(RunError, match=rf"metrics\.jsonl must have each of {EPOCHS} epochs"):
        publish(make_run(tmp_path / "short", records=journal(EPOCHS - 1)).path, tmp_path / "results")
    monkeypatch.setattr(module, "measure", lambda *_: analysis(scores(test=99.0)))
    with pytest.raises(RunError, match=r"analysis\.json is of .*, but the scores are"):
        publish(make_run(tmp_path / "other-text").path, tmp_path / "results")
    assert not (tmp_path / "results").exists()


def test_an_environment_without_a_field_is_refused(tmp_path: Path, measured: Any) -> None:
    fields = environment()
    corpus = fields.pop("corpus")
    del fields["commit"], fields["parent"]
    other = write_run(
        tmp_path / "other", recipe_config(), environment=fields, corpus=corpus, weights=b"weights", scores=scores()
    )
    with pytest.raises(RunError, match="other has no field 'commit', which a result needs"):
        publish(other.path, tmp_path / "results")


def test_a_full_disk_leaves_the_old_result(tmp_path: Path, pair: Any) -> None:
    target = publish(pair[0].path, tmp_path / "results")
    before = files(target)
    full = mock.patch("tiedlm.files.write_bytes", side_effect=OSError(28, "No space left on device"))
    with full, pytest.raises(RunError, match="could not be saved: No space left"):
        publish(pair[1].path, tmp_path / "results")
    assert files(tmp_path / "results") == {f"{RECIPE}/seed-0/{name}": content for name, content in before.items()}


KILLED = """
import sys
from pathlib import Path
from tiedlm.files import replace_dir
number = 0
while True:
    number += 1
    replace_dir(Path(sys.argv[1]), {name: b"%d" % number for name in ("a", "b", "first/c")})
"""


def test_a_folder_is_replaced_in_one_step_that_no_kill_cuts_in_two(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    replace_dir(target, {name: b"0" for name in ("a", "b", "first/c")})
    for _ in range(8):
        process = subprocess.Popen([sys.executable, "-c", KILLED, str(target)])
        start = files(target)
        while files(target) in (start, {}):  # until it is at it
            assert process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
        contents = files(target)
        assert sorted(contents) == ["a", "b", "first/c"]
        assert len(set(contents.values())) == 1
    replace_dir(target, {"a": b"last"})
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
    assert files(target) == {"a": b"last"}


def test_without_an_exchange_the_old_folder_is_moved_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tiedlm.files._exchange", lambda one, other: False)
    for content in (b"1", b"2"):
        replace_dir(tmp_path / "folder", {"a": content})
    assert files(tmp_path) == {"folder/a": b"2"}


def commands(seed: int = 3, before: list[str] | None = None, moves: Any = (), **runtime: Any) -> list[str]:
    whole = recipe_config(seed=seed, threads=None)
    config = replace(whole, runtime=replace(whole.runtime, **runtime))
    return repeat_commands(config, environment(threads=4) | {"moves": list(moves)}, before or [])


def test_commands_repeat_a_training_with_its_threads_and_runtime() -> None:
    own = "tiedlm train ptb-small-re --seed 3"
    assert commands() == [f"{own} --runtime.threads 4 --run-dir runs/ptb-small-re-seed-3"]
    assert commands(precision="bfloat16", save_seconds=9.0) == [
        f"{own} --runtime.precision bfloat16 --runtime.save-seconds 9.0 --runtime.threads 4 --run-dir "
        "runs/ptb-small-re-seed-3"
    ]
    assert commands(device="cuda") == [f"{own} --runtime.device cuda --run-dir runs/ptb-small-re-seed-3"]


def test_a_command_for_each_training_and_each_change_of_runtime() -> None:
    first = commands()
    assert commands(before=first) == [
        *first,
        "tiedlm train ptb-small-re --seed 3 --runtime.threads 4 --run-dir runs/ptb-small-re-seed-3-training-2 "
        "--from runs/ptb-small-re-seed-3",
    ]
    moves = [move_to("same", 4, threads=4), move_to("other", 9, precision="bfloat16", threads=2)]
    assert commands(moves=moves)[1:] == [
        "tiedlm train --resume runs/ptb-small-re-seed-3 --runtime.precision bfloat16 --runtime.threads 2  # in epoch 9"
    ]


def test_what_a_training_leaves_is_measured_and_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIEDLM_CACHE_DIR", str(tmp_path / "cache"))
    config = small_config(tmp_path).with_epochs(1)
    for owner in (module, results_module):
        monkeypatch.setattr(owner, "recipe", lambda name: replace(config, seed=0))
    first = loop.train(config, tmp_path / "first")
    second = loop.train(config, tmp_path / "second", start_from=first.path)
    result = read_result(publish(second.path, tmp_path / "results"))
    assert result.weights_sha256 == hashlib.sha256(second.read("weights")).hexdigest()
    for each, run in zip(result.trainings_in_order(), (first, second), strict=True):
        assert each.scores["test"].nll_nats == run.scores()["test"]["nll_nats"]
        assert each.analysis.score.nll_nats == pytest.approx(each.scores["test"].nll_nats)
    blocks = result.analysis.blocks
    names = {*FREQUENT_WORDS, *(f"{word}, everywhere" for word in FREQUENT_WORDS), NEAR, TARGET}
    assert {"the", "the, everywhere", NEAR, TARGET} <= blocks.keys() <= names
    words = result.scores["test"].words
    assert sum(blocks["the, everywhere"].counts) == sum(blocks[NEAR].counts) == words
    assert 0 < sum(blocks["the"].counts) < words
    assert [each.context for each in result.analysis.next_words] == [known.phrase for known in PREDICTIONS]
    run, phrase = load_run(second.path), PREDICTIONS[0].phrase
    expected = next_words(run.model, run.vocabulary, phrase.split(), 10)
    assert result.analysis.next_words_after(phrase) == tuple((word, round(p, 7)) for word, p in expected)
    assert measure(second.path)["next_words"][0]["unknown"]
    assert os.listdir(tmp_path / "results" / config.recipe) == [f"seed-{config.seed}"]


def test_the_command_line_trains_what_the_commands_say(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []
    monkeypatch.setattr(loop, "train", lambda config, run, *, start_from, **_: calls.append((config, run, start_from)))
    monkeypatch.setattr(train, "run_config", lambda run: recipe_config(name="demo-real"))
    for line in commands(before=commands(precision="bfloat16")):
        assert not train.train(shlex.split(line)[2:])
    first, second = calls
    assert first[0] == replace(recipe_config(3, threads=4), runtime=RuntimeConfig(threads=4, precision="bfloat16"))
    assert second[0] == recipe_config(3, threads=4)
    assert (second[2], first[2]) == (first[1], None)
