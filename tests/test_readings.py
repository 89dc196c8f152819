"""A table's readings within and without one node of the graph: what they give, and what their gradient is made of."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from support.compare import assert_close
from support.dispatch import Recorder
from tiedlm.readings import TableReader

TOKENS = torch.tensor([[3, 0], [6, 3], [1, 1]])
ASKED = torch.randn(3, 2, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(2))


@pytest.fixture
def weight() -> Tensor:
    return torch.randn(50, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).requires_grad_()


def test_reads_the_words_and_the_table_itself(weight: Tensor) -> None:
    reader = TableReader()
    with reader.as_one():
        assert reader.whole(weight) is weight
        assert torch.equal(reader.embed(TOKENS, weight), weight[TOKENS])
        assert torch.equal(reader.whole(weight), weight)
        assert reader.whole(weight) is not weight
    assert reader.whole(weight) is weight
    assert torch.equal(reader.embed(TOKENS, weight), weight[TOKENS])


@pytest.mark.parametrize("read", ["words", "table", "both"])
def test_the_gradient_is_that_of_two_readings(weight: Tensor, read: str) -> None:
    def value(vectors: Tensor, table: Tensor) -> Tensor:
        of_words, of_table = (vectors * ASKED).sum(), table.square().sum()
        return {"words": of_words, "table": of_table, "both": of_words + of_table}[read]

    (truth,) = torch.autograd.grad(value(F.embedding(TOKENS, weight), weight), weight)
    reader = TableReader()
    with reader.as_one():
        vectors = reader.embed(TOKENS, weight)
        (found,) = torch.autograd.grad(value(vectors, reader.whole(weight)), weight)
    assert_close(found.to_dense(), truth, 1e-14)


def test_a_look_up_without_a_gradient_takes_none_from_the_table(weight: Tensor) -> None:
    (truth,) = torch.autograd.grad((F.embedding(TOKENS, weight) * ASKED).sum() + weight.square().sum(), weight)
    reader = TableReader()
    with reader.as_one():
        with torch.no_grad():
            assert torch.equal(reader.embed(TOKENS, weight), weight[TOKENS])
        assert reader.whole(weight) is weight
        of_words = (reader.embed(TOKENS, weight) * ASKED).sum()
        (found,) = torch.autograd.grad(of_words + reader.whole(weight).square().sum(), weight)
    assert_close(found, truth, 1e-14)


def test_words_that_were_only_looked_up_have_a_sparse_gradient(weight: Tensor) -> None:
    reader = TableReader()
    with reader.as_one(), Recorder() as recorder:
        reader.embed(TOKENS, weight).backward(ASKED)
    assert recorder.largest < 50 * 4
    assert weight.grad is not None
    assert weight.grad.is_sparse
    assert weight.grad.is_coalesced()
    assert weight.grad.indices().tolist() == [[0, 1, 3, 6]]
