from __future__ import annotations

from pathlib import Path

import pytest

from support.invented_analysis import CHANCES
from support.published_results import OWN, add_result
from tiedlm.paper.collect import collect
from tiedlm.paper.own_words_table import own_words_csv, own_words_table

REAL = "wikitext2-half1-small-real"


def test_without_results_there_is_nothing(tmp_path: Path) -> None:
    assert own_words_table(collect(tmp_path)).rows == []
    assert own_words_csv(collect(tmp_path)).rows == []


def test_both_figures_stand_beside_the_papers(tmp_path: Path) -> None:
    """Invented: valid is 5 above test, and either is OWN of that with the half's words."""
    for seed, test in enumerate((150.0, 152.0)):
        add_result(tmp_path, REAL, seed, test, chances=CHANCES)
    [cells] = own_words_table(collect(tmp_path)).rows
    assert cells[:3] == ["VD-LSTM+REAL, half1", f"`{REAL}`", "2"]
    whole, own = [155.0, 157.0], [155.0 * OWN, 157.0 * OWN]
    assert cells[3:6] == [f"{sum(whole) / 2:.2f} ± 1.41", f"{sum(own) / 2:.2f} ± {2**0.5 * OWN:.2f}", "149.3"]
    assert cells[8] == "140.6"
    [values] = own_words_csv(collect(tmp_path)).rows
    assert values[:3] == ["VD-LSTM+REAL", REAL, "0 1"]
    assert [float(one) for one in values[7:]] == pytest.approx([151.0, 151.0 * OWN, 2**0.5 * OWN, 140.6], abs=1e-4)


def test_a_row_with_a_seed_that_was_not_measured_is_left_out(tmp_path: Path) -> None:
    add_result(tmp_path, REAL, 0, 150.0, chances=CHANCES)
    add_result(tmp_path, REAL, 1, 150.0)
    add_result(tmp_path, "wikitext2-small-real", 0, 100.0, chances=CHANCES)
    assert own_words_table(collect(tmp_path)).rows == []
