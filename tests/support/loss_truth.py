"""What ties an implementation of the linear augmented loss to the truth: the oracle's loops and finite differences."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from oracles import augmented_loss
from oracles.augmented_loss import Problem
from support.compare import assert_close, error
from support.dispatch import Call, operator_recorded
from support.loss_cases import Loss, rounded, tensors


def check_oracle(implementation: Loss, problem: Problem, relative: float = 1e-12, **options: Any) -> None:
    """Value and all gradients, of a weighted sum, a sum and a mean, against the loops over tokens and words."""
    detach = options.get("detach_target", False)
    weights = {reduction: augmented_loss.token_weights(problem, reduction) for reduction in ("mean", "sum")}
    weights["none"] = np.random.default_rng(0).normal(size=len(problem.targets))
    losses = augmented_loss.values(problem)
    for reduction, weight in weights.items():
        ours = tensors(problem)
        loss = ours.loss(implementation, reduction=reduction, **options)
        own = 1.0 if problem.weights is None else problem.weights
        due = own * losses if reduction == "none" else weight @ losses
        rounding = value_bits(problem) * max(1.0, float(np.abs(weight).sum()))
        assert_close(loss, due, relative, f"loss ({reduction})", rounding=rounding)
        truth = augmented_loss.gradients(problem, weight * own if reduction == "none" else weight, detach_target=detach)
        arriving = torch.tensor(weight) if reduction == "none" else None
        check_gradients(ours.gradients(loss, arriving), truth, relative, gradient_bits(problem, weight))


def check_gradients(
    found: dict[str, Tensor], truth: augmented_loss.Gradients, relative: float, rounding: float = 0.0
) -> None:
    """Every gradient against the oracle's, each relative to its own scale."""
    for name, gradient in found.items():
        assert_close(gradient, getattr(truth, name), relative, f"gradient of {name}", rounding=rounding)


def value_bits(problem: Problem, dtype: torch.dtype = torch.float64) -> float:
    """The error that the last bits of the logarithms make in the loss of one token, as an absolute size.

    The divergence is what logarithms of about log V and logits / tau leave of one another; it counts gamma tau times.
    """
    logarithm = 1 + math.log(len(problem.classifier))
    tau = problem.temperature
    return (
        2 * torch.finfo(dtype).eps * (1 + problem.gamma * tau) * (logarithm + largest_logit(problem) * max(1, 1 / tau))
    )


def gradient_bits(problem: Problem, weights: np.ndarray) -> float:
    """The error that the last bits of probabilities and logits make in a gradient, as an absolute size.

    A probability near 1 less its target is 0 up to the last bits of 1, and a logit has the last bits of its products'
    sum; a gradient is that times weight, gamma and the entries of an array.
    """
    arrays = (problem.features, problem.classifier, problem.teacher_table)
    entries = max(1.0, *(float(np.abs(array).max()) for array in arrays))
    largest = 1 + largest_logit(problem) * max(1, 1 / problem.temperature)
    return torch.finfo(torch.float64).eps * float(np.abs(weights).sum()) * (1 + problem.gamma) * largest * entries


def largest_logit(problem: Problem) -> float:
    """The largest sum of absolute products behind any logit, the student's or the teacher's."""
    table = problem.teacher_table
    logits = np.abs(problem.features) @ np.abs(problem.classifier).T
    return float(max(logits.max(), (np.abs(table) @ np.abs(table).T).max()))


STEP = 1e-6
"""Of finite differences."""


def check_gradcheck(implementation: Loss, problem: Problem, absolute: float = 1e-9, **options: Any) -> None:
    """Autograd against finite differences, of the mean and of the separate losses."""
    ours = tensors(problem)
    names, leaves = list(ours.leaves), list(ours.leaves.values())
    for reduction in ("mean", "none"):

        def function(*arrays: Tensor, reduction: str = reduction) -> Tensor:
            moved = replace(ours, **dict(zip(names, arrays, strict=True)))
            return moved.loss(implementation, reduction=reduction, **options)

        assert torch.autograd.gradcheck(function, leaves, eps=STEP, atol=absolute, rtol=1e-6)


def difference_bits(problem: Problem) -> float:
    """The error of a finite difference, as an absolute size: last bits of the loss over the step, and its curvature.

    The loss bends most where a probability turns over, which it does within 1 or tau of a logit: its third derivative
    is some multiple of the third power of what a logit moves by in these units, per unit of an entry.
    """
    weight = 1.0 if problem.weights is None else max(1.0, float(problem.weights.max()))
    arrays = (problem.features, problem.classifier, problem.teacher_table)
    entries = max(1.0, *(float(np.abs(array).max()) for array in arrays))
    tau = problem.temperature
    bent = entries**3 + problem.gamma * tau * (entries / tau) ** 3 * (1 + largest_logit(problem) / tau)
    return weight * (value_bits(problem) / STEP + STEP**2 * bent) + 1e-9


