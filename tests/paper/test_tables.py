"""Tables of invented results, equal to the golden files; `TIEDLM_UPDATE_GOLDEN=1 pytest` writes them anew."""

import csv
import io
import os
from pathlib import Path

import pytest

from support.results import CHANCES, add_figure1, add_group, add_result, edit
from tiedlm.errors import RunError
from tiedlm.paper.figure1 import Setting, read_outcomes
from tiedlm.paper.render import page_part, readme_part
from tiedlm.paper.results import read_rows
from tiedlm.paper.tables import Cell, Table, all_tables, claims_tables, csv_value, order_tables

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
    rows = [
        [Cell("a|b", ["a"]), Cell("-1.5 ± 0.2", [-1.5, 0.2])],
        [Cell("`x_1` & 50 %", ["x, y"]), Cell("VD-LSTM, 2-3", [None, True])],
    ]
    table = Table(name="t", title="T", headings=("left", "β ≤ 1"), align="lr", rows=rows, columns=("l", "m", "sd"))
    assert (
        table.markdown()
        == "| left | β ≤ 1 |\n| --- | ---: |\n| a\\|b | -1.5 ± 0.2 |\n| `x_1` & 50 % | VD-LSTM, 2-3 |\n"
    )
    assert r"a|b & $-$1.5 $\pm$ 0.2 \\" in table.latex()
    assert r"x\_1 \& 50 \% & VD-LSTM, 2-3 \\" in table.latex()
    assert table.csv() == 'l,m,sd\na,-1.5,0.2\n"x, y",,true\n'
    assert [csv_value(value) for value in (None, True, 0.123456, 7, "x")] == ["", "true", "0.1235", "7", "x"]


def values(table: Table, *keys: str) -> dict[tuple[str, ...], dict[str, str]]:
    """What the CSV file has, by the values of some columns."""
    return {tuple(row[key] for key in keys): row for row in csv.DictReader(io.StringIO(table.csv()))}


def test_controls_are_compared_over_shared_seeds_and_as_shares_of_the_papers_gain(invented: Path) -> None:
    [table] = [table for table in all_tables(read_rows(invented), None) if table.name == "controls"]
    lines = {name: (row["difference"], row["share"]) for (name,), row in values(table, "recipe").items()}
    assert len(lines) == 28
    gain = (86.0 - 87.0 + 86.4 - 86.5 + 86.3 - 87.2) / 3
    assert lines["ptb-small-re-uniform"] == ("-0.6", str(round(-0.6 / gain, 4)))
    assert lines["ptb-small-vd-decay1e-5"] == ("-0.6", "0.4")
    assert lines["ptb-small-re"] == lines["ptb-small-re-unigram"] == ("", "")
    assert lines["ptb-small-real"][1] == "1.0"


def test_the_order_and_its_steps_by_hand(invented: Path) -> None:
    orders, steps = order_tables(read_rows(invented))
    lines = {group: (row["ours"], row["holds"]) for (group,), row in values(orders, "models").items()}
    assert lines["ptb-small"] == ("al real re vd", "false")
    assert lines["ptb-medium"] == ("re real", "")
    step = values(steps, "models", "worse", "better")
    small = step["ptb-small", "vd", "re"]
    assert (small["seeds"], small["mean"]) == ("3", str(round((2.0 + 1.9 + 2.8) / 3, 4)))
    assert step["ptb-small", "al", "real"]["holds"] == "false"


def test_claims_are_ratios_over_the_text_and_the_seeds(invented: Path) -> None:
    lines = values(claims_tables(read_rows(invented))[0], "models", "trainings_real", "measure")
    claim = lines["ptb-small", "2", "a, everywhere"]
    assert (claim["seeds"], claim["ratio_of_each_seed"], claim["ratio"]) == ("0 1 2", "0.7 1 1", "0.9")
    assert float(claim["vd"]) == pytest.approx(0.02, rel=1e-3)


def test_models_that_were_measured_on_different_texts_are_refused(tmp_path: Path) -> None:
    add_group(tmp_path, "ptb-small", {"vd": [(87.0,)], "real": [(85.0,)]})
    blocks = {"sums": [100.0, 100.0], "counts": [40_000, 42_430]}
    edit(tmp_path / "ptb-small-real" / "seed-0" / "analysis.json", lambda v: v["blocks"].update(a=blocks))
    with pytest.raises(RunError, match=r"do not compare: 'a' was measured over different words"):
        claims_tables(read_rows(tmp_path))
