"""The published figures, against the paper's tables written down a second time, in the paper's own layout."""

import dataclasses

import pytest

from tiedlm.corpora.sources import SOURCES
from tiedlm.recipes.catalogue import recipe, recipe_names
from tiedlm.reproduction.published import PUBLISHED, UNPUBLISHED

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
# Of Table 3, PTB, valid / test.
TABLE_3 = """
rhn    VD-RHN        71.2 / 68.5
rhn    VD-RHN+RE     68.1 / 66.0
"""
VARIANTS = {"": "vd", "+AL": "al", "+RE": "re", "+REAL": "real"}
MODELS = {f"VD-{kind}{added}": name for kind in ("LSTM", "RHN") for added, name in VARIANTS.items()}


def printed() -> dict[str, tuple[str, str, str, float, float]]:
    """Key → (corpus, size, row, valid, test)."""
    found = {}
    for line in (TABLE_1 + TABLE_3).split("\n"):
        if not line:
            continue
        size, row, *figures = line.replace("/", " ").split()
        for corpus, pair in zip(("ptb", "wikitext-2"), zip(figures[::2], figures[1::2], strict=True), strict=False):
            key = f"{corpus.replace('-', '')}-{size}-{MODELS[row]}"
            found[key] = (corpus, size, row, float(pair[0]), float(pair[1]))
    return found


def test_the_table_is_whole_and_as_printed():
    rows = {key: (row.corpus, row.size, row.row, row.valid, row.test) for key, row in PUBLISHED.items()}
    assert rows == printed()
    assert len(rows) == 22
    assert {key for key, row in PUBLISHED.items() if row.table != "Table 1"} == {"ptb-rhn-vd", "ptb-rhn-re"}
    assert {row.table for row in PUBLISHED.values()} == {"Table 1", "Table 3"}


def test_the_small_ptb_models_but_the_baseline_were_trained_twice():
    twice = {key for key, row in PUBLISHED.items() if row.trainings == 2}
    assert twice == {"ptb-small-al", "ptb-small-re", "ptb-small-real"}
    assert {row.trainings for row in PUBLISHED.values()} == {1, 2}
    assert {key for key, row in PUBLISHED.items() if "footnote 4" in row.protocol} == twice | {"ptb-small-vd"}


def test_every_row_has_its_recipe_and_every_recipe_on_these_corpora_its_row():
    named = {name for name in recipe_names() if recipe(name).corpus.name in SOURCES}
    assert named - set(UNPUBLISHED) == set(PUBLISHED)
    assert set(UNPUBLISHED) <= named


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_recipe_is_of_the_model_that_the_row_names(name):
    row, config = PUBLISHED[name], recipe(name)
    assert config.recipe == name
    assert config.corpus.name == row.corpus
    assert config.model.units == {"small": 200, "medium": 650, "large": 1500, "rhn": 830}[row.size]
    variants = {(False, False): "vd", (False, True): "al", (True, False): "re", (True, True): "real"}
    assert variants[config.model.tied, config.loss.gamma > 0] == MODELS[row.row]


def test_validation_is_harder_than_test_and_corpora_are_known():
    assert all(row.valid > row.test for row in PUBLISHED.values())
    assert {row.corpus for row in PUBLISHED.values()} <= set(SOURCES)


def test_a_row_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        PUBLISHED["ptb-small-vd"].test = 0.0  # pyright: ignore[reportAttributeAccessIssue]
