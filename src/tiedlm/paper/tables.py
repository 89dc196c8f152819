"""The paper's Tables 1, 2 and 3, ours beside the paper's, and rows of ours that the paper lacks.

Figures after one training and after two stand in rows of their own, and only those after as many trainings as the
paper's are set against it. What was not run says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

from tiedlm.paper.collect import Row
from tiedlm.paper.grid import Grid
from tiedlm.paper.published import BESIDE
from tiedlm.paper.published_citations import CITATIONS, Citation
from tiedlm.paper.samples import Sample
from tiedlm.paper.standing import stands

NOT_RUN, NOTHING = "not run", "–"
SPLITS = ("valid", "test")
TITLES = {
    "table1": "Table 1: perplexity on Penn Treebank and WikiText-2",
    "table2": "Table 2: perplexity on WikiText-2 after either half of its training text, small network",
    "table3": "Table 3: perplexity on Penn Treebank beside other work, as quoted by the paper",
    "beside": f"{BESIDE}: perplexity on Penn Treebank where a tied classifier keeps its output bias",
}
HEADINGS = (
    *("model", "recipe", "trainings", "seeds"),
    *("valid, ours", "paper", "difference", "test, ours", "paper", "difference", "stands"),
)
ALIGN = "llrrrrrrrrl"


@final
@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of a table: a model after so many trainings, ours and the paper's."""

    model: str
    recipe: str | None
    trainings: int | None
    ours: dict[str, Sample | None]
    """Split → our figure."""
    paper: dict[str, float | None]
    """Split → the paper's, where it is after as many trainings."""
    stands: bool | None

    def difference(self, split: str) -> float | None:
        """Return ours minus the paper's; None where either is missing."""
        ours, paper = self.ours[split], self.paper[split]
        return None if ours is None or paper is None else ours.mean - paper


def lines_of(row: Row, model: str) -> list[Line]:
    """Return a row's lines: one after as many trainings as the paper's figure, run or not, and one for any other."""
    paper, wanted = row.published, row.published.trainings
    return [
        Line(
            model=model,
            recipe=row.name,
            trainings=trainings,
            ours={split: row.perplexity(split, trainings) for split in SPLITS},
            paper={"valid": paper.valid, "test": paper.test} if trainings == wanted else dict.fromkeys(SPLITS),
            stands=stands(row) if trainings == wanted else None,
        )
        for trainings in sorted({wanted, *row.trainings()})
    ]


def table_lines(name: str, rows: Mapping[str, Row]) -> list[Line]:
    """Return the lines of one of `TITLES`, in the order of the paper; a row beside it follows that it repeats."""
    if name == "table3":
        cited = [line for citation in CITATIONS for line in _cited(citation, rows)]
        quoted = {citation.recipe for citation in CITATIONS}
        beside = [row for row in rows.values() if row.published.table == "Table 3" and row.name not in quoted]
        return cited + [line for row in beside for line in lines_of(row, row.published.row)]
    title = TITLES[name].partition(":")[0]
    printed = [row for row in rows.values() if row.published.table == title]
    printed = [one for row in printed for one in (*_repeated(row, rows), row)]
    return [line for row in printed for line in lines_of(row, f"{row.published.row}, {row.published.size}")]


def _repeated(row: Row, rows: Mapping[str, Row]) -> list[Row]:
    repeats = row.published.repeats
    return [] if repeats is None else [rows[repeats]]


def _cited(citation: Citation, rows: Mapping[str, Row]) -> list[Line]:
    model = citation.model if citation.parameters is None else f"{citation.model}, {citation.parameters}"
    if citation.recipe is not None:
        return lines_of(rows[citation.recipe], model)
    return [
        Line(
            model=model,
            recipe=None,
            trainings=None,
            ours=dict.fromkeys(SPLITS),
            paper={"valid": citation.valid, "test": citation.test},
            stands=None,
        )
    ]


def table(name: str, rows: Mapping[str, Row]) -> Grid:
    """Return a table to read: ours as `mean ± sd` over seeds, the paper's, and the difference."""
    found = [_cells(line) for line in table_lines(name, rows)]
    return Grid(title=TITLES[name], headings=HEADINGS, align=ALIGN, rows=found)


def _cells(line: Line) -> list[str]:
    ours = line.ours["test"]
    figures = [cell for split in SPLITS for cell in _figures(line, split)]
    return [
        line.model,
        f"`{line.recipe}`" if line.recipe else NOTHING,
        str(line.trainings) if line.trainings else NOTHING,
        str(ours.n) if ours else NOTHING,
        *figures,
        read(line.stands, NOTHING),
    ]


def _figures(line: Line, split: str) -> list[str]:
    ours, paper, difference = line.ours[split], line.paper[split], line.difference(split)
    absent = NOT_RUN if line.recipe else NOTHING
    return [
        absent if ours is None else ours.told(),
        NOTHING if paper is None else str(paper),
        NOTHING if difference is None else f"{difference:+.2f}",
    ]


def table_csv(name: str, rows: Mapping[str, Row]) -> Grid:
    """Return the same figures to compute with: a column for each number, four decimals, empty where there is none."""
    figures = [f"{split}_{what}" for split in SPLITS for what in ("mean", "sd", "paper", "difference")]
    headings = ("model", "recipe", "trainings", "seeds", *figures, "stands")
    found = [_values(line) for line in table_lines(name, rows)]
    return Grid(title=TITLES[name], headings=headings, align="l" * len(headings), rows=found)


def _values(line: Line) -> list[str]:
    ours = line.ours["test"]
    numbers: list[float | None] = []
    for split in SPLITS:
        sample = line.ours[split]
        own = [None, None] if sample is None else [sample.mean, sample.sd]
        numbers += [*own, line.paper[split], line.difference(split)]
    return [
        line.model,
        line.recipe or "",
        str(line.trainings or ""),
        " ".join(map(str, ours.by_seed)) if ours else "",
        *map(value, numbers),
        truth(line.stands),
    ]


def value(number: float | None) -> str:
    """Return a number as a table to compute with has it: four decimals, empty where there is none."""
    return "" if number is None else str(round(number, 4))


def truth(verdict: bool | None) -> str:
    """Return `true`, `false`, or nothing where it is not known."""
    return "" if verdict is None else str(verdict).lower()


def read(verdict: bool | None, unknown: str) -> str:
    """Return a verdict as a table to read has it: `yes`, `no`, or `unknown`."""
    return unknown if verdict is None else "yes" if verdict else "no"
