from __future__ import annotations

from pathlib import Path

from support.invented_analysis import CHANCES
from support.published_results import add_result
from tiedlm.paper.collect import collect
from tiedlm.paper.table4_words import next_words_csv, next_words_table


def cells(results: Path, model: str) -> dict[str, str]:
    """Whose → first ten, after the first phrase."""
    found = next_words_table(collect(results)).rows[: len(next_words_table(collect(results)).rows) // 4]
    return {whose: words for _, name, whose, words in found if name == model}


def test_without_results_the_papers_stand_alone(tmp_path):
    grid = next_words_table(collect(tmp_path))
    assert len(grid.rows) == 4 * 2 * 2
    found = cells(tmp_path, "VD-LSTM")
    assert found["the paper, large"].startswith("the .27, a .13, federal .13, N .09, `<unk>` .05")
    assert found["ptb-large-vd"] == "not run"


def test_ours_stand_below_of_every_size_that_was_measured(tmp_path):
    add_result(tmp_path, "ptb-large-real", 0, 80.0)
    add_result(tmp_path, "ptb-small-real", 1, 80.0, 79.0, chances=CHANCES)
    add_result(tmp_path, "ptb-small-real", 2, 80.0, chances=CHANCES)
    add_result(tmp_path, "ptb-medium-real", 0, 80.0)
    add_result(tmp_path, "wikitext2-small-real", 0, 80.0, chances=CHANCES)
    found = cells(tmp_path, "VD-LSTM+REAL")
    assert list(found) == ["the paper, large", "ptb-small-real, seed 1, 2 trainings", "ptb-large-real"]
    assert found["ptb-small-real, seed 1, 2 trainings"] == "the .30, `$` .20, `<unk>` .05, federal .01"
    assert found["ptb-large-real"] == "not measured"


def test_words_cannot_be_taken_for_markup(tmp_path):
    grid = next_words_table(collect(tmp_path))
    assert "`southmark said it plans to <unk> its" in grid.markdown()
    assert r"its \textless{}unk\textgreater{} to provide" in grid.latex()


def test_the_same_to_compute_with(tmp_path):
    add_result(tmp_path, "ptb-large-real", 0, 80.0, chances=CHANCES)
    grid = next_words_csv(collect(tmp_path))
    assert len(grid.rows) == 4 * (10 + 10 + 4)
    ours = [list(row) for row in grid.rows if row[3] == "ptb-large-real, seed 0"]
    assert ours[1][1:] == ["federal", "VD-LSTM+REAL", "ptb-large-real, seed 0", "2", "$", "0.2"]
