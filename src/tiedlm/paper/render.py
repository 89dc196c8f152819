"""`results/` → every table, figure and generated page: the same bytes each time, without torch, corpus or network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tiedlm.checkpoint.saving import saving
from tiedlm.files import write_bytes
from tiedlm.paper.collect import Row, collect
from tiedlm.paper.drawing import FORMATS
from tiedlm.paper.figure1 import figure1, figure1_csv, figure1_table
from tiedlm.paper.figure1_points import Points, read_points
from tiedlm.paper.figure2 import figure2
from tiedlm.paper.grid import Grid
from tiedlm.paper.ordering import orderings
from tiedlm.paper.ordering_tables import orders, orders_csv, steps, steps_csv
from tiedlm.paper.own_words_table import own_words_csv, own_words_table
from tiedlm.paper.page_parts import readme_part, reproduction_part
from tiedlm.paper.pages import with_part
from tiedlm.paper.rate_limit import rate_limit_csv, rate_limit_table
from tiedlm.paper.table4 import pairs
from tiedlm.paper.table4_tables import TITLES as CLAIMS
from tiedlm.paper.table4_tables import claims, claims_csv
from tiedlm.paper.table4_words import next_words_csv, next_words_table
from tiedlm.paper.tables import TITLES, table, table_csv

TABLES, FIGURES = Path("docs", "tables"), Path("docs", "figures")
README, PAGE = Path("README.md"), Path("docs", "results.md")

Outputs = dict[Path, bytes | None]
"""Path below the project's folder → content; None: no such file may be there."""


def rendered(project: Path) -> Outputs:
    """Return all that is made of the project's results.

    Raises:
        RunError: a result that is refused, a page without its markers.
        ConfigError: Matplotlib is not installed.
    """
    rows, points = collect(project / "results"), read_points(project / "results")
    outputs: Outputs = {**_tables(rows, points), **_figures(rows, points)}
    found = orderings(rows)
    outputs[PAGE] = with_part(project / PAGE, reproduction_part(rows, found, points)).encode()
    outputs[README] = with_part(project / README, readme_part(rows, points)).encode()
    return outputs


def changes(project: Path) -> Outputs:
    """Return what of `rendered` is otherwise, or missing, in the project's folder; raises as `rendered`."""
    return {path: content for path, content in rendered(project).items() if _content(project / path) != content}


def write(project: Path) -> list[Path]:
    """Write what differs and return its paths; all of it is made before anything is written.

    Raises:
        RunError: as `rendered`; and where the disk is full or fails.
    """
    changed = changes(project)
    for path, content in changed.items():
        with saving(project / path):
            if content is None:
                (project / path).unlink()
            else:
                write_bytes(project / path, content)
    return list(changed)


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def _tables(rows: Mapping[str, Row], points: Points | None) -> Outputs:
    found = orderings(rows)
    outputs: Outputs = {}
    for name in TITLES:
        outputs |= _in_every_form(name, table(name, rows), table_csv(name, rows))
    outputs |= _in_every_form("orders", orders(found), orders_csv(found))
    outputs |= _in_every_form("steps", steps(found), steps_csv(found))
    compared = pairs(rows)
    for name in CLAIMS:
        outputs |= _in_every_form(name, claims(name, compared), claims_csv(name, compared))
    outputs |= _in_every_form("table4-words", next_words_table(rows), next_words_csv(rows))
    outputs |= _where_any("table2-own-words", own_words_table(rows), own_words_csv(rows))
    outputs |= _where_any("rate-limit", rate_limit_table(rows), rate_limit_csv(rows))
    if points is None:
        return outputs | _in_every_form("figure1", None, None)
    return outputs | _in_every_form("figure1", figure1_table(points), figure1_csv(points))


def _where_any(name: str, grid: Grid, values: Grid) -> Outputs:
    """Return a table's forms, or that there is none where it has no rows."""
    return _in_every_form(name, grid if grid.rows else None, values)


def _in_every_form(name: str, grid: Grid | None, values: Grid | None) -> Outputs:
    """Return a table to read as Markdown and LaTeX, and the one to compute with as CSV; without one, no files."""
    if grid is None or values is None:
        return {TABLES / f"{name}.{form}": None for form in ("md", "tex", "csv")}
    return {
        TABLES / f"{name}.md": f"# {grid.title}\n\n{grid.markdown()}".encode(),
        TABLES / f"{name}.tex": grid.latex().encode(),
        TABLES / f"{name}.csv": values.csv().encode(),
    }


def _figures(rows: Mapping[str, Row], points: Points | None) -> Outputs:
    drawn = {"figure1": None if points is None else figure1(points), "figure2": figure2(rows)}
    return {
        FIGURES / f"{name}.{form}": None if pictures is None else pictures[form]
        for name, pictures in drawn.items()
        for form in FORMATS
    }
