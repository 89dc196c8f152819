"""The checks of the loss, themselves checked: the oracle catches every plausible mistake in a loss or its gradient."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from oracles.augmented_loss import Problem
from support import losses
from support.losses import make
from tiedlm.losses.augmented import linear_augmented_cross_entropy

TARGETS = [3, 5, -100, 3, 0, 6, 3]


def definition(h: Tensor, W: Tensor, targets: Tensor, **options: Any) -> Tensor:
    return linear_augmented_cross_entropy(h, W, targets, implementation="functional", **options)


def spoilt(change: Callable[[Tensor], Tensor], which: str) -> Callable[..., Tensor]:
    """The definition, with the gradient by one of its arrays changed on the way back."""

    def loss(h: Tensor, W: Tensor, targets: Tensor, **options: Any) -> Tensor:
        arrays = {"features": h, "classifier": W, "table": options.pop("table"), "bias": options.pop("bias")}
        arrays[which] = arrays[which] * 1
        arrays[which].register_hook(change)
        return definition(arrays.pop("features"), arrays.pop("classifier"), targets, **arrays, **options)

    return loss


def rebuilt(
    *,
    bias_in_soft: bool = False,
    alpha_is_gamma: bool = False,
    teacher_temperature: float | None = None,
    reversed_divergence: bool = False,
    without_entropy: bool = False,
    teacher_of_features: bool = False,
    mean_over_all: bool = False,
    held: str = "",
) -> Callable[..., Tensor]:
    """The loss written anew, with one mistake."""

    def loss(
        h: Tensor, W: Tensor, targets: Tensor, *, table: Tensor | None, bias: Tensor | None, **options: Any
    ) -> Tensor:
        tau, ignored = options["temperature"], targets == options["ignore_index"]
        L = W if table is None else table
        z, b = h @ W.T, 0 if bias is None else bias
        u = h if teacher_of_features else L[targets.where(~ignored, 0)]
        keys = L.detach() if held == "keys" else L
        v = (u.detach() if held == "queries" else u) @ (keys if keys.shape[1] == u.shape[1] else W).T
        soft = (v / (teacher_temperature or tau)).log_softmax(1)
        soft = soft.detach() if options.get("detach_target") else soft
        q = ((z + b if bias_in_soft else z) / tau).log_softmax(1)
        left, right = (q, soft) if reversed_divergence else (soft, q)
        divergence = (left.exp() * ((0 if without_entropy else left) - right)).sum(1)
        hard = F.cross_entropy(z + b, targets, reduction="none", ignore_index=options["ignore_index"])
        losses = (hard + options["gamma"] * (1 if alpha_is_gamma else tau) * divergence).where(~ignored, 0)
        count = len(targets) if mean_over_all else (~ignored).sum()
        kind = options["reduction"]
        return losses if kind == "none" else losses.sum() / (count if kind == "mean" else 1)

    return loss


def problem(*, tied: bool) -> Problem:
    return make(31, rows=7, words=7, width=7, table_width=7, tied=tied, biased=True, targets=TARGETS, temperature=4.0)


@pytest.mark.parametrize("tied", [True, False])
def test_the_loss_written_anew_without_a_mistake_passes(tied: bool) -> None:
    losses.check_oracle(rebuilt(), problem(tied=tied))
    losses.check_oracle(rebuilt(), problem(tied=tied), detach_target=True)


@pytest.mark.parametrize(
    "mistake",
    [
        {"bias_in_soft": True},
        {"alpha_is_gamma": True},
        {"teacher_temperature": 1.0},
        {"reversed_divergence": True},
        {"without_entropy": True},
        {"teacher_of_features": True},
        {"mean_over_all": True},
        {"held": "keys"},
        {"held": "queries"},
    ],
    ids=str,
)
@pytest.mark.parametrize("tied", [True, False])
def test_a_mistake_in_the_loss_is_caught(mistake: dict[str, Any], tied: bool) -> None:
    with pytest.raises(AssertionError, match="is off by"):
        losses.check_oracle(rebuilt(**mistake), problem(tied=tied))


@pytest.mark.parametrize("stopped", [True, False])
def test_a_gradient_stopped_or_not_stopped_against_the_order_is_caught(stopped: bool) -> None:
    def deaf(*arguments: Any, **options: Any) -> Tensor:
        return definition(*arguments, **{**options, "detach_target": not stopped})

    with pytest.raises(AssertionError, match="gradient of classifier is off by"):
        losses.check_oracle(deaf, problem(tied=True), detach_target=stopped)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("zero", torch.zeros_like),
        ("sign flipped", torch.neg),
        ("transposed", lambda g: g.T if g.dim() == 2 else g.flip(0)),
        ("half", lambda g: g / 2),
        ("small entries dropped", lambda g: g.where(g.abs() > g.abs().max() * 2**-4, 0)),
        ("rounded to bfloat16", lambda g: g.bfloat16().double()),
        ("one row forgotten", lambda g: g.clone().index_fill(0, torch.tensor([3]), 0)),
        ("not finite", lambda g: g / 0),
    ],
)
@pytest.mark.parametrize("which", ["features", "classifier", "table", "bias"])
def test_a_wrong_gradient_is_caught(name: str, change: Callable[[Tensor], Tensor], which: str) -> None:
    source = make(32, rows=7, words=7, width=7, table_width=7, tied=False, biased=True, targets=TARGETS, size=1e-2)
    with pytest.raises(AssertionError, match=f"gradient of {which} is off by"):
        losses.check_oracle(spoilt(change, which), source)
