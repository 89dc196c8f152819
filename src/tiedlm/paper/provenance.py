"""Where a published result comes from, and the commands that repeat it."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from tiedlm.paper.differences import differences
from tiedlm.paper.layout import ANALYSIS, FORMAT, VERSION, WITHOUT_ANALYSIS, checksum


def provenance(
    *,
    config: dict[str, Any],
    environment: dict[str, Any],
    metrics: list[dict[str, Any]],
    weights_sha256: str,
    files: Mapping[str, bytes],
    first: dict[str, Any] | None,
) -> dict[str, Any]:
    """Return the content of `provenance.json`.

    Args:
        config, environment: of the run.
        metrics: its records, one for each epoch among them.
        weights_sha256: of its weights.
        files: name → content of what it answers for; without an analysis, the result is of the version that has none.
        first: the provenance of the training whose weights it started from.
    """
    corpus = environment["corpus"]
    body = {
        "format": FORMAT,
        "version": VERSION if ANALYSIS in files else WITHOUT_ANALYSIS,
        "trainings": 1 if first is None else first["trainings"] + 1,
        "weights_sha256": weights_sha256,
        "texts_sha256": {split: entry["text_sha256"] for split, entry in corpus["splits"].items()},
        "vocabulary_sha256": corpus["vocabulary"]["sha256"],
        "commit": environment["commit"],
        "device": environment["device"],
        "processor": environment["processor"],
        "training_seconds": sum(record["seconds"] for record in metrics if record["event"] == "epoch"),
        "commands": commands(config, environment, [] if first is None else first["commands"]),
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
    }
    return body | {"checksum": checksum(body)}


def commands(config: dict[str, Any], environment: dict[str, Any], before: list[str]) -> list[str]:
    """Return the command lines that repeat a training, one for each training from random weights on.

    They say every field of the runtime that is not the recipe's, and on the CPU the number of threads in any case: with
    the same one, and the same versions, the result repeats to the bit. A training that went on with another runtime has
    a command more for every change of it, whose comment says in which epoch to end the one before.

    Args:
        config, environment: of the run.
        before: the commands of the training whose weights it started from.
    """
    runtime = _repeated(config["runtime"], environment)
    changed = {name: own for name, (own, _) in differences(config).items() if name.startswith("runtime.")}
    if runtime["device"] == "cpu":
        changed["runtime.threads"] = runtime["threads"]
    words = ["tiedlm", "train", config["recipe"], "--seed", str(config["seed"]), *_options(changed)]
    made = [words for words in map(shlex.split, before) if "--run-dir" in words]
    run_dir = _run_dir(config, len(made) + 1)
    words += ["--run-dir", run_dir]
    if made:
        words += ["--from", made[-1][made[-1].index("--run-dir") + 1]]
    return [*before, shlex.join(words), *_moved(run_dir, runtime, environment.get("moves", []))]


def _moved(run_dir: str, runtime: dict[str, Any], moves: list[dict[str, Any]]) -> Iterator[str]:
    for move in moves:
        here = _repeated(move["runtime"], move["environment"])
        changed = {f"runtime.{name}": value for name, value in here.items() if value != runtime[name]}
        if changed:  # another machine or other code alone have no option
            words = ["tiedlm", "train", "--resume", run_dir, *_options(changed)]
            yield f"{shlex.join(words)}  # in epoch {move['epoch']}"
        runtime = here


def _repeated(runtime: dict[str, Any], environment: Mapping[str, Any]) -> dict[str, Any]:
    """Return the runtime with the number of threads that it had, where sums depend on it."""
    return runtime | ({"threads": environment["threads"]} if runtime["device"] == "cpu" else {})


def _options(fields: Mapping[str, Any]) -> list[str]:
    return [word for name, value in sorted(fields.items()) for word in (f"--{name.replace('_', '-')}", str(value))]


def _run_dir(config: dict[str, Any], training: int) -> str:
    return f"runs/{config['recipe']}-seed-{config['seed']}" + (f"-training-{training}" if training > 1 else "")
