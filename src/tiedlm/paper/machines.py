"""On which machines a result was trained, and how long on each: a training may have gone on elsewhere than it began."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

from tiedlm.paper.layout import Result


@final
@dataclass(frozen=True, kw_only=True)
class Conditions:
    """What the speed of a training depends on, its work aside."""

    machine: str
    """Model of the processor, or of the accelerator."""
    precision: str
    threads: int


def machine_of(environment: Mapping[str, Any]) -> str:
    """Return the model of the processor, or of the accelerator, that an environment tells of."""
    return environment["processor"] if environment["device"] == "cpu" else environment["device"]


def epoch_seconds(result: Result) -> dict[Conditions, list[float]]:
    """Return conditions → seconds of each epoch that ended under them, in the order of the epochs."""
    moves = result.environment.get("moves", [])
    runtimes = [result.config["runtime"], *(move["runtime"] for move in moves)]
    environments = [result.environment, *(move["environment"] for move in moves)]
    conditions = [_conditions(*pair) for pair in zip(runtimes, environments, strict=True)]
    found: dict[Conditions, list[float]] = {}
    for record in result.metrics:
        if record["event"] == "epoch":
            moved = sum(move["epoch"] <= record["epoch"] for move in moves)
            found.setdefault(conditions[moved], []).append(record["seconds"])
    return found


def _conditions(runtime: Mapping[str, Any], environment: Mapping[str, Any]) -> Conditions:
    return Conditions(machine=machine_of(environment), precision=runtime["precision"], threads=environment["threads"])
