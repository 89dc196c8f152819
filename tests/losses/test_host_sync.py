"""The chunked loss with `host_sync=False`: the same losses and gradients, from shapes alone, and no value is read."""

from typing import Any

import pytest
import torch
from torch import Tensor

from support.compare import assert_close
from support.gpu import NEEDS_GPU, NoReading
from tiedlm.losses.augmented import LossOptions, LossTensors, centered, linear_augmented_terms, prepare
from tiedlm.losses.chunked import LossInputs, loss_and_grads
from tiedlm.losses.operator import DIFFERENTIABLE

CASES: dict[str, dict[str, Any]] = {
    "tied": {},
    "untied": {"table": (11, 3)},
    "cross-entropy": {"gamma": 0.0},
    "target held": {"detach_target": True},
    "with a bias": {"bias": (11,)},
    "centred": {"center_table": True},
    "mean": {"reduction": "mean"},
    "each": {"reduction": "none"},
    "token weights": {"token_weights": (9,)},
    "several chunks": {"chunk_rows": 4},
}
TARGETS = {
    "some alike": [3, 7, 3, 0, 10, 3, 7, 5, 0],
    "all alike": [4] * 9,
    "all different": [8, 7, 6, 5, 4, 3, 2, 1, 0],
    "without word 0": [3, 7, 3, 9, 10, 3, 7, 5, 9],
    "some ignored": [3, -100, 3, 0, -100, 3, 7, 5, 0],
}


def given(options: dict[str, Any], device: str) -> tuple[list[Tensor], dict[str, Any]]:
    """Features, classifier and what else may have a gradient; and the options, those tensors among them."""
    draws = torch.Generator().manual_seed(0)

    def drawn(*size: int) -> Tensor:
        return torch.randn(size, generator=draws, dtype=torch.float64).to(device)

    options = {"temperature": 2.0, "gamma": 0.7, "reduction": "sum"} | options
    leaves = [drawn(9, 4).requires_grad_(), drawn(11, 4).requires_grad_()]
    for name in ("table", "bias"):
        if name in options:
            options[name] = drawn(*options[name]).requires_grad_()
            leaves.append(options[name])
    if "token_weights" in options:
        options["token_weights"] = drawn(9).abs()
    return leaves, options


def prepared(options: dict[str, Any], targets: list[int], host_sync: bool) -> LossInputs:
    """The same as the operator gets it, with every gradient needed."""
    (features, classifier, *_), options = given(options, "cpu")
    tensors = [options.pop(name, None) for name in ("table", "bias", "vocabulary_mask", "token_weights")]
    checked = LossOptions(**options, host_sync=host_sync, implementation="chunked")
    inputs = prepare(LossTensors(features, classifier, torch.tensor(targets), *tensors), checked)
    inputs = centered(inputs) if checked.center_table else inputs
    return inputs._replace(
        **{name: one.detach() for name in DIFFERENTIABLE if (one := getattr(inputs, name)) is not None}
    )


def found(options: dict[str, Any], targets: list[int], device: str, **others: Any) -> list[Tensor]:
    """The terms, and the gradients of features and tables."""
    leaves, options = given(options, device)
    features, classifier, *_ = leaves
    words = torch.tensor(targets, device=device)
    terms = linear_augmented_terms(features, classifier, words, **options, **others)
    gradients = torch.autograd.grad(terms.total.sum(), leaves)
    return [*terms, *gradients]


@pytest.mark.parametrize(
    ("device", "implementation"), [("cpu", "chunked"), pytest.param("cuda", "triton", marks=NEEDS_GPU)]
)
@pytest.mark.parametrize("targets", TARGETS)
@pytest.mark.parametrize("case", CASES)
def test_the_same_losses_and_gradients(case: str, targets: str, device: str, implementation: str) -> None:
    read, unread = (
        found(CASES[case], TARGETS[targets], device, implementation=implementation, host_sync=host_sync)
        for host_sync in (True, False)
    )
    for one, other in zip(unread, read, strict=True):
        assert_close(one, other, 1e-12)


@pytest.mark.parametrize("targets", TARGETS)
@pytest.mark.parametrize("case", CASES)
def test_nothing_is_read(case: str, targets: str) -> None:
    with NoReading():
        loss_and_grads(prepared(CASES[case], TARGETS[targets], host_sync=False))
    inputs = prepared(CASES[case], TARGETS[targets], host_sync=True)
    with NoReading(), pytest.raises(RuntimeError, match="reads entries of a tensor"):
        loss_and_grads(inputs)


@pytest.mark.parametrize("wild", [torch.inf, -torch.inf, torch.nan])
def test_a_row_that_does_not_count_may_hold_anything(wild: float) -> None:
    features = torch.randn(3, 4, dtype=torch.float64)
    features[1] = wild
    features.requires_grad_()
    classifier, words = torch.randn(5, 4, dtype=torch.float64, requires_grad=True), torch.tensor([2, -100, 2])
    loss = linear_augmented_terms(features, classifier, words, implementation="chunked", host_sync=False).total
    assert loss.isfinite()
    at_features, at_classifier = torch.autograd.grad(loss, (features, classifier))
    assert at_features[1].tolist() == [0.0] * 4
    assert at_features.isfinite().all()
    assert at_classifier.isfinite().all()


def test_the_word_in_place_of_none_may_be_impossible() -> None:
    features, classifier = torch.randn(3, 4, dtype=torch.float64), torch.randn(5, 4, dtype=torch.float64)
    bias, words = torch.tensor([-torch.inf, 0, 0, 0, 0], dtype=torch.float64), torch.tensor([2, -100, 3])
    truth = linear_augmented_terms(features, classifier, words, implementation="chunked", bias=bias, reduction="none")
    unread = linear_augmented_terms(
        features, classifier, words, implementation="chunked", bias=bias, reduction="none", host_sync=False
    )
    for one, other in zip(unread, truth, strict=True):
        assert_close(one, other, 1e-12)


def test_where_nothing_counts_every_word_may_be_forbidden() -> None:
    features, classifier = torch.randn(3, 4, requires_grad=True), torch.randn(5, 4, requires_grad=True)
    words, forbidden = torch.full((3,), -100), torch.zeros(5, dtype=torch.bool)
    loss = linear_augmented_terms(
        features, classifier, words, implementation="chunked", vocabulary_mask=forbidden, host_sync=False
    ).total
    assert loss == 0
    assert not any(gradient.any() for gradient in torch.autograd.grad(loss, (features, classifier)))
