"""The paper's ordering of the four models as two tables: the orders, and each step of them with its test."""

from __future__ import annotations

from collections.abc import Sequence

from tiedlm.reproduction.grid import Grid
from tiedlm.reproduction.ordering import Ordering, Pair
from tiedlm.reproduction.paired import LEAST_SEEDS
from tiedlm.reproduction.tables import NOT_RUN, NOTHING

ORDERS, STEPS = "The order of the four models by test perplexity", "Each step of the paper's order, over seeds"


def orders(found: Sequence[Ordering]) -> Grid:
    """Return a line for each size and corpus: the paper's order, ours, and whether they agree."""
    headings = ("models", "the paper's order, best first", "ours", "holds")
    return Grid(title=ORDERS, headings=headings, align="llll", rows=[_order(ordering) for ordering in found])


def _order(ordering: Ordering) -> list[str]:
    paper = " < ".join(row.name.rsplit("-", 1)[1] for row in ordering.rows)
    ours = " < ".join(f"{model} {mean:.2f}" for model, mean in ordering.means().items())
    return [f"`{ordering.group}`", paper, ours or NOT_RUN, _verdict(ordering.holds())]


def steps(found: Sequence[Ordering]) -> Grid:
    """Return a line for each pair of neighbours: difference of test perplexity with its interval, seeds and p-value."""
    headings = ("models", "step", "paper", "ours, 95 % interval", "seeds", "p", "holds")
    rows = [_step(ordering, pair) for ordering in found for pair in ordering.pairs]
    return Grid(title=STEPS, headings=headings, align="llrrrrl", rows=rows)


def _step(ordering: Ordering, pair: Pair) -> list[str]:
    names = [f"`{ordering.group}`", " - ".join(row.name.rsplit("-", 1)[1] for row in (pair.worse, pair.better))]
    if pair.ours is None:
        return [*names, f"{pair.paper:+.2f}", NOT_RUN, NOTHING, NOTHING, _verdict(None)]
    width = pair.ours.half_width
    ours = f"{pair.ours.mean:+.2f}" + ("" if width is None else f" ± {width:.2f}")
    return [*names, f"{pair.paper:+.2f}", ours, str(pair.ours.n), _p(pair), _verdict(pair.holds())]


def _p(pair: Pair) -> str:
    p = None if pair.ours is None else pair.ours.p
    if p is None:
        return f"fewer than {LEAST_SEEDS} seeds"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _verdict(holds: bool | None) -> str:
    return "not known" if holds is None else "yes" if holds else "no"
