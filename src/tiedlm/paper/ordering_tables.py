"""The paper's ordering of the four models as two tables, each to read and to compute with.

The orders themselves, and each step of them with its test.
"""

from __future__ import annotations

from collections.abc import Sequence

from tiedlm.paper.collect import Row
from tiedlm.paper.grid import Grid
from tiedlm.paper.ordering import Ordering, Pair
from tiedlm.paper.paired import LEAST_SEEDS
from tiedlm.paper.tables import NOT_RUN, NOTHING, read, truth, value

UNKNOWN = "not known"
ORDERS, STEPS = "The order of the four models by test perplexity", "Each step of the paper's order, over seeds"


def orders(found: Sequence[Ordering]) -> Grid:
    """Return a line for each size and corpus: the paper's order, ours, and whether they agree."""
    headings = ("models", "the paper's order, best first", "ours", "holds")
    return Grid(title=ORDERS, headings=headings, align="llll", rows=[_order(ordering) for ordering in found])


def _order(ordering: Ordering) -> list[str]:
    paper = " < ".join(map(_model, ordering.rows))
    ours = " < ".join(f"{model} {mean:.2f}" for model, mean in ordering.means().items())
    return [f"`{ordering.group}`", paper, ours or NOT_RUN, read(ordering.holds(), UNKNOWN)]


def orders_csv(found: Sequence[Ordering]) -> Grid:
    """Return the same to compute with: models and means best first, blanks between them, empty where not run."""
    headings = ("models", "paper", "ours", "ours_mean", "holds")
    rows = [_order_values(ordering) for ordering in found]
    return Grid(title=ORDERS, headings=headings, align="l" * len(headings), rows=rows)


def _order_values(ordering: Ordering) -> list[str]:
    paper, means = " ".join(map(_model, ordering.rows)), ordering.means()
    return [ordering.group, paper, " ".join(means), " ".join(map(value, means.values())), truth(ordering.holds())]


def steps(found: Sequence[Ordering]) -> Grid:
    """Return a line for each pair of neighbours: difference of test perplexity with its interval, seeds and p-value."""
    headings = ("models", "step", "paper", "ours, 95 % interval", "seeds", "p", "holds")
    rows = [_step(ordering, pair) for ordering in found for pair in ordering.pairs]
    return Grid(title=STEPS, headings=headings, align="llrrrrl", rows=rows)


def _step(ordering: Ordering, pair: Pair) -> list[str]:
    names = [f"`{ordering.group}`", f"{_model(pair.worse)} - {_model(pair.better)}"]
    if pair.ours is None:
        return [*names, f"{pair.paper:+.2f}", NOT_RUN, NOTHING, NOTHING, read(None, UNKNOWN)]
    width = pair.ours.half_width
    ours = f"{pair.ours.mean:+.2f}" + ("" if width is None else f" ± {width:.2f}")
    return [*names, f"{pair.paper:+.2f}", ours, str(pair.ours.n), _p(pair), read(pair.holds(), UNKNOWN)]


def steps_csv(found: Sequence[Ordering]) -> Grid:
    """Return the same to compute with: a column for each number, empty where there is none."""
    headings = ("models", "worse", "better", "paper", "mean", "half_width", "seeds", "p", "holds")
    rows = [_step_values(ordering, pair) for ordering in found for pair in ordering.pairs]
    return Grid(title=STEPS, headings=headings, align="l" * len(headings), rows=rows)


def _step_values(ordering: Ordering, pair: Pair) -> list[str]:
    ours, names = pair.ours, [ordering.group, _model(pair.worse), _model(pair.better)]
    if ours is None:
        return [*names, value(pair.paper), *("",) * 5]
    numbers, p = map(value, (pair.paper, ours.mean, ours.half_width)), "" if ours.p is None else f"{ours.p:.4g}"
    return [*names, *numbers, str(ours.n), p, truth(pair.holds())]


def _model(row: Row) -> str:
    return row.name.rsplit("-", 1)[1]


def _p(pair: Pair) -> str:
    p = None if pair.ours is None else pair.ours.p
    if p is None:
        return f"fewer than {LEAST_SEEDS} seeds"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"
