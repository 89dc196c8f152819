"""Which rows of a call count, in which order, and how their losses are reduced."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tiedlm.losses.arguments import Reduction
from tiedlm.losses.call import Call, call_of
from tiedlm.losses.chosen import chosen_rows, reduced
from tiedlm.losses.inputs import LossInputs

TARGETS = torch.tensor([3, -100, 1, 3, 0, 1])
WEIGHTS = torch.tensor([1.0, 5, 2, 3, 0, 4])


def call(reduction: Reduction, weights: Tensor | None = None, dtype: torch.dtype = torch.float32) -> Call:
    features, classifier = torch.zeros(6, 2, dtype=dtype), torch.zeros(4, 2, dtype=dtype)
    return call_of(LossInputs(features, classifier, TARGETS, reduction=reduction, token_weights=weights), 8, "plain")


def test_rows_that_count_are_sorted_by_target_and_keep_their_order_in_each() -> None:
    assert chosen_rows(call("sum")).rows.tolist() == [4, 2, 5, 0, 3]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_weights_are_those_of_the_rows_in_the_wide_type(dtype: torch.dtype) -> None:
    wide = torch.promote_types(dtype, torch.float32)
    for weights, right in ((None, [1.0] * 5), (WEIGHTS.half(), [0, 2, 4, 1, 3])):
        found = chosen_rows(call("sum", weights, dtype)).weights
        assert (found.tolist(), found.dtype) == (right, wide)


def test_the_reductions() -> None:
    losses = torch.tensor([1.0, 10, 100, 1000, 10_000])
    found = {name: reduced(losses, chosen_rows(call(name, WEIGHTS)), call(name)) for name in ("mean", "sum", "none")}
    assert found["sum"] == 31_420
    assert float(found["mean"]) == pytest.approx(3142)
    assert found["none"].tolist() == [1000, 0, 20, 30_000, 0, 400]


def test_the_mean_of_nothing_is_nothing() -> None:
    chosen = chosen_rows(call("mean", torch.zeros(6)))
    assert reduced(torch.ones(5), chosen, call("mean")) == 0
