"""`results/` → every table, figure and generated page: the same bytes each time, without torch, corpus or network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tiedlm.errors import RunError
from tiedlm.files import disk_errors_as_run_errors, write_bytes
from tiedlm.paper.figure1 import Figure1, comparison_text, read_outcomes, summary_text
from tiedlm.paper.figures import FORMATS, draw_figure1, draw_figure2, epochs_by_training
from tiedlm.paper.plan import summary_text as rows_text
from tiedlm.paper.published import CONTROLS
from tiedlm.paper.results import Row, read_rows
from tiedlm.paper.statistics import pooled_sd
from tiedlm.paper.tables import FIGURE_1_TITLE, Table, all_tables, readme_table

TABLES, FIGURES = Path("docs", "tables"), Path("docs", "figures")
README, PAGE = Path("README.md"), Path("docs", "results.md")
BEGIN = "<!-- made by `tiedlm reproduce --render`: edit results, not this -->"
END = "<!-- end of what is made -->"

Outputs = dict[Path, bytes | None]
"""Path below the project's folder → content; None: no such file may be there."""

TABLE_NOTES = """\
Ours: mean ± sample standard deviation over seeds; a single value for one seed. Results after one and after two
trainings have rows of their own; only those after as many trainings as in the paper are compared with it."""
FIGURE_NOTE = """\
Thick lines are means over seeds, thin lines seeds, dashed lines second trainings. The first epochs lie above the
frame."""


def rendered(project: Path) -> Outputs:
    """Return all that is made of the project's results.

    Raises:
        RunError: a result that is refused, a page without its markers.
        ConfigError: Matplotlib is not installed.
    """
    rows, figure1 = read_rows(project / "results"), read_outcomes(project / "results")
    tables = all_tables(rows, figure1)
    outputs: Outputs = {}
    for table in tables:
        absent = table.optional and not table.rows
        forms = (
            {} if absent else {"md": f"# {table.title}\n\n{table.markdown()}", "tex": table.latex(), "csv": table.csv()}
        )
        for form in ("md", "tex", "csv"):
            outputs[TABLES / f"{table.name}.{form}"] = forms[form].encode() if form in forms else None
    pictures = {"figure1": None if figure1 is None else draw_figure1(figure1), "figure2": draw_figure2(rows)}
    for name, picture in pictures.items():
        for form in FORMATS:
            outputs[FIGURES / f"{name}.{form}"] = None if picture is None else picture[form]
    outputs[PAGE] = replace_between_markers(project / PAGE, page_part(rows, figure1, tables)).encode()
    outputs[README] = replace_between_markers(project / README, readme_part(rows, figure1)).encode()
    return outputs


def changes(project: Path) -> Outputs:
    """Return what of `rendered` is otherwise, or missing, in the project's folder; raises as `rendered`."""

    def content(path: Path) -> bytes | None:
        return path.read_bytes() if path.is_file() else None

    return {path: made for path, made in rendered(project).items() if content(project / path) != made}


def write(project: Path) -> list[Path]:
    """Write what differs and return its paths; all of it is made before anything is written.

    Raises:
        RunError: as `rendered`; and where the disk is full or fails.
    """
    changed = changes(project)
    for path, content in changed.items():
        with disk_errors_as_run_errors(project / path):
            if content is None:
                (project / path).unlink()
            else:
                write_bytes(project / path, content)
    return list(changed)


def readme_part(rows: Mapping[str, Row], figure1: Figure1 | None) -> str:
    """Return the README's table, every row of which there is a figure, and what Figure 1 came to."""
    tests = (row.test() for row in rows.values() if row.published.table != CONTROLS)
    spread = pooled_sd(test for test in tests if test is not None)
    table = readme_table(rows, spread)
    next_seed = ""
    if spread is not None:
        next_seed = (
            "\nNext seed: 95 % prediction interval for one more seed, from the standard deviation between seeds of\n"
            f"log perplexity, pooled over rows of two seeds or more: {spread.sd:.4f}, with "
            f"{spread.degrees} {'degree' if spread.degrees == 1 else 'degrees'} of freedom.\n"
        )
    figure = "" if figure1 is None else f"\n{comparison_text(figure1)}\n"
    return f"{rows_text(rows)}\n{table.markdown() if table.rows else ''}{next_seed}{figure}"


def page_part(rows: Mapping[str, Row], figure1: Figure1 | None, tables: list[Table]) -> str:
    """Return the page's tables and figures, with how to read them."""
    parts = [rows_text(rows), TABLE_NOTES]
    for table in tables:
        if table.name == "figure1":
            parts.append(f"### {table.title}")
            parts.append("Not run." if figure1 is None else _figure1_part(figure1, table))
            parts.append("### Figure 2: validation perplexity by epoch")
            parts.append(
                f"![Figure 2](figures/figure2.png)\n\n{FIGURE_NOTE}" if epochs_by_training(rows) else "Not run."
            )
        elif table.rows or not table.optional:
            parts += [f"### {table.title}\n\n{table.markdown()}", *([table.notes] if table.notes else [])]
    return "\n\n".join(part.strip("\n") for part in parts)


def _figure1_part(figure1: Figure1, table: Table) -> str:
    return (
        f"![{FIGURE_1_TITLE}](figures/figure1.png)\n\n{table.markdown()}\n{summary_text(figure1)}\n"
        f"Chance, the distance of two random subspaces of {figure1.units} of {figure1.words:,} dimensions: "
        f"sqrt(1 - d/V) = {figure1.chance:.3f}."
    )


def replace_between_markers(page: Path, part: str) -> str:
    """Return a page's text with `part` between its markers, which stand on lines of their own.

    Raises:
        RunError: the page is missing, or does not have each marker once, in order.
    """
    if not page.is_file():
        raise RunError(f"{page} is missing. Name the folder of the project, with its README and docs: --project DIR.")
    lines = page.read_text(encoding="utf-8").splitlines(keepends=True)
    places = [[number for number, line in enumerate(lines) if line.strip() == marker] for marker in (BEGIN, END)]
    if [len(numbers) for numbers in places] != [1, 1] or places[0] > places[1]:
        raise RunError(
            f"{page} must have the line {BEGIN!r} once, and the line {END!r} once below it, but has them "
            f"{len(places[0])} and {len(places[1])} times. Put them where the tables belong."
        )
    (begin,), (end,) = places
    return "".join([*lines[: begin + 1], "\n", part.strip("\n"), "\n\n", *lines[end:]])
