"""The words around the tables: what the page on the reproduction and the README say of all results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tiedlm.paper.another_seed import SeedSpread, log_perplexities, seed_spread
from tiedlm.paper.collect import Row
from tiedlm.paper.figure1 import TITLE as FIGURE_1_TITLE
from tiedlm.paper.figure1 import beside_the_paper, figure1_table
from tiedlm.paper.figure1 import standing as standing_of_figure1
from tiedlm.paper.figure1_points import Points
from tiedlm.paper.figure2 import panels
from tiedlm.paper.grid import Grid
from tiedlm.paper.ordering import Ordering
from tiedlm.paper.ordering_tables import orders, steps
from tiedlm.paper.own_words_table import READING as OWN_WORDS_READING
from tiedlm.paper.own_words_table import own_words_table
from tiedlm.paper.paired import LEAST_SEEDS
from tiedlm.paper.rate_limit import READING as RATE_LIMIT_READING
from tiedlm.paper.rate_limit import rate_limit_table
from tiedlm.paper.standing import SLACK, stands
from tiedlm.paper.standing import standing as standing_of
from tiedlm.paper.table4 import pairs
from tiedlm.paper.table4_tables import READING as CLAIMS_READING
from tiedlm.paper.table4_tables import TITLES as CLAIMS
from tiedlm.paper.table4_tables import claims
from tiedlm.paper.table4_words import READING as WORDS_READING
from tiedlm.paper.table4_words import next_words_table
from tiedlm.paper.tables import NOTHING, TITLES, read, table

READING = """\
Ours is the mean over seeds ± the sample standard deviation, or the figure alone of one seed. Figures after one and
after two trainings stand apart, and only those after as many trainings as the paper's are set against it."""
TESTS = f"""\
The order is that of the test perplexities, after as many trainings as the paper's figures. A step is the difference of
two models that are neighbours in the paper's order, worse minus better, with its mean over the seeds that both have.
Interval and p are those of a paired t-test over seeds, two-sided, which takes the differences for normal; with fewer
than {LEAST_SEEDS} seeds there is none."""
CURVES = """\
Thick lines are means over seeds, thin lines seeds, dashed lines second trainings. The first epochs lie above the
frame."""


def verdict(rows: Mapping[str, Row]) -> str:
    """Return how many of the paper's rows stand, by which rule, and at what cost, in a few sentences."""
    found = standing_of(rows)
    spent = ", ".join(f"{hours:.1f} on {machine}" for machine, hours in found.hours.items())
    return (
        f"{found.stand} of the paper's {found.rows} rows stand; {found.run} have been run, trained as often as in the "
        f"paper, {found.rows - found.run} have not.\n"
        f"A row stands where our mean test perplexity is at most the paper's plus {SLACK}.\n"
        f"Training behind the rows, in hours of one process: {spent or 'none'}.\n"
    )


def readme_part(rows: Mapping[str, Row], points: Points | None) -> str:
    """Return the README's table, every row of which there is a figure, and what Figure 1 came to."""
    spread = seed_spread(rows.values())
    cells = [_readme_row(row, trainings, spread) for row in rows.values() for trainings in row.trainings()]
    ours = ("recipe", "trainings", "ours, valid / test", "another seed, test")
    headings = (*ours, "the paper's", "stands", "seeds", "folder")
    grid = Grid(title="Results", headings=headings, align="lrrrrlrl", rows=cells)
    figure = "" if points is None else f"\n{beside_the_paper(points)}\n"
    return f"{verdict(rows)}\n{grid.markdown() if cells else ''}{_spread_told(spread)}{figure}"


def _readme_row(row: Row, trainings: int, spread: SeedSpread | None) -> list[str]:
    valid, test = row.perplexity("valid", trainings), row.perplexity("test", trainings)
    ours = " / ".join(sample.told() for sample in (valid, test) if sample is not None)
    paper = row.published
    printed = NOTHING if paper.test is None else f"{paper.valid} / {paper.test}"
    alike = trainings == paper.trainings
    after = "" if alike or paper.test is None else f" after {paper.trainings}"
    another = _another_seed(row, spread) if alike else NOTHING
    seeds = str(test.n) if test else NOTHING
    standing = read(stands(row), NOTHING) if alike else NOTHING
    return [f"`{row.name}`", str(trainings), ours, another, printed + after, standing, seeds, f"`{row.folder}`"]


def _another_seed(row: Row, spread: SeedSpread | None) -> str:
    logs = log_perplexities(row)
    if spread is None or not logs:
        return NOTHING
    low, high = spread.range(logs)
    return f"{low:.2f} to {high:.2f}"


def _spread_told(spread: SeedSpread | None) -> str:
    if spread is None:
        return ""
    return (
        f"\nAnother seed: where one more is expected to fall, with a probability of 95 %. From the standard deviation\n"
        f"between seeds of log perplexity, pooled over rows of two seeds or more: {spread.sd:.4f}, with "
        f"{spread.degrees} {'degree' if spread.degrees == 1 else 'degrees'} of freedom.\n"
    )


def reproduction_part(rows: Mapping[str, Row], found: Sequence[Ordering], points: Points | None) -> str:
    """Return the page's tables and figures, with how to read them."""
    parts = [verdict(rows), READING]
    for name in TITLES:
        parts.append(_section(table(name, rows)))
        parts += _where_any(own_words_table(rows), OWN_WORDS_READING) if name == "table2" else []
    parts += [_section(claims(name, pairs(rows))) for name in CLAIMS]
    parts += [CLAIMS_READING, _section(next_words_table(rows)), WORDS_READING]
    parts += [_section(orders(found)), _section(steps(found)), TESTS]
    parts += [f"### {FIGURE_1_TITLE}", _figure1(points), "### Figure 2: validation perplexity by epoch", _figure2(rows)]
    parts += _where_any(rate_limit_table(rows), RATE_LIMIT_READING)
    return "\n\n".join(part.strip("\n") for part in parts)


def _where_any(grid: Grid, reading: str) -> list[str]:
    """Return the section of a table and how to read it, where it has rows."""
    return [_section(grid), reading] if grid.rows else []


def _section(grid: Grid) -> str:
    return f"### {grid.title}\n\n{grid.markdown()}"


def _figure1(points: Points | None) -> str:
    if points is None:
        return "Not run."
    return (
        f"![{FIGURE_1_TITLE}](figures/figure1.png)\n\n{figure1_table(points).markdown()}\n{standing_of_figure1(points)}\n"
        f"Chance, the distance of two random subspaces of {points.units} of {points.words:,} dimensions: "
        f"sqrt(1 - d/V) = {points.chance:.3f}."
    )


def _figure2(rows: Mapping[str, Row]) -> str:
    return f"![Figure 2](figures/figure2.png)\n\n{CURVES}" if panels(rows) else "Not run."
