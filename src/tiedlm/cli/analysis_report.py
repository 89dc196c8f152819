"""What `tiedlm analyze` prints: tables in plain columns, or the same figures as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tiedlm.cli.output import print_table, say

if TYPE_CHECKING:
    from tiedlm.evaluation.analysis import Analysis
    from tiedlm.evaluation.blocks import Estimate
    from tiedlm.evaluation.geometry import Geometry

    Analyses = Mapping[str, Analysis]
    Estimates = Mapping[str, Estimate | None]


def report_json(analyses: Analyses, split: str) -> dict[str, Any]:
    """Return all figures as plain JSON values: by run, and each further run less the first."""
    from tiedlm.evaluation.analysis import estimates_to_json
    from tiedlm.evaluation.perplexity import PROTOCOL

    return {
        "split": split,
        "protocol": PROTOCOL,
        "runs": {run: analysis.to_json() for run, analysis in analyses.items()},
        "less_first_run": {run: estimates_to_json(found) for run, found in _differences(analyses).items()},
    }


def print_report(analyses: Analyses, split: str) -> None:
    """Print one table on frequency and one on geometry, each over all runs, and those on probability."""
    from tiedlm.evaluation.perplexity import PROTOCOL

    _print_bands(analyses)
    _print_geometry(analyses)
    for run, analysis in analyses.items():
        _print_estimates(f"\nmean probability, {run}", analysis.mass.estimates())
    for run, found in _differences(analyses).items():
        _print_estimates(f"\nmean probability, {run} less {next(iter(analyses))}", found)
    say(f"\nsplit: {split}\nintervals: 95 %, over blocks of the split; they say nothing of other seeds")
    say(f"protocol: {PROTOCOL}")


def _differences(analyses: Analyses) -> dict[str, Estimates]:
    (_, first), *others = analyses.items()
    return {run: analysis.mass.differences(first.mass) for run, analysis in others}


def _print_bands(analyses: Analyses) -> None:
    headings = ("run", "ranks", "targets", "nats", "|l|^2", "|w|^2")
    rows = [
        [
            run,
            band.ranks,
            str(band.targets),
            _number(band.nll_nats),
            _number(band.squared_norm),
            _number(band.classifier_squared_norm),
        ]
        for run, analysis in analyses.items()
        for band in analysis.bands
    ]
    print_table(headings, rows, align="lr", title="by frequency of the target")


def _print_geometry(analyses: Analyses) -> None:
    headings = ("run", "perplexity", "|h|^2", "mean |l|", "mean cosine", "directions", "distance", "chance")
    rows = [[run, *_geometry_cells(analysis)] for run, analysis in analyses.items()]
    print_table(
        headings, rows, align="lr", title="\nfeatures, word vectors, and the distance of vectors and classifier"
    )


def _geometry_cells(analysis: Analysis) -> list[str]:
    geometry: Geometry = analysis.geometry
    vectors, subspaces = geometry.vectors, geometry.subspaces
    return [
        f"{analysis.score.perplexity:.2f}",
        f"{analysis.feature_norm_squared:.3f}",
        f"{vectors.mean_norm:.3f}",
        f"{vectors.mean_cosine:.4f}",
        f"{vectors.effective_directions:.1f}",
        _number(subspaces and subspaces.distance),
        _number(subspaces and subspaces.chance),
    ]


def _print_estimates(title: str, estimates: Estimates) -> None:
    rows = [[name, *_estimate_cells(one)] for name, one in estimates.items()]
    print_table(("of", "mean", "from", "to", "words"), rows, align="lr", title=title)


def _estimate_cells(one: Estimate | None) -> list[str]:
    if one is None:
        return ["-", "-", "-", "0"]
    return [*(f"{value:.6f}" for value in (one.mean, *one.interval)), str(one.words)]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
