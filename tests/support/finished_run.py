"""Run folders as a finished training leaves them, put together by hand: nothing is trained."""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

from support.run_folders import write_run
from tiedlm.config import to_json
from tiedlm.data.sources import PTB
from tiedlm.recipes import recipe
from tiedlm.runs.config import RunConfig
from tiedlm.runs.folder import RunFolder

RECIPE = "ptb-small-re"
EPOCHS = recipe(RECIPE).training.epochs


def recipe_config(seed: int = 0, name: str = RECIPE, threads: int | None = 1) -> RunConfig:
    """The recipe's config with another seed and number of threads."""
    whole = recipe(name)
    return replace(whole, seed=seed, runtime=replace(whole.runtime, threads=threads))


def environment(parent: dict[str, Any] | None = None, threads: int = 1) -> dict[str, Any]:
    """What a training writes down of the machine and the corpus."""
    splits = {
        split: {"text_sha256": file.sha256, "lines": file.lines, "words": file.scored_words, "unknown": 7}
        for split, file in PTB.files.items()
    }
    return {
        "tiedlm": "0.1.0",
        "processor": "a processor",
        "device": "cpu",
        "threads": threads,
        "commit": "c0ffee",
        "command": "tiedlm train ptb-small-re --run-dir /somebody/runs/it",
        "started_unix": 1.5,
        "corpus": {"name": "ptb", "splits": splits, "vocabulary": {"size": 10_000, "sha256": "ab" * 32}},
        "parent": parent,
    }


def score(split: str, perplexity: float) -> dict[str, Any]:
    """The score of a whole split of the Penn Treebank."""
    words = PTB.files[split].scored_words
    nll = math.log(perplexity) * words
    return {"perplexity": math.exp(nll / words), "nll_nats": nll, "words": words, "unknown": 7}


def scores(valid: float = 89.9, test: float = 85.1) -> dict[str, Any]:
    """The scores of a run."""
    return {"valid": score("valid", valid), "test": score("test", test), "protocol": "every word once"}


def journal(epochs: int = EPOCHS) -> list[dict[str, Any]]:
    """The records of a training that was interrupted once."""
    records: list[dict[str, Any]] = [{"event": "start", "time_unix": 1.5}]
    for epoch in range(1, epochs + 1):
        records += [{"event": "window", "epoch": epoch, "window": window} for window in (1, 2)]
        reached = {"train_cross_entropy_perplexity": 210.0 - epoch, "valid_perplexity": 200.0 - epoch}
        took = {"words_per_second": 5e5, "seconds": 2.0, "time_unix": 1.5 + 2.0 * epoch}
        records.append({"event": "epoch", "epoch": epoch, **reached, **took})
    return [*records[:3], {"event": "resume", "time_unix": 9.5}, *records[3:], {"event": "end", "total_seconds": 2.0}]


def make_run(
    path: Path,
    *,
    weights: bytes = b"weights",
    parent: RunFolder | None = None,
    config: dict[str, Any] | None = None,
    records: list[dict[str, Any]] | None = None,
    scored: dict[str, Any] | None = None,
    **changes: Any,
) -> RunFolder:
    """A finished run; `changes` replace fields of the environment."""
    told = environment(None if parent is None else origin(parent)) | changes
    return write_run(
        path,
        to_json(recipe_config()) if config is None else config,
        corpus=told.pop("corpus"),
        parent=told.pop("parent"),
        environment=told,
        weights=weights,
        events=journal() if records is None else records,
        scores=scored or scores(),
    )


def origin(parent: RunFolder) -> dict[str, Any]:
    """What a second training writes down of the run that it started from."""
    config = parent.config()
    return {
        "path": str(parent.path),
        "recipe": config.recipe,
        "seed": config.seed,
        "weights_sha256": hashlib.sha256(parent.read("weights")).hexdigest(),
    }
