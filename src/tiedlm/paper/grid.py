"""A table of texts in three forms: Markdown to read, LaTeX to typeset, CSV to compute with."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from tiedlm.errors import ArgumentError

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
    "τ": r"$\tau$",
}


@final
@dataclass(frozen=True, kw_only=True)
class Grid:
    """Headings, rows of as many cells, and for each column whether it stands left (`l`) or right (`r`).

    Raises:
        ArgumentError: a row or `align` of another length than the headings.
    """

    title: str
    headings: Sequence[str]
    align: str
    rows: Sequence[Sequence[str]]

    def __post_init__(self) -> None:
        lengths = {len(self.headings), len(self.align), *map(len, self.rows)}
        if len(lengths) > 1:
            raise ArgumentError(f"The table {self.title!r} must have one number of columns, but has {sorted(lengths)}.")

    def markdown(self) -> str:
        """Return a table of pipes, without its title."""
        rule = ["---" if side == "l" else "---:" for side in self.align]
        rows = [[cell.replace("|", "\\|") for cell in row] for row in (self.headings, rule, *self.rows)]
        return "".join(f"| {' | '.join(row)} |\n" for row in rows)

    def latex(self) -> str:
        """Return a `tabular` with the rules of the package booktabs, the title in a comment above it."""
        head, *body = [" & ".join(map(_latex, row)) + r" \\" for row in (self.headings, *self.rows)]
        lines = [rf"\begin{{tabular}}{{{self.align}}}", r"\toprule", head, r"\midrule", *body, r"\bottomrule"]
        return "".join(f"{line}\n" for line in (f"% {self.title}", *lines, r"\end{tabular}"))

    def csv(self) -> str:
        """Return comma-separated values, a line feed after each row."""
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([self.headings, *self.rows])
        return text.getvalue()


def _latex(cell: str) -> str:
    escaped = "".join(LATEX.get(character, character) for character in cell.replace("`", ""))
    return re.sub(r"(?<![\w.-])-(?=\d)", "$-$", escaped)  # a number's sign is longer than a hyphen
