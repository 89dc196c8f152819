"""A published result: what a finished run leaves for others to read, without its weights.

    results/ptb-small-re/seed-0/
    ├── config.json        the whole config
    ├── environment.json   versions, machine, threads, corpus; of the run's own files and folders no path
    ├── metrics.jsonl      the run's journal, thinned to one record an epoch and the events around it
    ├── scores.json        perplexity, nats and words of valid and test, and the protocol
    ├── analysis.json      what was measured of the weights on the test text (see `measured`)
    ├── provenance.json    sha256 of weights, texts and the files above; code, device, time, the commands that repeat it
    └── first-training/    for a second training: the same six files of the run whose weights it started from

A result is read whole or not at all: `provenance.json` holds the sha256 of every other file, and one of itself. Version
1 of a result has no `analysis.json`; it stands, and tables say of it "not measured".
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from tiedlm.files import json_sha256

FORMAT = "tiedlm-result"
WITHOUT_ANALYSIS, VERSION = 1, 2
"""Versions of a result that are read; the newest is written."""

METRICS, PROVENANCE, FIRST_TRAINING = "metrics.jsonl", "provenance.json", "first-training"
ANALYSIS = "analysis.json"
FIRST_PROVENANCE = f"{FIRST_TRAINING}/{PROVENANCE}"
FILES = ("config.json", "environment.json", METRICS, "scores.json")

NOT_USED = "Nothing of it was used."


@final
@dataclass(frozen=True, kw_only=True)
class Result:
    """A published result, checked."""

    path: Path
    config: dict[str, Any]
    environment: dict[str, Any]
    metrics: list[dict[str, Any]]
    scores: dict[str, Any]
    provenance: dict[str, Any]
    first_training: Result | None
    """The result of the training whose weights this one started from."""
    analysis: dict[str, Any] | None = None
    """What was measured of the weights; None in a result of version 1."""

    def valid_perplexities(self) -> list[float]:
        """Return the validation perplexity after each epoch of the last training."""
        return [record["valid_perplexity"] for record in self.metrics if record["event"] == "epoch"]


def answered_for(trainings: int, version: int = VERSION) -> tuple[str, ...]:
    """Return the names of the files whose sha256 `provenance.json` holds."""
    measured = () if version == WITHOUT_ANALYSIS else (ANALYSIS,)
    return (*FILES, *measured, *((FIRST_PROVENANCE,) if trainings > 1 else ()))


def checksum(provenance: dict[str, Any]) -> str:
    """Return the sha256 of a provenance without its own field `checksum`."""
    return json_sha256({name: value for name, value in provenance.items() if name != "checksum"})
