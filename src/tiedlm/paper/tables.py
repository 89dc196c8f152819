"""Every table of the reproduction: a list of typed rows, and two formatters, one to read and one to compute with.

Figures after one training and after two stand in rows of their own, and only those after as many trainings as the
paper's are compared with it. What was not run says so.
"""

from __future__ import annotations

import csv
import io
import re
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar, final

from tiedlm.errors import ArgumentError
from tiedlm.paper.figure1 import Figure1, Point
from tiedlm.paper.plan import stands
from tiedlm.paper.published import (
    BESIDE,
    CITATIONS,
    CONTROLS,
)
from tiedlm.paper.results import SPLITS, Row
from tiedlm.paper.statistics import (
    Sample,
    Spread,
)

NOT_RUN, NOTHING, UNKNOWN = "not run", "–", "not known"

LATEX = {
    "\\": r"\textbackslash{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "±": r"$\pm$",
    "–": "--",
    "≤": r"$\le$",
    "→": r"$\to$",
    "β": r"$\beta$",
    "γ": r"$\gamma$",
    "τ": r"$\tau$",
}

Line = TypeVar("Line")


@final
@dataclass(frozen=True, kw_only=True)
class Table(Generic[Line]):
    """Rows of one type, and how each is written.

    Raises:
        ArgumentError: a row, or `align`, of another length than the headings.
    """

    name: str
    """Of its files."""
    title: str
    lines: Sequence[Line]
    headings: Sequence[str]
    align: str
    """For each column `l` or `r`."""
    cells: Callable[[Line], Sequence[str]]
    """A row to read."""
    columns: Sequence[str] = ()
    """Headings of the CSV file."""
    values: Callable[[Line], Iterable[Sequence[object]]] = lambda line: ()
    """The rows of the CSV file that a row makes, written by `csv_value`."""
    optional: bool = False
    """Whether the table is left out where it has no rows."""
    notes: str = ""
    """How to read it."""

    def __post_init__(self) -> None:
        lengths = {len(self.headings), len(self.align), *map(len, self.rows())}
        if len(lengths) > 1:
            raise ArgumentError(f"The table {self.title!r} must have one number of columns, but has {sorted(lengths)}.")

    def rows(self) -> list[Sequence[str]]:
        """Return the cells of each row."""
        return [self.cells(line) for line in self.lines]

    def markdown(self) -> str:
        """Return a table of pipes, without its title."""
        rule = ["---" if side == "l" else "---:" for side in self.align]
        rows = [[cell.replace("|", "\\|") for cell in row] for row in (self.headings, rule, *self.rows())]
        return "".join(f"| {' | '.join(row)} |\n" for row in rows)

    def latex(self) -> str:
        """Return a `tabular` with the rules of the package booktabs, the title in a comment above it."""
        head, *body = [" & ".join(map(_latex, row)) + r" \\" for row in (self.headings, *self.rows())]
        lines = [rf"\begin{{tabular}}{{{self.align}}}", r"\toprule", head, r"\midrule", *body, r"\bottomrule"]
        return "".join(f"{line}\n" for line in (f"% {self.title}", *lines, r"\end{tabular}"))

    def csv(self) -> str:
        """Return comma-separated values, a line feed after each row."""
        text = io.StringIO()
        rows = [[csv_value(value) for value in row] for line in self.lines for row in self.values(line)]
        csv.writer(text, lineterminator="\n").writerows([self.columns, *rows])
        return text.getvalue()


def _latex(cell: str) -> str:
    escaped = "".join(LATEX.get(character, character) for character in cell.replace("`", ""))
    return re.sub(r"(?<![\w.-])-(?=\d)", "$-$", escaped)  # a number's sign is longer than a hyphen


def csv_value(value: object) -> str:
    """Return a value as CSV has it: None is empty, a truth `true` or `false`, a float has four decimals."""
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(round(value, 4)) if isinstance(value, float) else str(value)


def yes_no(verdict: bool | None, unknown: str) -> str:
    return unknown if verdict is None else "yes" if verdict else "no"


# Perplexity: Tables 1 to 3, rows beside them, and any rows that are asked for

TITLES = {
    "table1": "Table 1: perplexity on Penn Treebank and WikiText-2",
    "table2": "Table 2: perplexity on WikiText-2 after either half of its training text, small network",
    "table3": "Table 3: perplexity on Penn Treebank beside other work, as quoted by the paper",
    "beside": f"{BESIDE}: perplexity on Penn Treebank where a tied classifier keeps its output bias",
}