def check_near_certain_and_extreme(implementation: Loss, logit: float, dtype: torch.dtype, relative: float) -> None:
    """Logits of +-`logit`: values and gradients are finite, and right on the scale of what they are made of."""
    classifier = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.5, 0.5]]) * logit**0.5
    features = np.array([[1.0, 0.0], [1.0, 0.0], [-0.5, 1.0], [0.0, -1.0]]) * logit**0.5
    problem = Problem(features=features, classifier=classifier, targets=np.array([0, 2, 1, 3]))
    problem = rounded(problem, dtype)
    ours = tensors(problem, dtype)
    loss = ours.loss(implementation, reduction="none")
    assert_close(loss, augmented_loss.values(problem), relative, "loss")
    found = ours.gradients(loss, torch.ones_like(loss))
    check_gradients(found, augmented_loss.gradients(problem, np.ones(4)), relative)


def check_float32(implementation: Loss, problem: Problem) -> None:
    """In float32 the separate losses and all gradients are right to a few last bits of what they are made of."""
    problem = rounded(problem, torch.float32)
    weights = augmented_loss.token_weights(problem, "mean")
    ours = tensors(problem, torch.float32)
    each = ours.loss(implementation, reduction="none")
    rounding, eps = value_bits(problem, torch.float32), torch.finfo(torch.float32).eps
    assert each.dtype == torch.float32
    assert_close(each, augmented_loss.values(problem), 1e-6, "loss", rounding=rounding)
    truth = augmented_loss.gradients(problem, weights)
    loss = ours.loss(implementation)
    assert_close(loss, weights @ augmented_loss.values(problem), 1e-6, "mean loss", rounding=rounding)
    check_gradients(ours.gradients(loss), truth, 2e-6 + eps * problem.temperature)


def check_bfloat16_autocast(implementation: Loss, problem: Problem) -> None:
    """Under autocast the products are bfloat16 and the rest float32; no worse than stock cross-entropy is there."""
    problem = rounded(problem, torch.float32)
    stock = replace(problem, table=None, gamma=0.0)
    with torch.autocast("cpu", torch.bfloat16):
        ours, theirs = tensors(problem, torch.float32), tensors(stock, torch.float32)
        with operator_recorded() as recorder:
            loss = ours.loss(implementation)
            found = ours.gradients(loss)
        logits = F.linear(theirs.features, theirs.classifier)
        stock_loss = F.cross_entropy(logits if theirs.bias is None else logits + theirs.bias, theirs.targets)
    _check_bfloat16_operators(recorder.calls)
    assert loss.dtype == torch.float32
    weights = augmented_loss.token_weights(problem, "mean")
    yardstick = _errors(theirs.gradients(stock_loss), augmented_loss.gradients(stock, weights))
    errors = _errors(found, augmented_loss.gradients(problem, weights))
    for name in ("features", "classifier"):
        assert found[name].dtype == torch.float32
        assert errors[name] <= 1.5 * yardstick[name], (name, errors, yardstick)
    assert errors.get("table", 0.0) <= 2**-7
    due, stock_due = (augmented_loss.reduced(one, "mean") for one in (problem, stock))
    assert error(loss, due) <= 1.5 * error(stock_loss, stock_due) + 2**-12  # either may be right by luck


def check_low_precision_tables(implementation: Loss, problem: Problem, dtype: torch.dtype) -> None:
    """Tables of 16 bits, without autocast: a float32 loss, and gradients of their type, right to its last bits."""
    problem = rounded(problem, dtype)
    ours = tensors(problem, dtype)
    loss = ours.loss(implementation)
    assert loss.dtype == torch.float32
    eps = torch.finfo(dtype).eps
    assert_close(loss, augmented_loss.reduced(problem, "mean"), 2 * eps)
    truth = augmented_loss.gradients(problem, augmented_loss.token_weights(problem, "mean"))
    for name, gradient in ours.gradients(loss).items():
        assert gradient.dtype == dtype
        assert_close(gradient, getattr(truth, name), 2 * eps, f"gradient of {name}")


def _check_bfloat16_operators(calls: list[Call]) -> None:
    products = [call for call in calls if any(name in call.name for name in ("aten.mm", "aten.addmm"))]
    assert products
    assert all(call.dtypes == {torch.bfloat16} for call in products), products
    rest = [call for call in calls if any(name in call.name for name in ("softmax", "exp", "log", "sum", "mul", "div"))]
    assert rest
    assert all(torch.bfloat16 not in call.dtypes for call in rest), rest


def _errors(found: dict[str, Tensor], truth: augmented_loss.Gradients) -> dict[str, float]:
    return {name: error(gradient, getattr(truth, name)) for name, gradient in found.items()}
