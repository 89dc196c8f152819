"""A call and its sweep: what the sweep is given, what becomes of its losses, and what is refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from support.compare import assert_close
from support.loss_cases import make, tensors
from tiedlm.losses.call import Call, call_of
from tiedlm.losses.gradient_sums import Gradients
from tiedlm.losses.inputs import LossInputs
from tiedlm.losses.passes_compiled import CompiledPasses
from tiedlm.losses.problem import Problem
from tiedlm.losses.sweep import sweep
from tiedlm.losses.swept import swept, swept_again, terms_of

Seen = list[tuple[Problem, Tensor | None, Sequence[bool]]]


def call(reduction: str, passes: Any = "plain") -> Call:
    ours = tensors(make(1, targets=[2, 0, 5, -100, 6, 3]))
    given = {**ours.options, "reduction": reduction}
    return call_of(LossInputs(ours.features, ours.classifier, ours.targets, **given), 4, passes)


def noting(seen: Seen) -> Any:
    """A sweep that writes down what it is given; J = 1 and KL = 0.5 in every row."""

    def noted(problem: Problem, weights: Tensor | None, wanted: Sequence[bool]) -> tuple[Tensor, Tensor, Gradients]:
        seen.append((problem, weights, wanted))
        ones = torch.ones(len(problem.rows), dtype=problem.wide)
        return ones, ones / 2, (None, None, None, None)

    return noted


@pytest.mark.parametrize(
    ("reduction", "weight", "count"), [("mean", 0.2, 1.0), ("sum", 1.0, 5.0), ("none", None, [1, 1, 1, 0, 1, 1])]
)
def test_gradients_come_with_the_loss_unless_it_is_one_a_target(reduction: str, weight: Any, count: Any) -> None:
    seen: Seen = []
    one = call(reduction)
    terms, _ = swept(one, noting(seen))
    [(problem, weights, wanted)] = seen
    assert problem.words.tolist() == [0, 2, 3, 5, 6]
    assert (weights is None) if weight is None else (weights is not None and weights.tolist() == [weight] * 5)
    assert list(wanted) == ([False] * 4 if weight is None else one.wanted)
    own = torch.tensor(count, dtype=torch.float64)
    for term, value in zip(terms, (1 + one.gamma * one.temperature / 2, 1, 0.5), strict=True):
        assert_close(term, own * value, 1e-12)


def test_without_anything_that_learns_nothing_is_differentiated() -> None:
    seen: Seen = []
    swept(call("mean")._replace(wanted=[False] * 4), noting(seen))
    assert seen[0][1:] == (None, (False,) * 4)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_a_second_sweep_gives_what_the_first_did_times_what_arrived(reduction: str) -> None:
    one = call(reduction)
    with torch.no_grad():
        first, again = swept(one, sweep)[1], swept_again(one, sweep, torch.tensor(3.0))
    assert sum(gradient is not None for gradient in first) == 2
    for gradient, other in zip(first, again, strict=True):
        if gradient is None:
            assert other is None
        else:
            assert_close(other, 3 * gradient, 1e-12)


def test_what_arrives_for_each_target_goes_to_its_row() -> None:
    seen: Seen = []
    swept_again(call("none"), noting(seen), torch.arange(6.0))
    weights = seen[0][1]
    assert weights is not None
    assert weights.tolist() == [1, 0, 5, 2, 4]


def test_the_passes_are_those_that_are_named() -> None:
    seen: Seen = []
    swept(call("sum", "compiled"), noting(seen))
    assert isinstance(seen[0][0].passes, CompiledPasses)


def test_terms_have_the_shape_of_the_targets_and_only_the_total_a_gradient() -> None:
    losses = [torch.ones(6, requires_grad=True) * 1 for _ in range(3)]
    terms = terms_of(losses, torch.Size([2, 3]))
    assert [term.shape for term in terms] == [(2, 3)] * 3
    assert [term.requires_grad for term in terms] == [True, False, False]
    assert terms_of([torch.ones(())] * 3, torch.Size([2, 3])).total.shape == ()
