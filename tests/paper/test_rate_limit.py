from __future__ import annotations

from pathlib import Path

import pytest

from support.published_results import add_result
from tiedlm.paper.collect import Row, collect
from tiedlm.paper.rate_limit import EPOCHS, rate_limit_csv, rate_limit_table

VD = "ptb-small-vd"


def on_a_line(rows: dict[str, Row], slope: float) -> None:
    """Let the perplexity of seed k be 80 + k + slope x rate in the last epochs, and far from it in those before."""
    for seed, result in rows[VD].results.items():
        training = result.config["training"]
        for record in result.metrics:
            rate = 1.0 * training["decay"] ** (record["epoch"] - training["constant_epochs"])
            near = record["epoch"] > training["epochs"] - EPOCHS
            record["valid_perplexity"] = 80.0 + seed + slope * rate if near else 500.0


def test_without_results_there_is_nothing(tmp_path: Path) -> None:
    assert rate_limit_table(collect(tmp_path)).rows == []
    assert rate_limit_csv(collect(tmp_path)).rows == []


@pytest.mark.parametrize("slope", [20.0, -20.0])
def test_what_lies_on_a_line_ends_where_the_line_does(tmp_path: Path, slope: float) -> None:
    for seed in (0, 1):
        add_result(tmp_path, VD, seed, 86.0)
    rows = collect(tmp_path)
    on_a_line(rows, slope)
    left = slope * 0.9**35
    [cells] = rate_limit_table(rows).rows
    assert cells[:5] == [f"`{VD}`", "1", "2", "40", f"{0.9**35:.4f}"]
    assert cells[5:] == [f"{80.5 + left:.2f} ± 0.71", "80.50 ± 0.71", f"{left:.2f} ± 0.00"]
    [values] = rate_limit_csv(rows).rows
    assert values[:4] == [VD, "1", "0 1", "40"]
    assert [float(one) for one in values[5:]] == pytest.approx(
        [80.5 + left, 0.5**0.5, 80.5, 0.5**0.5, left, 0], abs=1e-4
    )


def test_each_training_behind_a_result_has_a_line(tmp_path: Path) -> None:
    add_result(tmp_path, "ptb-small-re", 0, 87.0, 85.0)
    assert [cells[:2] for cells in rate_limit_table(collect(tmp_path)).rows] == [
        ["`ptb-small-re`", "1"],
        ["`ptb-small-re`", "2"],
    ]


def test_a_training_of_few_epochs_under_a_falling_rate_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_result(tmp_path, VD, 0, 86.0)
    monkeypatch.setattr("tiedlm.paper.rate_limit.EPOCHS", 36)  # of the recipe's 40 the first five have one rate
    assert rate_limit_table(collect(tmp_path)).rows == []
