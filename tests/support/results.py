"""Invented results as `tiedlm publish` and `tiedlm reproduce figure1` write them: nothing is trained or measured."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from support.runs import environment as machine
from support.runs import score
from tiedlm.config import to_json
from tiedlm.data.sources import HALVES
from tiedlm.evaluation import FREQUENT_WORDS, TARGET
from tiedlm.files import json_bytes
from tiedlm.paper import publish
from tiedlm.paper.figure1 import GRID, TRAINING, Setting, TheoryConfig, record_path, write_provenance, write_record
from tiedlm.paper.publish import repeat_commands
from tiedlm.paper.published import PREDICTIONS
from tiedlm.paper.results import (
    ANALYSIS_FORMAT,
    FILES,
    FIRST_TRAINING,
    FORMAT,
    NEAR,
    PROVENANCE,
    SPLITS,
    VERSION,
    checksum,
)
from tiedlm.recipes import recipe
from tiedlm.runs.config import RunConfig, RuntimeConfig
from tiedlm.runs.folder import RunFolder

PROTOCOL = "every word once"
SECONDS = 90.0
"""Seconds of every epoch."""
BLOCKS = 20
CHANCES = {"<unk>": 0.05, "a": 0.02, "an": 0.004, "the": 0.06, NEAR: 0.04, TARGET: 0.2}
"""Mean probability of each measure."""
NEXT = [["the", 0.3], ["$", 0.2], ["<unk>", 0.05], ["federal", 0.01]]


def add_result(
    results: Path,
    name: str,
    seed: int,
    *tests: float,
    protocol: str = PROTOCOL,
    seconds: float = SECONDS,
    processor: str = "a processor",
    config: RunConfig | None = None,
    chances: Mapping[str, float] = CHANCES,
    moves: Sequence[dict[str, Any]] = (),
) -> Path:
    """Write the result of one seed and return its folder.

    `tests` are the test perplexities after each training; valid is 5 above. `moves` are where the last was resumed.
    """
    whole = replace(config or recipe(name), seed=seed)
    contents: dict[str, bytes] = {}
    for number, test in enumerate(tests):
        weights = hashlib.sha256(f"{name} {seed} {number}".encode()).hexdigest()
        first = json.loads(contents[PROVENANCE]) if contents else None
        values = {"valid": test + 5, "test": test}
        scores: dict[str, Any] = {split: score(split, value, whole.corpus.name) for split, value in values.items()}
        scores["protocol"] = protocol
        origin = first and {"recipe": whole.recipe, "seed": seed, "weights_sha256": first["weights_sha256"]}
        environment = machine(origin, whole.runtime.threads or 1, whole.corpus.name)
        environment |= {"processor": processor, "device": whole.runtime.device}
        environment |= {"moves": list(moves)} if moves and number == len(tests) - 1 else {}
        files = {
            "config.json": json_bytes(to_json(whole)),
            "environment.json": json_bytes(environment),
            "metrics.jsonl": b"".join(json.dumps(record).encode() + b"\n" for record in _epochs(whole, test, seconds)),
            "scores.json": json_bytes(scores),
            "analysis.json": json_bytes(analysis(scores, chances) | _own_words(whole, scores)),
            **{f"{FIRST_TRAINING}/{path}": content for path, content in contents.items()},
        }
        listed = [*FILES, *([f"{FIRST_TRAINING}/{PROVENANCE}"] if first else [])]
        body = {
            "format": FORMAT,
            "version": VERSION,
            "trainings": number + 1,
            "weights_sha256": weights,
            "texts_sha256": {s: e["text_sha256"] for s, e in environment["corpus"]["splits"].items()},
            "commands": repeat_commands(whole, environment, first["commands"] if first else []),
            "files": {path: hashlib.sha256(files[path]).hexdigest() for path in listed},
        }
        contents = {**files, PROVENANCE: json_bytes(body | {"checksum": checksum(body)})}
    folder = results / name / f"seed-{seed}"
    for path, content in contents.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder


def add_group(results: Path, group: str, tests: dict[str, list[tuple[float, ...]]], **changes: Any) -> None:
    """Write the results of several models: model → for each seed from 0 on, its test perplexities."""
    for model, seeds in tests.items():
        for seed, values in enumerate(seeds):
            add_result(results, f"{group}-{model}", seed, *values, **changes)


def move_to(machine: str, epoch: int, **runtime: Any) -> dict[str, Any]:
    """Return a move to another processor in an epoch."""
    own = to_json(RuntimeConfig(**runtime))
    environment = {"processor": machine, "device": own["device"], "threads": own["threads"] or 1, "commit": "c0ffee"}
    return {"epoch": epoch, "window": 5, "runtime": own, "environment": environment}


def reseal(folder: Path, **changes: Any) -> None:
    """Change fields of a provenance, and make every sha256 in it anew: the work of a careful forger."""
    body = json.loads((folder / PROVENANCE).read_bytes()) | changes
    body["files"] = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in body["files"]}
    (folder / PROVENANCE).write_bytes(json_bytes(body | {"checksum": checksum(body)}))


def edit(path: Path, change: Any) -> None:
    """Change the JSON in a file of a result, and reseal it: `change` is given the value."""
    value = json.loads(path.read_bytes())
    change(value)
    path.write_bytes(json.dumps(value).encode())
    reseal(path.parent)


def add_figure1(results: Path, runs: int = 3, training: TheoryConfig = TRAINING, without: Sequence[Any] = ()) -> Path:
    """Write the folder of Figure 1 and return it: so many runs a point, `without` some (setting, run)."""
    folder = results / "figure1"
    for setting in GRID:
        for run in range(runs):
            if (setting, run) not in without:
                add_record(folder, setting, run, training=training)
    write_provenance(folder, training)
    return folder


def add_record(folder: Path, setting: Setting, run: int, *, training: TheoryConfig = TRAINING, **outcome: Any) -> Path:
    """Write the record of one run and return its path."""
    path = record_path(folder, setting, run)
    path.parent.mkdir(parents=True, exist_ok=True)
    near = {"distance": 0.95 - 0.9 * setting.beta / (1 + 1 / setting.tau) + run / 1000, "words": 3300 + run}
    environment = {"torch": "2", "processor": "a processor"}
    write_record(path, setting.config(training), run, seconds=60.0, environment=environment, outcome=near | outcome)
    return path


def analysis(scores: Mapping[str, Any], chances: Mapping[str, float] = CHANCES, next_words: Any = NEXT) -> Any:
    """Return the content of `analysis.json` that goes with scores: a text whose blocks differ a little.

    The mean of a frequent word where another one comes is nine tenths of that everywhere.
    """
    words = scores["test"]["words"]
    frequent = [word for word in FREQUENT_WORDS if word in chances]
    means = dict(chances) | {f"{word}, everywhere": chances[word] for word in frequent}
    means |= {word: 0.9 * chances[word] for word in frequent}
    sizes = [words * (number + 1) // BLOCKS - words * number // BLOCKS for number in range(BLOCKS)]
    tilts = [0.9 + 0.2 * number / (BLOCKS - 1) for number in range(BLOCKS)]
    blocks = {
        name: {"sums": [mean * size * tilt for size, tilt in zip(sizes, tilts, strict=True)], "counts": list(sizes)}
        for name, mean in means.items()
    }
    return {
        "format": ANALYSIS_FORMAT,
        "split": "test",
        "protocol": scores["protocol"],
        "score": scores["test"],
        "neighbours": 10,
        "probability": {name: {"mean": sum(each["sums"]) / words} for name, each in blocks.items()},
        "blocks": blocks,
        "next_words": [{"context": known.phrase, "unknown": [], "next": next_words} for known in PREDICTIONS],
    }


def instead_of_measuring(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Path | None]]:
    """Let runs whose weights are no model be published: return the list of what is measured, run and data folder."""
    calls: list[tuple[str, Path | None]] = []

    def measure(run: Path, data_dir: Path | None = None, device: str = "cpu") -> Any:
        calls.append((run.name, data_dir))
        return analysis(RunFolder.open(run).scores())

    monkeypatch.setattr(publish, "measure", measure)
    return calls


def _epochs(config: RunConfig, test: float, seconds: float) -> list[dict[str, Any]]:
    """Perplexities that fall to that of the end."""
    return [
        {"event": "epoch", "epoch": k, "valid_perplexity": test + 5 + 150 * math.exp(-k / 4), "seconds": seconds}
        for k in range(1, config.training.epochs + 1)
    ]


def _own_words(config: RunConfig, scores: Mapping[str, Any]) -> dict[str, Any]:
    """Scores with the half's words, nine tenths of those with the whole text's."""
    if config.corpus.name not in HALVES:
        return {}
    own = {}
    for split in SPLITS:
        nll = scores[split]["nll_nats"] + math.log(0.9) * scores[split]["words"]
        perplexity = math.exp(nll / scores[split]["words"])
        own[split] = {**scores[split], "perplexity": perplexity, "nll_nats": nll, "unknown": 10}
    return {"own_words": own}
