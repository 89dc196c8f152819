"""The definition of the augmented loss against the paper: equations, identities, limits, bad logits."""

import inspect
import itertools
import math
from dataclasses import fields

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from support.compare import assert_close, error
from tiedlm.losses.augmented import LossOptions, augmented_cross_entropy


def logits(seed: int, rows: int = 5, words: int = 9, size: float = 2.0, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (size * torch.randn(rows, words, generator=generator, dtype=torch.float64)).to(dtype).requires_grad_()


TARGETS = torch.tensor([3, 8, 0, 3, 5])


def test_gradients_from_logits_are_the_finite_differences() -> None:
    bias = torch.randn(9, dtype=torch.float64, generator=torch.Generator().manual_seed(2), requires_grad=True)
    targets = TARGETS.clone()
    targets[1] = -100

    def function(z: Tensor, v: Tensor, b: Tensor) -> Tensor:
        return augmented_cross_entropy(z, v, targets, bias=b, temperature=3.0)

    assert torch.autograd.gradcheck(function, (logits(0), logits(1), bias), eps=1e-6, atol=1e-9, rtol=1e-6)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("biased", [True, False])
def test_without_the_augmented_term_it_is_cross_entropy_to_the_bit(
    reduction: str, dtype: torch.dtype, biased: bool
) -> None:
    z, teacher = logits(3, 40, 300, dtype=dtype), logits(4, 40, 300, dtype=dtype)
    bias = torch.randn(300, dtype=dtype, generator=torch.Generator().manual_seed(1)) if biased else None
    targets = torch.arange(40)
    targets[::7] = -100
    ours = augmented_cross_entropy(z, teacher, targets, bias=bias, gamma=0.0, reduction=reduction)  # pyright: ignore
    stock = F.cross_entropy(z if bias is None else z + bias, targets, reduction=reduction)
    assert ours.dtype == dtype
    if reduction == "none":
        assert torch.equal(ours, stock)
    weight = torch.linspace(0.5, 2, 40, dtype=dtype) if reduction == "none" else torch.ones((), dtype=dtype)
    (found,), (truth,) = torch.autograd.grad(ours, z, weight), torch.autograd.grad(stock, z, weight)
    one_ulp = torch.finfo(dtype).eps
    assert_close(ours, stock, 2 * one_ulp)  # a sum of 40 may be taken in another order
    assert_close(found, truth, 2 * one_ulp)


@pytest.mark.parametrize("temperature", [0.5, 20.0, 1000.0])
def test_the_logits_receive_gamma_times_prediction_less_target(temperature: float) -> None:
    """Eq. 3.4 times alpha = gamma tau, with y* and y of plain cross-entropy taken off."""
    z, teacher = logits(5), logits(6)
    gradients = []
    for gamma in (0.7, 0.0):
        loss = augmented_cross_entropy(z, teacher, TARGETS, temperature=temperature, gamma=gamma, reduction="sum")
        gradients.append(torch.autograd.grad(loss, z)[0])
    truth = 0.7 * ((z / temperature).softmax(1) - (teacher / temperature).softmax(1))
    # The difference of two gradients of size 1 is known to the last bits of 1, not to its own.
    assert (gradients[0] - gradients[1] - truth).abs().max() < 1e-15
    assert truth.abs().max() > 1e-5


def test_at_high_temperature_the_augmented_gradient_is_the_difference_of_the_logits() -> None:
    """Eq. 4.3, for logits and teacher logits of mean 0; the error falls like 1 / tau."""
    z, teacher = logits(7, size=1.0), logits(8, size=1.0)
    z, teacher = (one.detach() - one.detach().mean(1, keepdim=True) for one in (z, teacher))
    z.requires_grad_()
    errors = []
    for temperature in (100.0, 200.0, 400.0, 800.0):
        options = {"temperature": temperature, "reduction": "sum"}
        both = [augmented_cross_entropy(z, teacher, TARGETS, gamma=g, **options) for g in (1.0, 0.0)]  # pyright: ignore
        found = torch.autograd.grad(both[0] - both[1], z)[0] / temperature  # gamma tau = tau, so this is J_aug's
        errors.append(error(found, (z - teacher).detach() / (temperature**2 * 9)))
    assert errors[0] < 0.05
    for coarse, fine in itertools.pairwise(errors):
        assert 0.4 < fine / coarse < 0.6


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("where", ["logits", "teacher"])
def test_a_logit_that_is_not_finite_makes_a_loss_that_is_not_finite(wrong: float, where: str) -> None:
    both = {"logits": logits(0).detach(), "teacher": logits(1).detach()}
    both[where][2, 4] = wrong
    assert not torch.isfinite(augmented_cross_entropy(both["logits"], both["teacher"], TARGETS))


def test_the_mean_from_logits_is_over_the_targets_that_count() -> None:
    z, teacher = logits(14), logits(15)
    targets = torch.tensor([3, -7, 0, -7, 5])
    total = augmented_cross_entropy(z, teacher, targets, reduction="sum", ignore_index=-7)
    mean = augmented_cross_entropy(z, teacher, targets, ignore_index=-7)
    each = augmented_cross_entropy(z, teacher, targets, reduction="none", ignore_index=-7)
    assert_close(mean, total / 3, 1e-15)
    assert_close(each.sum(), total, 1e-15)
    assert (each[[1, 3]] == 0).all()
    none_counts = augmented_cross_entropy(z, teacher, torch.full((5,), -7), ignore_index=-7)
    assert none_counts == 0
    assert (torch.autograd.grad(none_counts, z)[0] == 0).all()


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_rows_of_ignored_targets_may_hold_anything(wrong: float) -> None:
    """They change neither the loss nor a gradient, whose products would carry 0 x nan on."""
    targets = torch.tensor([3, -100, 0, -100, 5])
    bias = torch.zeros(9, dtype=torch.float64, requires_grad=True)
    found = []
    for content in (0.0, wrong):
        z, teacher = logits(14), logits(15)
        with torch.no_grad():
            z[1], teacher[3] = content, content
        loss = augmented_cross_entropy(z, teacher, targets, bias=bias)
        found.append([loss, *torch.autograd.grad(loss, (z, teacher, bias))])
    for clean, other in zip(*found, strict=True):
        assert torch.equal(clean, other)


def test_both_forms_have_the_same_defaults() -> None:
    common = inspect.signature(augmented_cross_entropy).parameters
    defaults = {field.name: field.default for field in fields(LossOptions)}
    for name in ("temperature", "gamma", "detach_target", "ignore_index", "reduction"):
        assert common[name].default == defaults[name], name


def test_a_vocabulary_of_one_word_is_certain_of_it() -> None:
    z, teacher = logits(16, words=1), logits(17, words=1)
    targets = torch.tensor([0, -100, 0, -100, 0])
    each = augmented_cross_entropy(z, teacher, targets, reduction="none")
    assert (each == 0).all()
    assert (torch.autograd.grad(each.sum(), z)[0] == 0).all()
