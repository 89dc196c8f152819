"""The loss as a module: it hands every option on, keeps none to itself, and checks them when it is made."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import torch

from support.compare import assert_close
from support.loss_cases import make, tensors
from tiedlm.errors import ArgumentError
from tiedlm.losses.linear import linear_augmented_cross_entropy
from tiedlm.losses.module import AugmentedLoss

OPTIONS: list[dict[str, Any]] = [
    {},
    {"gamma": 1.5, "temperature": 4.0},
    {"gamma": 0.0},
    {"detach_target": True},
    {"ignore_index": 2, "reduction": "sum"},
    {"reduction": "none", "implementation": "functional"},
    {"implementation": "chunked", "chunk_rows": 2},
    {"center_table": True},
    {"vocabulary_mask": torch.tensor([True, False, True, True, False, True, True])},
]
TOKEN_WEIGHTS = torch.tensor([0.5, 2.0, 0.0, 1.0, 3.0, 0.25], dtype=torch.float64)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("tied", [True, False])
def test_it_is_the_function_with_its_options_bound(options: dict[str, Any], tied: bool) -> None:
    ours = tensors(make(1, tied=tied, biased=not tied, targets=[2, 0, 5, 2, 6, 3]))
    arguments = (ours.features, ours.classifier, ours.targets)
    loss = AugmentedLoss(**options)(*arguments, ours.table, ours.bias, TOKEN_WEIGHTS)
    given = {"table": ours.table, "bias": ours.bias, "token_weights": TOKEN_WEIGHTS}
    truth = linear_augmented_cross_entropy(*arguments, **given, **options)
    assert torch.equal(loss, truth)
    weights = torch.ones_like(loss)
    right = ours.gradients(truth, weights)
    for name, gradient in ours.gradients(loss, weights).items():
        assert torch.equal(gradient, right[name])


def test_no_option_goes_untried() -> None:
    assert set().union(*OPTIONS) == set(inspect.signature(AugmentedLoss).parameters)


def test_the_word_vectors_come_before_the_bias_and_may_be_named() -> None:
    ours = tensors(make(2, tied=False, biased=True))
    arguments = (ours.features, ours.classifier, ours.targets)
    module = AugmentedLoss()
    assert torch.equal(module(*arguments, bias=ours.bias, table=ours.table), module(*arguments, ours.table, ours.bias))


def test_its_terms_are_those_of_the_loss() -> None:
    ours = tensors(make(3))
    module = AugmentedLoss(gamma=0.8, temperature=5.0)
    terms = module.terms(ours.features, ours.classifier, ours.targets)
    assert torch.equal(terms.total, module(ours.features, ours.classifier, ours.targets))
    assert_close(terms.total, terms.cross_entropy + 0.8 * 5.0 * terms.divergence, 1e-13)


def test_it_holds_no_parameters_and_tells_its_options() -> None:
    module = AugmentedLoss(gamma=0.65, temperature=20.0)
    assert list(module.parameters()) == []
    assert module.state_dict() == {}
    assert "gamma=0.65, temperature=20.0, detach_target=False" in repr(module)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": 0.0}, "temperature is 0.0"),
        ({"gamma": -1.0}, "gamma is -1.0"),
        ({"reduction": "median"}, "reduction is 'median'"),
        ({"implementation": "fast"}, "implementation is 'fast'"),
        ({"implementation": "functional", "chunk_rows": 4}, "chunk_rows is 4, but has no effect"),
        ({"chunk_rows": 0}, "chunk_rows is 0"),
    ],
)
def test_wrong_options_are_refused_when_it_is_made(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        AugmentedLoss(**options)


def test_learning_with_it_lowers_it() -> None:
    ours = tensors(make(4, rows=20, words=9, width=6))
    module, optimizer = AugmentedLoss(gamma=1.0, temperature=2.0), torch.optim.SGD([ours.features], lr=1.0)
    losses = []
    for _ in range(20):
        loss = module(ours.features, ours.classifier, ours.targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < losses[0] / 2
