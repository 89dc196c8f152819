"""Split tables: every word is held by one rank, and a rank finds what it lacks with the others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import FrozenInstanceError

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from support import ranks
from tiedlm.errors import ArgumentError
from tiedlm.losses.shards import Shard, shard_of
from tiedlm.native.ranks import Ranks


@pytest.fixture
def group(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ranks]:
    with ranks.alone(tmp_path_factory.mktemp("alone")):
        yield Ranks.from_group(None)


@given(st.integers(1, 9), st.integers(0, 40))
def test_every_word_is_held_once_and_evenly(count: int, more: int) -> None:
    words = count + more
    shards = [shard_of(words, rank, count) for rank in range(count)]
    assert [word for held in shards for word in held] == list(range(words))
    sizes = [len(held) for held in shards]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] - sizes[-1] <= 1


def test_the_first_ranks_hold_one_more() -> None:
    assert [shard_of(11, rank, 3) for rank in range(3)] == [range(4), range(4, 8), range(8, 11)]


@pytest.mark.parametrize(
    ("words", "rank", "count", "message"),
    [
        (2, 0, 3, "words is 2, but each of 3 ranks must hold one or more: use fewer ranks"),
        (5, 2, 2, "rank is 2 of 2 ranks"),
        (5, -1, 2, "rank is -1 of 2 ranks"),
        (5, 0, 0, "rank is 0 of 0 ranks, but there must be one or more"),
    ],
)
def test_shards_that_cannot_be_are_refused(words: int, rank: int, count: int, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        shard_of(words, rank, count)


def test_what_is_held_elsewhere_counts_as_zero(group: Ranks) -> None:
    """With one rank that says it holds words 3 ... 5 of more, the others' parts are missing from the sums."""
    shard = Shard(group, range(3, 6), words=12)
    words, table = torch.tensor([2, 3, 5, 6]), torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    row, held = shard.place(words)
    assert row[held].tolist() == [0, 2]
    assert held.tolist() == [False, True, True, False]
    assert shard.rows_of(table, words, torch.float64).tolist() == [[0, 0], [1, 2], [5, 6], [0, 0]]
    assert shard.mean_of(table, torch.float32).tolist() == [9 / 12, 12 / 12]
    logits = torch.arange(12.0).view(4, 3) + 1
    assert shard.own_entries(logits, words).tolist() == [0, 4, 9, 0]
    assert shard.below_largest(logits)[0].tolist() == [[-2, -1, 0]] * 4


def test_the_mean_of_a_table_of_16_bits_is_summed_in_the_wide_type(group: Ranks) -> None:
    table = torch.full((1000, 2), 1.0, dtype=torch.bfloat16)  # sums above 256 do not grow by 1 in this type
    table[0, 1] = 3.0
    shard = Shard(group, range(1000), words=1000)
    mean = shard.mean_of(table, torch.float32)
    assert mean.dtype == torch.float32
    assert torch.allclose(mean, torch.tensor([1.0, 1.002]), rtol=1e-6)


def test_what_ranks_agreed_on_cannot_be_changed_afterwards(group: Ranks) -> None:
    shard = Shard.of(group, 5)
    for one, name in ((group, "rank"), (shard, "words")):
        with pytest.raises(FrozenInstanceError):
            setattr(one, name, 3)
