"""The published figures, against the paper's tables written down a second time, in the paper's own layout."""

import dataclasses
import re

import pytest

from tiedlm.data.sources import source_of
from tiedlm.paper.published import BESIDE, PUBLISHED
from tiedlm.recipes import recipe

# Table 1, valid / test; the columns are PTB and WikiText-2.
TABLE_1 = """
small  VD-LSTM       92.6 / 87.3   112.2 / 105.9
small  VD-LSTM+AL    86.3 / 82.9   110.3 / 103.8
small  VD-LSTM+RE    89.9 / 85.1   106.1 / 100.5
small  VD-LSTM+REAL  86.3 / 82.7   105.6 / 98.9
medium VD-LSTM       82.0 / 77.7   100.2 / 95.3
medium VD-LSTM+AL    77.4 / 74.7   98.8  / 93.1
medium VD-LSTM+RE    77.1 / 73.9   92.3  / 87.7
medium VD-LSTM+REAL  75.7 / 73.2   91.5  / 87.0
large  VD-LSTM       76.8 / 72.6
large  VD-LSTM+AL    74.5 / 71.2
large  VD-LSTM+RE    72.5 / 69.0
large  VD-LSTM+REAL  71.1 / 68.5
"""
# Table 2, valid / test, the small network; the columns are the first and the second half.
TABLE_2 = """
VD-LSTM       159.1 / 148.0   163.19 / 148.6
VD-LSTM+AL    153.0 / 142.5   156.4  / 143.7
VD-LSTM+RE    152.4 / 141.9   152.5  / 140.9
VD-LSTM+REAL  149.3 / 140.6   150.5  / 138.4
"""
# Table 3, the rows of the paper's own making that no other table has; the last one is nowhere.
TABLE_3 = {
    "ptb-rhn-vd": ("ptb", "rhn", "VD-RHN", 71.2, 68.5),
    "ptb-rhn-re": ("ptb", "rhn", "VD-RHN+RE", 68.1, 66.0),
    "ptb-rhn-real": ("ptb", "rhn", "VD-RHN+REAL", None, None),
}
MODELS = {"VD-LSTM": "vd", "VD-LSTM+AL": "al", "VD-LSTM+RE": "re", "VD-LSTM+REAL": "real"}
RHN = {"VD-RHN": "vd", "VD-RHN+RE": "re", "VD-RHN+REAL": "real"}
WITH_BIAS = ["ptb-small-re-bias", "ptb-small-real-bias"]


def rows(table: str) -> dict[str, tuple[str, str, str, float | None, float | None]]:
    """Key → (corpus, size, row, valid, test) of one table."""
    return {k: (r.corpus, r.size, r.row, r.valid, r.test) for k, r in PUBLISHED.items() if r.table == table}


def printed(table: str, corpora: tuple[str, str]) -> dict[str, tuple[str, str, str, float, float]]:
    """The same, from a table in the paper's layout with one column a corpus."""
    found = {}
    for line in table.strip().splitlines():
        *size, row, figures = re.fullmatch(r"(\w+ +)?(VD[-+A-Z]+) +(.*)", line).groups()  # pyright: ignore
        size = (size[0] or "small").strip()
        numbers = [float(number) for number in figures.replace("/", " ").split()]
        for corpus, pair in zip(corpora, zip(numbers[::2], numbers[1::2], strict=True), strict=False):
            key = f"{corpus.replace('wikitext-2', 'wikitext2')}-{size}-{MODELS[row]}"
            found[key] = (corpus, size, row, *pair)
    return found


def test_the_tables_are_whole_and_as_printed():
    assert rows("Table 1") == printed(TABLE_1, ("ptb", "wikitext-2"))
    assert rows("Table 2") == printed(TABLE_2, ("wikitext-2-half1", "wikitext-2-half2"))
    assert rows("Table 3") == TABLE_3
    assert [len(rows(f"Table {number}")) for number in (1, 2, 3)] == [20, 8, 3]
    assert len(PUBLISHED) == 33


def test_the_paper_has_thirty_rows_and_three_of_ours_stand_beside_them():
    assert [name for name, row in PUBLISHED.items() if row.test is None] == ["ptb-rhn-real", *WITH_BIAS]
    assert [name for name, row in PUBLISHED.items() if row.table == BESIDE] == WITH_BIAS
    assert all((row.valid is None) == (row.test is None) for row in PUBLISHED.values())


@pytest.mark.parametrize("name", WITH_BIAS)
def test_a_row_beside_the_paper_says_which_row_it_repeats(name):
    row, repeats = PUBLISHED[name], name.removesuffix("-bias")
    assert row.repeats == repeats
    printed = PUBLISHED[repeats]
    alike = ("corpus", "size", "trainings")
    assert [getattr(row, field) for field in alike] == [getattr(printed, field) for field in alike]
    assert row.row == f"{printed.row}, output bias"


def test_no_other_row_repeats_one():
    assert [name for name, row in PUBLISHED.items() if row.repeats is not None] == WITH_BIAS


def test_the_small_ptb_models_but_the_baseline_were_trained_twice():
    twice = {key for key, row in PUBLISHED.items() if row.trainings == 2}
    assert twice == {"ptb-small-al", "ptb-small-re", "ptb-small-real", *WITH_BIAS}
    assert {row.trainings for row in PUBLISHED.values()} == {1, 2}
    footnote = {key for key, row in PUBLISHED.items() if "footnote 4" in row.protocol}
    assert footnote == twice - set(WITH_BIAS) | {"ptb-small-vd"}


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_recipe_is_of_the_model_that_the_row_names(name):
    row, config = PUBLISHED[name], recipe(name)
    assert config.recipe == name
    assert config.corpus.name == row.corpus
    variants = {(False, False): "vd", (False, True): "al", (True, False): "re", (True, True): "real"}
    assert variants[config.model.tied, config.loss.gamma > 0] == (MODELS | RHN)[row.row.removesuffix(", output bias")]
    assert config.model.tied_bias == row.row.endswith(", output bias")


@pytest.mark.parametrize("name", [name for name in PUBLISHED if PUBLISHED[name].size != "rhn"])
def test_the_recipe_is_of_the_size_that_the_row_names(name):
    units = {"small": 200, "medium": 650, "large": 1500}
    assert recipe(name).model.units == units[PUBLISHED[name].size]


def test_validation_is_harder_than_test_and_corpora_are_known():
    assert all(row.valid > row.test for row in PUBLISHED.values() if row.valid and row.test)
    assert all(source_of(row.corpus) for row in PUBLISHED.values())


def test_the_rows_show_what_the_paper_says_of_them():
    """A claim that the figures contradict would mean that one was written down wrongly."""
    test = {name: row.test for name, row in PUBLISHED.items() if row.test}
    assert test["ptb-small-al"] < test["ptb-small-re"]
    assert all(test[f"ptb-{size}-re"] < test[f"ptb-{size}-al"] for size in ("medium", "large"))
    groups = {name.rsplit("-", 1)[0] for name in test if "rhn" not in name}
    assert len(groups) == 7
    assert all(
        test[f"{group}-real"] < min(test[f"{group}-{other}"] for other in ("vd", "al", "re")) for group in groups
    )
    gain = {group: 1 - test[f"{group}-al"] / test[f"{group}-vd"] for group in groups}
    assert min(gain["wikitext2-half1-small"], gain["wikitext2-half2-small"]) > gain["wikitext2-small"]


def test_a_row_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        PUBLISHED["ptb-small-vd"].test = 0.0  # pyright: ignore[reportAttributeAccessIssue]
