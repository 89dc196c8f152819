"""Results that lack an analysis, of runs whose folders are still here: `tiedlm reproduce` measures them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from tiedlm.checkpoint.folder import RunFolder
from tiedlm.cli.train import default_run_dir
from tiedlm.paper.collect import Row, stages
from tiedlm.paper.layout import Result
from tiedlm.recipes import recipe


def unmeasured(names: Iterable[str], rows: Mapping[str, Row], seeds: Sequence[int]) -> list[Path]:
    """Return the run folders to be published again, whose results have no analysis, or whose first trainings' have not.

    Args:
        names: the rows.
        rows: all rows with their results.
        seeds: those that are asked for.

    Raises:
        RunError: what stands in the place of a run folder is none, or is damaged.
    """
    results = [rows[name].results[seed] for name in names for seed in seeds if seed in rows[name].results]
    lacking = [result for result in results if any(stage.analysis is None for stage in stages(result))]
    runs = [(_run_dir(result), result) for result in lacking]
    return [run for run, result in runs if _is_run_of(run, result)]


def _run_dir(result: Result) -> Path:
    config = replace(recipe(result.config["recipe"]), seed=result.config["seed"])
    return default_run_dir(config, second=result.provenance["trainings"] > 1)


def _is_run_of(run: Path, result: Result) -> bool:
    if not run.exists():
        return False
    folder = RunFolder.open(run)
    wanted = result.provenance["weights_sha256"]
    return folder.has("weights") and hashlib.sha256(folder.read("weights")).hexdigest() == wanted