@final
@dataclass(frozen=True, kw_only=True)
class PerplexityLine:
    """A model after so many trainings, ours and the paper's."""

    model: str
    recipe: str | None
    trainings: int | None
    ours: Mapping[str, Sample | None]
    """Split → our figure."""
    paper: Mapping[str, float | None]
    """Split → the paper's, where it is after as many trainings."""
    stands: bool | None

    def difference(self, split: str) -> float | None:
        """Return ours minus the paper's; None where either is missing."""
        ours, paper = self.ours[split], self.paper[split]
        return None if ours is None or paper is None else ours.mean - paper

    def cells(self) -> list[str]:
        cells = [self.model, f"`{self.recipe}`" if self.recipe else NOTHING, str(self.trainings or NOTHING)]
        cells.append(str(test.n) if (test := self.ours["test"]) else NOTHING)
        for split in SPLITS:
            ours, paper, difference = self.ours[split], self.paper[split], self.difference(split)
            cells.append(ours.text() if ours else NOT_RUN if self.recipe else NOTHING)
            cells.append(NOTHING if paper is None else str(paper))
            cells.append(NOTHING if difference is None else f"{difference:+.2f}")
        return [*cells, yes_no(self.stands, NOTHING)]

    def values(self) -> list[list[object]]:
        values: list[object] = [self.model, self.recipe, self.trainings, seeds_text(self.ours["test"])]
        for split in SPLITS:
            values += [*_mean_sd(self.ours[split]), self.paper[split], self.difference(split)]
        return [[*values, self.stands]]


def _mean_sd(sample: Sample | None) -> tuple[float | None, float | None]:
    return (None, None) if sample is None else (sample.mean, sample.sd)


def seeds_text(by_seed: Sample | Mapping[int, object] | None) -> str:
    return " ".join(map(str, by_seed.by_seed if isinstance(by_seed, Sample) else by_seed or ()))


def perplexity_lines(row: Row, model: str) -> list[PerplexityLine]:
    """Return a row's lines: one after as many trainings as the paper's figure, run or not, and one for any other."""
    paper, trainings_of_paper = row.published, row.published.trainings
    nothing: dict[str, float | None] = dict.fromkeys(SPLITS)
    return [
        PerplexityLine(
            model=model,
            recipe=row.name,
            trainings=trainings,
            ours={split: row.perplexity(split, trainings) for split in SPLITS},
            paper={"valid": paper.valid, "test": paper.test} if trainings == trainings_of_paper else nothing,
            stands=stands(row) if trainings == trainings_of_paper else None,
        )
        for trainings in sorted({trainings_of_paper, *row.trainings()})
    ]


def _table3_lines(rows: Mapping[str, Row]) -> list[PerplexityLine]:
    lines = []
    for cited in CITATIONS:
        model = cited.model if cited.parameters is None else f"{cited.model}, {cited.parameters}"
        if cited.recipe is not None:
            lines += perplexity_lines(rows[cited.recipe], model)
            continue
        paper: Mapping[str, float | None] = {"valid": cited.valid, "test": cited.test}
        ours: Mapping[str, Sample | None] = {split: None for split in SPLITS}
        lines.append(PerplexityLine(model=model, recipe=None, trainings=None, ours=ours, paper=paper, stands=None))
    quoted = {citation.recipe for citation in CITATIONS}
    others = [row for row in rows.values() if row.published.table == "Table 3" and row.name not in quoted]
    return lines + [line for row in others for line in perplexity_lines(row, row.published.model)]


CORPUS_TITLES = {
    "ptb": "Penn Treebank",
    "wikitext-2": "WikiText-2",
    "wikitext-2-half1": "WikiText-2, first half",
    "wikitext-2-half2": "WikiText-2, second half",
}


def _label(row: Row) -> str:
    return f"{row.published.model}, {row.published.size}, {CORPUS_TITLES[row.published.corpus]}"


def perplexity_table(name: str, rows: Mapping[str, Row], only: Sequence[str] = ()) -> Table[PerplexityLine]:
    """Return one of `TITLES`; or, of any other name, a table of the rows `only`."""
    if name == "table3":
        lines = _table3_lines(rows)
    else:
        title = TITLES.get(name, "").partition(":")[0]
        listed = [rows[recipe] for recipe in only] or [row for row in rows.values() if row.published.table == title]
        if name == "beside":  # each follows the row that it repeats
            listed = [one for row in listed for one in (rows[row.published.repeats or ""], row)]
        lines = [line for row in listed for line in perplexity_lines(row, _label(row))]
    figures = [f"{split}_{what}" for split in SPLITS for what in ("mean", "sd", "paper", "difference")]
    return Table(
        name=name,
        title=TITLES.get(name, "Perplexity"),
        lines=lines,
        headings=(
            *("model", "recipe", "trainings", "seeds"),
            *("valid, ours", "paper", "difference", "test, ours", "paper", "difference", "stands"),
        ),
        align="llrrrrrrrrl",
        cells=PerplexityLine.cells,
        columns=("model", "recipe", "trainings", "seeds", *figures, "stands"),
        values=PerplexityLine.values,
    )


