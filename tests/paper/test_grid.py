from __future__ import annotations

import csv
import io

import pytest

from tiedlm.errors import ArgumentError
from tiedlm.paper.grid import Grid

GRID = Grid(
    title="Figures of 2 | 3",
    headings=("model", "ours, mean"),
    align="lr",
    rows=[("`a_b`", "-1.20 ± 0.30"), ("50 % & <unk>", "–"), ("x-2|3, +REAL", "ptb-1")],
)


def test_markdown() -> None:
    assert GRID.markdown() == (
        "| model | ours, mean |\n"
        "| --- | ---: |\n"
        "| `a_b` | -1.20 ± 0.30 |\n"
        "| 50 % & <unk> | – |\n"
        "| x-2\\|3, +REAL | ptb-1 |\n"
    )


def test_latex_is_escaped() -> None:
    assert GRID.latex().splitlines() == [
        "% Figures of 2 | 3",
        r"\begin{tabular}{lr}",
        r"\toprule",
        r"model & ours, mean \\",
        r"\midrule",
        r"a\_b & $-$1.20 $\pm$ 0.30 \\",
        r"50 \% \& \textless{}unk\textgreater{} & -- \\",
        r"x-2|3, +REAL & ptb-1 \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]


def test_csv_reads_back() -> None:
    assert GRID.csv().count("\n") == 4
    assert [tuple(row) for row in csv.reader(io.StringIO(GRID.csv()))] == [GRID.headings, *GRID.rows]


@pytest.mark.parametrize("changes", [{"align": "l"}, {"rows": [("a",)]}, {"headings": ("a", "b", "c")}])
def test_columns_that_do_not_fit_are_an_error(changes: dict[str, object]) -> None:
    fields = {"title": "T", "headings": ("a", "b"), "align": "lr", "rows": [("1", "2")]} | changes
    with pytest.raises(ArgumentError, match="'T' must have one number of columns"):
        Grid(**fields)  # pyright: ignore[reportArgumentType]
