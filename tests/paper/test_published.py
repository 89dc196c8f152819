"""The paper's figures as data, against its printed tables and claims, and the names that rows share with recipes."""

import pytest

from tiedlm.paper.published import CITATIONS, PREDICTIONS, PRINTED, PUBLISHED, ROWS
from tiedlm.recipes import recipe
from tiedlm.runs.config import RunConfig

PERPLEXITIES = {
    "Table 1": "92.6 87.3 86.3 82.9 89.9 85.1 86.3 82.7 82.0 77.7 77.4 74.7 77.1 73.9 75.7 73.2 76.8 72.6 74.5 71.2 "
    "72.5 69.0 71.1 68.5 112.2 105.9 110.3 103.8 106.1 100.5 105.6 98.9 100.2 95.3 98.8 93.1 92.3 87.7 91.5 87.0",
    "Table 2": "159.1 148.0 153.0 142.5 152.4 141.9 149.3 140.6 163.19 148.6 156.4 143.7 152.5 140.9 150.5 138.4",
    "Table 3": "71.2 68.5 68.1 66.0",
}


@pytest.mark.parametrize("table", PERPLEXITIES)
def test_perplexities_are_those_of_the_printed_table(table: str) -> None:
    rows = [row for row in PRINTED.values() if row.table == table and row.test is not None]
    assert " ".join(f"{row.valid} {row.test}" for row in rows) == PERPLEXITIES[table]


def test_only_the_small_penn_treebank_models_but_vd_were_trained_twice() -> None:
    assert [name for name, row in PRINTED.items() if row.trainings == 2] == [
        f"ptb-small-{v}" for v in ("al", "re", "real")
    ]


@pytest.mark.parametrize("name", ROWS)
def test_a_row_is_of_the_corpus_size_and_variant_that_its_recipe_trains(name: str) -> None:
    row, config = ROWS[name], recipe(name)
    assert isinstance(config, RunConfig)
    assert config.recipe == name
    assert row.corpus == config.corpus.name
    assert {"small": 200, "medium": 650, "large": 1500}.get(row.size, 830) == getattr(config.model, "units", None)
    assert getattr(config.model, "tied", None) == ("RE" in row.model)
    assert (config.loss.gamma > 0) == ("AL" in row.model or "uniform" in row.model)


def test_citations_name_recipes_that_print_the_same_figures() -> None:
    for citation in CITATIONS:
        if citation.recipe is not None:
            row = PUBLISHED[citation.recipe]
            assert (citation.valid, citation.test) == (row.valid, row.test)


def test_predictions_are_ten_words_of_falling_probability() -> None:
    for prediction in PREDICTIONS:
        for words in (prediction.vd, prediction.real):
            assert len(words) == 10
            probabilities = [probability for _, probability in words]
            assert probabilities == sorted(probabilities, reverse=True)
            assert sum(probabilities) <= 1
    assert all(dict(prediction.vd)["<unk>"] > dict(prediction.real).get("<unk>", 0) for prediction in PREDICTIONS[:3])
