"""Tables of invented results, equal to the golden files; `TIEDLM_UPDATE_GOLDEN=1 pytest` writes them anew."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path
from typing import Any

import pytest

from support.published_results import CHANCES, add_figure1, add_group, add_result, edit
from tiedlm.errors import ArgumentError, RunError
from tiedlm.paper.comparisons import claims_tables, orderings, step_lines
from tiedlm.paper.figure1 import Setting, read_outcomes
from tiedlm.paper.render import all_tables, page_part, readme_part
from tiedlm.paper.results import read_rows
from tiedlm.paper.tables import Table, controls_table, csv_value, perplexity_table

GOLDEN = Path(__file__).parents[1] / "golden" / "tables"


@pytest.fixture(scope="module")
def invented(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows that stand and do not, of one to four seeds, trained once and twice, halves, controls, unfinished points."""
    results = tmp_path_factory.mktemp("invented")
    small = {
        "vd": [(87.0,), (86.5,), (88.0,), (86.0,)],
        "al": [(85.0, 83.0), (85.5,)],
        "re": [(87.0, 85.0), (86.5, 84.6), (87.2, 85.2)],
        "real": [(86.0, 83.5), (86.4, 83.9), (86.3, 83.6)],
    }
    add_group(results, "ptb-small", small)
    add_group(results, "ptb-medium", {"re": [(73.0,), (74.0,)], "real": [(75.0,), (73.9,)]}, chances={"a": 0.03})
    add_group(results, "wikitext2-half1-small", {"vd": [(150.0,), (151.0,)]})
    add_result(results, "ptb-small-re-bias", 0, 84.0, 82.0)
    add_result(results, "ptb-small-re-uniform", 0, 86.4)
    add_result(results, "ptb-small-vd-decay1e-5", 1, 85.9)
    less = {measure: 0.7 * chance for measure, chance in CHANCES.items()}
    add_result(results, "ptb-small-real", 0, 86.0, 83.5, chances=less)
    add_figure1(results, runs=2, without=[(Setting(10.0, 0.5), 1), (Setting(20.0, 1.0), 0), (Setting(20.0, 1.0), 1)])
    return results


@pytest.mark.parametrize("kind", ["empty", "invented"])
def test_tables_and_pages_are_the_golden_ones(kind: str, invented: Path, tmp_path: Path) -> None:
    results = invented if kind == "invented" else tmp_path
    rows, figure1 = read_rows(results), read_outcomes(results)
    tables = all_tables(rows, figure1)
    made = {"readme.md": readme_part(rows, figure1), "page.md": page_part(rows, figure1, tables)}
    for table in tables if kind == "invented" else []:
        made |= {f"{table.name}.csv": table.csv(), f"{table.name}.tex": table.latex()}
    folder = GOLDEN / kind
    if os.environ.get("TIEDLM_UPDATE_GOLDEN"):
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in made.items():
            (folder / name).write_text(text)
    assert {path.name for path in folder.iterdir()} == set(made)
    for name, text in made.items():
        assert text == (folder / name).read_text(), name


def test_a_table_of_pipes_and_signs_by_hand() -> None:
    rows = [("a|b", "-1.5 ± 0.2"), ("`x_1` & 50 %", "VD-LSTM, 2-3")]
    table: Table[Any] = Table(
        name="t", title="T", lines=rows, headings=("left", "β ≤ 1"), align="lr", cells=lambda line: line,
        columns=("left",), values=lambda line: [[line[0]], [line[1]]],
    )  # fmt: skip
    assert (
        table.markdown()
        == "| left | β ≤ 1 |\n| --- | ---: |\n| a\\|b | -1.5 ± 0.2 |\n| `x_1` & 50 % | VD-LSTM, 2-3 |\n"
    )
    assert r"a|b & $-$1.5 $\pm$ 0.2 \\" in table.latex()
    assert r"x\_1 \& 50 \% & VD-LSTM, 2-3 \\" in table.latex()
    assert table.csv() == 'left\na|b\n-1.5 ± 0.2\n`x_1` & 50 %\n"VD-LSTM, 2-3"\n'
    assert [csv_value(value) for value in (None, True, 0.123456, 7, "x")] == ["", "true", "0.1235", "7", "x"]
    with pytest.raises(ArgumentError, match="one number of columns"):
        Table(name="t", title="T", lines=rows, headings=("one",), align="l", cells=lambda line: line)


