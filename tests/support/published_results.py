"""Invented results as `tiedlm publish` writes them, put together without runs: nothing is trained."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from support.invented_analysis import analysis
from tiedlm.config import to_json
from tiedlm.data.sources import HALVES, source_of
from tiedlm.paper.figure1_folder import shared_config
from tiedlm.paper.figure1_records import TRAINING
from tiedlm.paper.layout import (
    ANALYSIS,
    FIRST_PROVENANCE,
    FIRST_TRAINING,
    PROVENANCE,
    VERSION,
    WITHOUT_ANALYSIS,
    answered_for,
    checksum,
)
from tiedlm.paper.measured import OWN_WORDS, SCORED
from tiedlm.paper.provenance import provenance
from tiedlm.recipes import recipe
from tiedlm.runs.config import RunConfig, RuntimeConfig

PROTOCOL = "every word once"
OWN = 0.9
"""Perplexity of either text read with the words of a half alone, in units of that with the whole text's."""
SECONDS = 90.0
"""Seconds of every epoch."""


def add_result(
    results: Path,
    name: str,
    seed: int,
    *tests: float,
    protocol: str = PROTOCOL,
    seconds: float = SECONDS,
    processor: str = "a processor",
    config: RunConfig | None = None,
    chances: Mapping[str, float] | None = None,
    moves: Sequence[dict[str, Any]] = (),
) -> Path:
    """Write the result of one seed and return its folder.

    Args:
        results: the folder of all results.
        name: the recipe.
        seed: of the run.
        tests: test perplexity after the first training, and after each later one; valid is 5 above.
        protocol, seconds, processor: as they are written down.
        config: in place of the recipe's.
        chances: mean probability of each measure; None: a result of the version without an analysis.
        moves: where the last training went on, as `move_to` makes them.
    """
    whole = to_json(replace(config or recipe(name), seed=seed))
    inner: dict[str, bytes] = {}
    for number, test in enumerate(tests):
        weights = hashlib.sha256(f"{name} {seed} {number}".encode()).hexdigest()
        last = moves if number == len(tests) - 1 else ()
        inner = _contents(whole, test, weights, inner, protocol, seconds, processor, chances, last)
    folder = results / name / f"seed-{seed}"
    for path, content in inner.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder


def move_to(machine: str, epoch: int, **runtime: Any) -> dict[str, Any]:
    """Return a move to another processor in an epoch."""
    own = to_json(RuntimeConfig(**runtime))
    told = {"processor": machine, "device": own["device"], "threads": own["threads"] or 1, "commit": "c0ffee"}
    return {"epoch": epoch, "window": 5, "runtime": own, "environment": told}


def add_group(results: Path, group: str, tests: dict[str, list[tuple[float, ...]]], **changes: Any) -> None:
    """Write the results of several models: model → for each seed from 0 on, its test perplexities."""
    for model, seeds in tests.items():
        for seed, values in enumerate(seeds):
            add_result(results, f"{group}-{model}", seed, *values, **changes)


def points(**changes: Any) -> dict[str, Any]:
    """Return the content of `figure1/points.json`, three runs a point."""
    near = {0.0: 0.985, 0.5: 0.4, 1.0: 0.05}
    beta = [{"tau": 10.0, "beta": b, "distances": by_run(d - 0.01, d, d + 0.01)} for b, d in near.items()]
    taus = {1.0: 0.5, 2.0: 0.25, 5.0: 0.1}
    tau = [{"tau": t, "beta": 1.0, "distances": by_run(d, 1.2 * d, 1.1 * d)} for t, d in taus.items()]
    told = {"format": 2, "units": 300, "words_by_run": {"0": 9_990, "1": 10_000, "2": 10_010}, "runs": [0, 1, 2]}
    return told | {"panels": {"beta": beta, "tau": [*tau, beta[-1]]}} | changes


def by_run(*distances: float) -> dict[str, float]:
    """Return number of the run → distance, from run 0 on."""
    return {str(run): distance for run, distance in enumerate(distances)}


def add_points(results: Path, **changes: Any) -> Path:
    """Write the folder `figure1` and return the path of its points."""
    path = results / "figure1" / "points.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(points(**changes)))
    (path.parent / "config.json").write_bytes(_json(shared_config(TRAINING)))
    seal_points(path.parent)
    return path