# Table 2 with the words of the half

Both = tuple[Sample, Sample]
"""A perplexity with the whole text's words, and with the half's own."""


def _both(row: Row, split: str) -> Both | None:
    whole = row.perplexity(split, 1)
    own = {
        seed: result.analysis.own_words[split].perplexity
        for seed, result in row.results.items()
        if result.analysis.own_words
    }
    return (whole, Sample(own)) if whole and len(own) == len(row.results) else None


def own_words_table(rows: Mapping[str, Row]) -> Table[tuple[Row, dict[str, Both]]]:
    """Return both figures of every row of which every seed was measured, beside the paper's.

    The paper does not say whether the halves share the whole text's vocabulary or have their own, under which a word
    that the half lacks is `<unk>`, or is left out. This project's rows share it; here the same weights are scored the
    other way.
    """
    lines = [(row, {split: both for split in SPLITS if (both := _both(row, split))}) for row in rows.values()]

    def cells(line: tuple[Row, dict[str, Both]]) -> list[str]:
        row, figures = line
        cells = [
            f"{row.published.model}, {CORPUS_TITLES[row.published.corpus]}",
            f"`{row.name}`",
            str(len(row.results)),
        ]
        for split, (whole, own) in figures.items():
            cells += [whole.text(), own.text(), str(getattr(row.published, split))]
        return cells

    def values(line: tuple[Row, dict[str, Both]]) -> list[list[object]]:
        row, figures = line
        values: list[object] = [row.published.model, row.name, seeds_text(row.results)]
        for split, (whole, own) in figures.items():
            values += [whole.mean, own.mean, own.sd, getattr(row.published, split)]
        return [values]

    whats = ("the whole text's words", "the half's", "paper")
    columns = [f"{split}_{what}" for split in SPLITS for what in ("whole_mean", "own_mean", "own_sd", "paper")]
    return Table(
        name="table2-own-words",
        title="Table 2 with the words of the half: those that it lacks read as `<unk>`",
        lines=[(row, figures) for row, figures in lines if len(figures) == len(SPLITS)],
        headings=("model", "recipe", "seeds", *(f"{split}, {what}" for split in SPLITS for what in whats)),
        align="llrrrrrrr",
        cells=cells,
        columns=("model", "recipe", "seeds", *columns),
        values=values,
        optional=True,
        notes=OWN_WORDS_NOTES,
    )


OWN_WORDS_NOTES = """\
The same weights, scored once with the vocabulary of the whole text, as in Table 2 above, and once as a vocabulary of
the half's own words reads valid and test text. The paper does not say which of the two its figures are."""


# The controls

CONTROLS_NOTES = """\
Each row is one training of a small model with one thing changed, beside the paper's four models after one training.
"Difference" is test perplexity minus that of the row without the augmented loss (VD for untied rows, RE for tied
ones), the mean over the seeds that both have; "share" divides it by the same difference of the paper's own loss."""


@final
@dataclass(frozen=True, kw_only=True)
class ControlLine:
    """A row after one training, and its distance to the row without the augmented loss."""

    row: Row
    ours: Mapping[str, Sample | None]
    difference: float | None
    share: float | None

    def cells(self) -> list[str]:
        valid, test = self.ours["valid"], self.ours["test"]
        return [
            self.row.published.model,
            f"`{self.row.name}`",
            str(test.n) if test else NOTHING,
            valid.text() if valid else NOT_RUN,
            test.text() if test else NOT_RUN,
            NOTHING if self.difference is None else f"{self.difference:+.2f}",
            NOTHING if self.share is None else f"{100 * self.share:.0f} %",
        ]

    def values(self) -> list[list[object]]:
        figures = [number for split in SPLITS for number in _mean_sd(self.ours[split])]
        published = self.row.published
        return [[published.model, self.row.name, seeds_text(self.ours["test"]), *figures, self.difference, self.share]]


def _mean_difference(row: Row, base: Row) -> float | None:
    ours, others = row.perplexity("test", 1), base.perplexity("test", 1)
    apart = [] if ours is None or others is None else differences(ours, others)
    return statistics.fmean(apart) if apart else None


def differences(ours: Sample, others: Sample) -> list[float]:
    """Return ours minus the others', seed by seed, of the seeds that both have."""
    return [value - others.by_seed[seed] for seed, value in ours.by_seed.items() if seed in others.by_seed]


