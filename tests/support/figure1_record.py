"""Records of Figure 1's runs, put together by hand: nothing is trained."""

from __future__ import annotations

from typing import Any

from tiedlm.config import to_json
from tiedlm.paper.figure1_records import FORMAT, Setting
from tiedlm.paper.theory_setting import TheoryConfig

SPREAD = {"mean_norm": 1.0, "mean_cosine": 0.01, "effective_directions": 290.0}


def record(point: Setting, run: int = 0, distance: float | None = None, **changes: Any) -> dict[str, Any]:
    """The record of a run, each of another distance by default; `changes` are of the training's setting."""
    outcome = {
        "distance": point.beta / 2 + run / 100 if distance is None else distance,
        "words": 3300 + run,
        "vectors": SPREAD,
        "classifier": SPREAD,
        "distance_centred": 0.4,
        "distance_as_trained": 0.5,
        "feature_norm_squared": 2.0,
        "cross_entropy_nats": 6.0,
        "augmented": 5.0,
    }
    config = to_json(TheoryConfig(temperature=point.tau, beta=point.beta, **changes))
    environment = {"torch": "2", "processor": f"number {run % 2}", "started_unix": 1.5 + run}
    whole = {"format": FORMAT, "config": config, "run": run, "seconds": 60.0}
    return whole | {"outcome": outcome, "environment": environment}