def seal_points(folder: Path) -> None:
    """Write the provenance of the folder `figure1`, of what stands there."""
    names = ("config.json", "points.json")
    files = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}
    told = {"format": "tiedlm-figure1", "version": 1, "command": "tiedlm reproduce figure1", "files": files}
    (folder / PROVENANCE).write_bytes(_json(told | {"checksum": checksum(told)}))


def reseal(folder: Path, **changes: Any) -> None:
    """Change fields of a result's provenance, and make every sha256 in it anew: the work of a careful forger."""
    told = json.loads((folder / PROVENANCE).read_bytes()) | changes
    told["files"] = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in told["files"]}
    (folder / PROVENANCE).write_bytes(_json(told | {"checksum": checksum(told)}))


def without_analysis(folder: Path) -> None:
    """Make a result one of the version that had no analysis."""
    (folder / ANALYSIS).unlink()
    files = json.loads((folder / PROVENANCE).read_bytes())["files"]
    reseal(folder, files={name: value for name, value in files.items() if name != ANALYSIS}, version=1)


def _contents(
    config: dict[str, Any],
    test: float,
    weights: str,
    first: dict[str, bytes],
    protocol: str,
    seconds: float,
    processor: str,
    chances: Mapping[str, float] | None,
    moves: Sequence[dict[str, Any]],
) -> dict[str, bytes]:
    origin = json.loads(first[PROVENANCE]) if first else None
    environment = _environment(config, None if origin is None else origin["weights_sha256"], processor)
    environment |= {"moves": list(moves)} if moves else {}
    metrics = _metrics(config, test, seconds)
    scores = {"valid": _score(config, "valid", test + 5), "test": _score(config, "test", test), "protocol": protocol}
    files = {f"{FIRST_TRAINING}/{name}": content for name, content in first.items()} | {
        "config.json": _json(config),
        "environment.json": _json(environment),
        "metrics.jsonl": b"".join(json.dumps(record).encode() + b"\n" for record in metrics),
        "scores.json": _json(scores),
    }
    files |= {} if chances is None else {ANALYSIS: _json(analysis(scores, chances) | _own_words(config, scores))}
    version = WITHOUT_ANALYSIS if chances is None else VERSION
    told = provenance(
        config=config,
        environment=environment,
        metrics=metrics,
        weights_sha256=weights,
        files={name: files[name] for name in answered_for(2 if first else 1, version)},
        first=json.loads(files[FIRST_PROVENANCE]) if first else None,
    )
    return files | {PROVENANCE: _json(told)}


def _environment(config: dict[str, Any], parent: str | None, processor: str) -> dict[str, Any]:
    source = source_of(config["corpus"]["name"])
    splits = {} if source is None else {split: {"text_sha256": file.sha256} for split, file in source.files.items()}
    return {
        "processor": processor,
        "device": config["runtime"]["device"],
        "threads": config["runtime"]["threads"] or 1,
        "commit": "c0ffee",
        "corpus": {"name": config["corpus"]["name"], "splits": splits, "vocabulary": {"size": 9, "sha256": "ab" * 32}},
        "parent": parent and {"recipe": config["recipe"], "seed": config["seed"], "weights_sha256": parent},
    }


def _metrics(config: dict[str, Any], test: float, seconds: float) -> list[dict[str, Any]]:
    """Perplexities that fall to that of the end."""
    epochs = config["training"]["epochs"]
    return [
        {
            "event": "epoch",
            "epoch": epoch,
            "valid_perplexity": test + 5 + 150 * math.exp(-epoch / 4),
            "seconds": seconds,
        }
        for epoch in range(1, epochs + 1)
    ]


def _own_words(config: dict[str, Any], scores: Mapping[str, Any]) -> dict[str, Any]:
    if config["corpus"]["name"] not in HALVES:
        return {}
    return {OWN_WORDS: {split: own_words_of(scores[split]) for split in SCORED}}


def own_words_of(score: Mapping[str, Any]) -> dict[str, Any]:
    """Return a score with the half's words that goes with the one with the whole text's."""
    nll = score["nll_nats"] + math.log(OWN) * score["words"]
    perplexity = math.exp(nll / score["words"])
    return {**score, "perplexity": perplexity, "nll_nats": nll, "unknown": score["unknown"] + 3}


def _score(config: dict[str, Any], split: str, perplexity: float) -> dict[str, Any]:
    source = source_of(config["corpus"]["name"])
    words = 1_000 if source is None else source.files[split].scored_words
    nll = math.log(perplexity) * words
    return {"perplexity": math.exp(nll / words), "nll_nats": nll, "words": words, "unknown": 7}


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=2, sort_keys=True) + "\n").encode()
