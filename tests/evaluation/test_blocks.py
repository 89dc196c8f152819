from __future__ import annotations

import math

import pytest
import torch

from tiedlm.errors import ArgumentError
from tiedlm.evaluation.blocks import BlockMeans, Estimate


def means(values, counted=None, blocks=4, at_once=3):
    table = torch.tensor(values, dtype=torch.float64)[:, None]
    counts = torch.ones_like(table, dtype=torch.bool) if counted is None else torch.tensor(counted)[:, None]
    found = BlockMeans(1, len(table), blocks)
    for first in range(0, len(table), at_once):
        found.add(table[first : first + at_once], counts[first : first + at_once])
    return found


def only(estimates) -> Estimate:
    (one,) = estimates
    assert one is not None
    return one


def test_equal_blocks_by_hand():
    """Four blocks of two words with the means 1, 2, 3, 6: sd 2.1602, error sd / 2."""
    found = only(means([1, 1, 2, 2, 3, 3, 6, 6]).estimates())
    assert (found.mean, found.words) == (3, 8)
    assert found.standard_error == pytest.approx(math.sqrt(14 / 3) / 2)
    assert found.interval == pytest.approx((3 - 0.98 * math.sqrt(14 / 3), 3 + 0.98 * math.sqrt(14 / 3)))


def test_words_that_do_not_count_by_hand():
    """Blocks with sums 1, 4 and counts 1, 2: R = 5/3; e = 2 (s - R c) / 3 = -4/9 and 4/9."""
    found = only(means([1, 100, 2, 2], [True, False, True, True], blocks=2).estimates())
    assert (found.mean, found.words) == (pytest.approx(5 / 3), 3)
    assert found.standard_error == pytest.approx(4 / 9)


def test_sums_by_block_by_hand():
    (found,) = means([1, 100, 2, 2], [True, False, True, True], blocks=2).by_block()
    assert (found.sums, found.counts) == ([1, 4], [1, 2])
    assert all(isinstance(count, int) for count in found.counts)


@pytest.mark.parametrize("at_once", [1, 2, 5, 20])
def test_how_a_text_is_cut_into_windows_changes_nothing(at_once):
    values = [math.sin(k) for k in range(17)]
    assert means(values, blocks=5, at_once=at_once).estimates() == means(values, blocks=5, at_once=17).estimates()


def test_what_two_models_share_cancels_in_their_difference():
    hard = [5.0, 4.0, 1.0, 9.0, 2.0, 7.0, 3.0, 8.0]
    easier = [value - 0.5 for value in hard]
    found = only(means(easier).differences(means(hard)))
    assert found.mean == pytest.approx(-0.5)
    assert found.standard_error < 1e-12
    assert only(means(hard).estimates()).standard_error > 0.2


def test_the_error_is_that_of_repeated_texts():
    """Words alike within blocks of ten: the error must be that over blocks, three times that over single words."""
    generator = torch.Generator().manual_seed(3)

    def text():
        return torch.randn(100, generator=generator, dtype=torch.float64).repeat_interleave(10).tolist()

    estimates = [only(means(text(), blocks=100, at_once=1000).estimates()) for _ in range(200)]
    spread = torch.tensor([one.mean for one in estimates]).std().item()
    told = sum(one.standard_error for one in estimates) / len(estimates)
    assert told == pytest.approx(spread, rel=0.15)


def test_a_measure_that_no_word_counts_for_has_no_mean():
    assert means([1, 2], [False, False]).estimates() == [None]


def test_one_block_has_no_error():
    assert only(means([1, 2], blocks=1).estimates()) == Estimate(mean=1.5, standard_error=math.inf, words=2)


def test_other_words_do_not_compare():
    with pytest.raises(ArgumentError, match="over different words"):
        means([1, 2]).differences(means([1, 2], [True, False]))
    with pytest.raises(ArgumentError, match="over different words"):
        means([1, 2]).differences(means([1, 2, 3]))