def controls_table(rows: Mapping[str, Row]) -> Table[ControlLine]:
    """Return what the augmented loss does: recipes with one thing changed beside the plain ones, after one training."""
    lines = []
    for base, augmented in (("ptb-small-vd", "ptb-small-al"), ("ptb-small-re", "ptb-small-real")):
        gain = _mean_difference(rows[augmented], rows[base])
        controls = [row for row in rows.values() if row.published.table == CONTROLS]
        for row in (
            rows[base],
            rows[augmented],
            *(row for row in controls if row.published.repeats in (base, augmented)),
        ):
            difference = None if row.name == base else _mean_difference(row, rows[base])
            share = difference / gain if difference is not None and gain else None
            ours = {split: row.perplexity(split, 1) for split in SPLITS}
            lines.append(ControlLine(row=row, ours=ours, difference=difference, share=share))
    return Table(
        name="controls",
        title="Controls: what the augmented loss does, small network on Penn Treebank",
        lines=lines,
        headings=("model", "recipe", "seeds", "valid", "test", "difference", "share of AL's gain"),
        align="llrrrrr",
        cells=ControlLine.cells,
        columns=(
            "model",
            "recipe",
            "seeds",
            *(f"{s}_{what}" for s in SPLITS for what in ("mean", "sd")),
            "difference",
            "share",
        ),
        values=ControlLine.values,
        notes=CONTROLS_NOTES,
    )


# Figure 1 as a table

FIGURE_1_TITLE = "Figure 1: distance between the spans of input and output table"


def figure1_table(figure1: Figure1 | None) -> Table[tuple[str, Point]]:
    """Return mean, spread and number of runs of each point, beside the paper's."""

    def cells(line: tuple[str, Point]) -> list[str]:
        (name, point), letter = line, letters[line[0]]
        sample = point.distances
        ours = [NOTHING, NOT_RUN] if sample is None else [str(sample.n), sample.text(3)]
        return [f"({letter})", f"{point.beta:g}", f"{point.tau:g}", *ours, point.paper(name) or NOTHING]

    def values(line: tuple[str, Point]) -> list[list[object]]:
        (name, point), letter = line, letters[line[0]]
        runs = 0 if point.distances is None else point.distances.n
        return [[letter, f"{point.beta:g}", f"{point.tau:g}", runs, *_mean_sd(point.distances), point.paper(name)]]

    panels = {} if figure1 is None else figure1.panels
    letters = {"beta": "a", "tau": "b"}
    return Table(
        name="figure1",
        title=FIGURE_1_TITLE,
        lines=[(name, point) for name, panel in panels.items() for point in panel],
        headings=("panel", "β", "τ", "runs", "distance", "the paper"),
        align="lrrrrl",
        cells=cells,
        columns=("panel", "beta", "tau", "runs", "mean", "sd", "paper"),
        values=values,
        optional=True,
    )


# The README's table


@final
@dataclass(frozen=True, kw_only=True)
class ReadmeLine:
    """A row after so many trainings, in short."""

    row: Row
    trainings: int
    spread: Spread | None

    def cells(self) -> list[str]:
        row, paper = self.row, self.row.published
        samples = [row.perplexity(split, self.trainings) for split in SPLITS]
        same = self.trainings == paper.trainings
        test, next_seed = row.test(), NOTHING
        if same and test is not None and self.spread is not None:
            low, high = self.spread.next_seed_range(test)
            next_seed = f"{low:.2f} to {high:.2f}"
        printed = NOTHING if paper.test is None else f"{paper.valid} / {paper.test}"
        return [
            f"`{row.name}`",
            str(self.trainings),
            " / ".join(sample.text() for sample in samples if sample is not None),
            next_seed,
            printed + ("" if same or paper.test is None else f" after {paper.trainings}"),
            yes_no(stands(row), NOTHING) if same else NOTHING,
            str(samples[1].n) if samples[1] else NOTHING,
            f"`results/{row.name}`",
        ]


def readme_table(rows: Mapping[str, Row], spread: Spread | None) -> Table[ReadmeLine]:
    """Return every row of which there is a figure, controls aside."""
    return Table(
        name="readme",
        title="Results",
        lines=[
            ReadmeLine(row=row, trainings=trainings, spread=spread)
            for row in rows.values()
            if row.published.table != CONTROLS
            for trainings in row.trainings()
        ],
        headings=(
            *("recipe", "trainings", "ours, valid / test", "next seed, test"),
            *("the paper's", "stands", "seeds", "folder"),
        ),
        align="lrrrrlrl",
        cells=ReadmeLine.cells,
    )
