"""What is committed is what the results make; and one name follows a row through the whole project."""

from __future__ import annotations

import csv
import io

from meta.sources import ROOT
from tiedlm.paper.published import PUBLISHED
from tiedlm.paper.render import changes
from tiedlm.paper.tables import TITLES
from tiedlm.recipes import recipe, recipe_names

RESULTS = ROOT / "results"


def test_every_table_figure_and_page_is_as_the_results_make_it() -> None:
    assert list(changes(ROOT)) == [], "run `tiedlm reproduce --render`, with the versions in constraints.txt"


def test_recipes_and_published_rows_have_the_same_names() -> None:
    assert set(PUBLISHED) <= set(recipe_names())
    assert all(recipe(name).recipe == name for name in recipe_names())


def test_folders_of_results_have_their_recipes_names() -> None:
    folders = {path.parent.parent.name for path in RESULTS.glob("*/seed-*/provenance.json")}
    assert folders
    assert folders <= set(recipe_names())


def test_rows_of_the_tables_have_their_recipes_names() -> None:
    printed = set()
    for name in TITLES:
        text = (ROOT / "docs" / "tables" / f"{name}.csv").read_text()
        printed |= {row["recipe"] for row in csv.DictReader(io.StringIO(text))} - {""}
    assert printed == set(PUBLISHED)
