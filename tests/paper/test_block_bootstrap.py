"""The ratio of two sums, and an interval that does what intervals do."""

from __future__ import annotations

import numpy as np
import pytest

from tiedlm.errors import ArgumentError
from tiedlm.paper.block_bootstrap import ratio_of_sums


def test_the_ratio_by_hand_and_the_same_again():
    found = ratio_of_sums([1.0, 2.0, 3.0], [2.0, 4.0, 2.0])
    assert found.value == 6 / 8
    assert found.low <= found.value <= found.high
    assert (found.low, found.high) == (0.5, 1.5)  # of three blocks, one alone is drawn in a ninth of the draws
    assert ratio_of_sums([1.0, 2.0, 3.0], [2.0, 4.0, 2.0]) == found


def test_what_both_models_share_cancels():
    hard = [float(block % 7 + 1) for block in range(50)]
    found = ratio_of_sums([0.8 * value for value in hard], hard)
    assert (found.low, found.value, found.high) == pytest.approx((0.8, 0.8, 0.8))


def test_the_interval_holds_the_truth_as_often_as_it_says():
    """400 texts of 50 blocks whose sums vary about 9 and 10: intervals of 95 % hold 0.9 in 91 to 98 of 100."""
    draws = np.random.default_rng(5)
    hits = 0
    for _ in range(400):
        below = draws.gamma(4.0, 2.5, 50)
        above = 0.9 * below + draws.normal(0.0, 0.6, 50)
        found = ratio_of_sums(above.tolist(), below.tolist())
        hits += found.low < 0.9 < found.high
    assert 0.91 <= hits / 400 <= 0.98


@pytest.mark.parametrize(
    ("above", "below", "told"),
    [([1.0], [1.0, 2.0], "1 and 2 of them"), ([], [], "0 and 0"), ([1.0], [0.0], "above 0 in every block")],
)
def test_what_has_no_ratio_is_refused(above, below, told):
    with pytest.raises(ArgumentError, match=told):
        ratio_of_sums(above, below)
