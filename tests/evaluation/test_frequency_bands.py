from __future__ import annotations

import pytest
import torch

from tiedlm.evaluation.frequency_bands import BandTally, frequency_bands, mean_squared_norms


@pytest.mark.parametrize(
    ("words", "ranks"),
    [
        (10_000, ["1-10", "11-100", "101-1,000", "1,001-3,000", "3,001-10,000"]),
        (3_001, ["1-10", "11-100", "101-1,000", "1,001-3,000", "3,001-3,001"]),
        (3_000, ["1-10", "11-100", "101-1,000", "1,001-3,000"]),
        (11, ["1-10", "11-11"]),
        (10, ["1-10"]),
        (3, ["1-3"]),
    ],
)
def test_every_word_stands_in_one_band(words, ranks):
    bands = frequency_bands(words)
    assert [str(band) for band in bands] == ranks
    ids = [number for band in bands for number in range(words)[band.ids]]
    assert ids == list(range(words))


def test_sums_are_those_of_a_loop():
    generator = torch.Generator().manual_seed(1)
    targets = torch.randint(0, 1500, (400,), generator=generator)
    nll = torch.rand(400, generator=generator, dtype=torch.float64)
    tally = BandTally(1500)
    for first in range(0, 400, 90):
        tally.add(targets[first : first + 90], nll[first : first + 90])
    for band, count, mean in zip(tally.bands, tally.targets.tolist(), tally.mean_nll_nats(), strict=True):
        own = [float(n) for word, n in zip(targets, nll, strict=True) if band.first <= int(word) + 1 <= band.last]
        assert count == len(own)
        assert mean == (pytest.approx(sum(own) / len(own)) if own else None)


def test_words_at_the_ends_of_bands():
    tally = BandTally(200)
    tally.add(torch.tensor([0, 9, 10, 99, 100, 199]), torch.tensor([1.0, 2, 4, 8, 16, 32]))
    assert tally.targets.tolist() == [2, 2, 2]
    assert tally.mean_nll_nats() == [1.5, 6, 24]


def test_a_band_without_a_word_has_no_mean():
    tally = BandTally(50)
    tally.add(torch.tensor([3]), torch.tensor([0.5]))
    assert tally.mean_nll_nats() == [0.5, None]


def test_norms_by_band():
    table = torch.ones(12, 4)
    table[10:] = 3
    assert mean_squared_norms(table, frequency_bands(12)) == [4, 36]