def test_figures_are_compared_only_after_as_many_trainings_as_the_papers(invented: Path) -> None:
    lines = {(line.recipe, line.trainings): line for line in perplexity_table("table1", read_rows(invented)).lines}
    assert lines["ptb-small-al", 1].paper == {"valid": None, "test": None}
    assert lines["ptb-small-al", 2].difference("test") == pytest.approx(0.1)
    assert (lines["ptb-small-al", 1].stands, lines["ptb-small-al", 2].stands) == (None, True)
    assert lines["ptb-medium-real", 1].stands is False
    assert (lines["ptb-large-vd", 1].ours, lines["ptb-large-vd", 1].stands) == ({"valid": None, "test": None}, None)


def test_a_table_of_any_rows_has_just_these(invented: Path) -> None:
    table = perplexity_table("rows", read_rows(invented), ["ptb-small-vd", "ptb-small-re-uniform"])
    assert [line.recipe for line in table.lines] == ["ptb-small-vd", "ptb-small-re-uniform"]


def test_controls_are_compared_over_shared_seeds_and_as_shares_of_the_papers_gain(invented: Path) -> None:
    lines = {line.row.name: line for line in controls_table(read_rows(invented)).lines}
    assert len(lines) == 28
    gain = (86.0 - 87.0 + 86.4 - 86.5 + 86.3 - 87.2) / 3
    uniform = lines["ptb-small-re-uniform"]
    assert (uniform.difference, uniform.share) == (pytest.approx(-0.6), pytest.approx(-0.6 / gain))
    decay = lines["ptb-small-vd-decay1e-5"]
    assert (decay.difference, decay.share) == (pytest.approx(-0.6), pytest.approx(0.6 / 1.5))
    assert lines["ptb-small-re"].difference is None
    assert lines["ptb-small-real"].share == pytest.approx(1.0)
    assert lines["ptb-small-re-unigram"].cells()[3:] == ["not run", "not run", "–", "–"]


def test_the_order_and_its_steps_by_hand(invented: Path) -> None:
    orders = {order.group: order for order in orderings(read_rows(invented))}
    assert list(orders["ptb-small"].means()) == ["al", "real", "re", "vd"]
    assert [orders[group].holds() for group in ("ptb-small", "ptb-medium")] == [False, None]
    steps = {(step.worse.name, step.better.name): step for step in step_lines(orders["ptb-small"])}
    step = steps["ptb-small-vd", "ptb-small-re"].ours
    assert step is not None
    assert (step.n, step.mean) == (3, pytest.approx((2.0 + 1.9 + 2.8) / 3))
    assert steps["ptb-small-al", "ptb-small-real"].holds() is False


def test_claims_are_ratios_over_the_text_and_the_seeds(invented: Path) -> None:
    lines = {line.trainings: line for line in claims_tables(read_rows(invented))[0].lines if line.group == "ptb-small"}
    claim = lines[1, 2].claims["a, everywhere"]
    assert lines[1, 2].seeds == (0, 1, 2)
    assert claim.by_seed == pytest.approx({0: 0.7, 1: 1.0, 2: 1.0})
    assert claim.ratio.value == pytest.approx(2.7 / 3)
    assert claim.vd == pytest.approx(0.02, rel=1e-3)


def test_models_that_were_measured_on_different_texts_are_refused(tmp_path: Path) -> None:
    add_group(tmp_path, "ptb-small", {"vd": [(87.0,)], "real": [(85.0,)]})
    blocks = {"sums": [100.0, 100.0], "counts": [40_000, 42_430]}
    edit(tmp_path / "ptb-small-real" / "seed-0" / "analysis.json", lambda v: v["blocks"].update(a=blocks))
    with pytest.raises(RunError, match=r"do not compare: 'a' was measured over different words"):
        claims_tables(read_rows(tmp_path))


def test_csv_files_have_a_value_a_column(invented: Path) -> None:
    for table in all_tables(read_rows(invented), read_outcomes(invented)):
        rows = list(csv.reader(io.StringIO(table.csv())))
        assert len(rows) > 1, table.name
        assert {len(row) for row in rows} == {len(table.columns)}, table.name
