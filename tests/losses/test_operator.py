"""The chunked loss as an operator: seen by a compiler, by autograd a second time, under mixed precision."""

from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from oracles import augmented_loss
from support.compare import assert_close, error
from support.losses import make, rounded, tensors
from tiedlm.errors import ArgumentError
from tiedlm.losses.augmented import (
    LossOptions,
    LossTensors,
    Reduction,
    linear_augmented_cross_entropy,
    prepare,
)
from tiedlm.losses.chunked import LossInputs
from tiedlm.losses.operator import augmented_loss as operator
from tiedlm.losses.operator import augmented_loss_backward as backward_operator

TIED = pytest.mark.parametrize("tied", [True, False])
chunked = partial(linear_augmented_cross_entropy, implementation="chunked")


def arguments(leaves: dict[str, Tensor], targets: Tensor, reduction: Reduction) -> LossInputs:
    options = LossOptions(reduction=reduction, chunk_rows=4)
    tables = (leaves["classifier"], targets, leaves.get("table"), leaves.get("bias"))
    return prepare(LossTensors(leaves["features"], *tables, None, None), options)


@TIED
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_pytorch_s_own_check_of_operators(reduction: Reduction, tied: bool) -> None:
    """Schema, autograd's registration, shapes without data, and tracing with shapes that vary."""
    ours = tensors(make(1, tied=tied, biased=not tied, targets=[2, 0, 5, -100, 6, 3]))
    inputs = arguments(ours.leaves, ours.targets, reduction)._replace(features=ours.features)  # a leaf
    torch.library.opcheck(operator, inputs)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("reduction", ["mean", "none"])
@pytest.mark.parametrize("turned", [True, False])
def test_types_shapes_and_strides_are_told_without_data(dtype: torch.dtype, reduction: Reduction, turned: bool) -> None:
    ours = tensors(make(1, tied=False, biased=True, targets=[2, 0, 5, -100, 6, 3]), dtype)
    leaves = {name: one.detach() for name, one in ours.leaves.items()}
    if turned:
        leaves = {name: one.T.contiguous().T if one.dim() == 2 else one for name, one in leaves.items()}
    real, told = [], []
    for device, found in (("cpu", real), ("meta", told)):
        given: dict[str, Any] = {name: one.to(device).requires_grad_() for name, one in leaves.items()}
        inputs = arguments(given, ours.targets.to(device), reduction)._replace(backend="chunked")
        found += [*operator(*inputs), *backward_operator(*inputs, torch.ones((), device=device))]
    assert [layout(one) for one in told] == [layout(one) for one in real]
    assert real[0].dtype == (dtype if dtype == torch.float64 else torch.float32)


def layout(one: Tensor) -> tuple[object, ...]:
    return one.dtype, one.shape, one.stride()


def test_a_value_out_of_range_is_refused_inside_a_compiled_graph_too() -> None:
    def step(features: Tensor, classifier: Tensor, targets: Tensor) -> Tensor:
        return chunked(features, classifier, targets)

    compiled = torch.compile(step, fullgraph=True, backend="eager")
    with pytest.raises(ArgumentError, match=r"targets hold 7, but must lie in 0 \.\.\. 6"):
        compiled(torch.ones(2, 3), torch.ones(7, 3), torch.tensor([0, 7]))


def test_features_of_16_bits_meet_a_table_of_32_under_autocast() -> None:
    problem = make(4, rows=20, words=40, width=8, size=0.5)
    ours = tensors(problem, torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        features = ours.features.bfloat16()
        loss = chunked(features, ours.classifier, ours.targets)
    found = torch.autograd.grad(loss, [ours.features, ours.classifier])
    truth = augmented_loss.gradients(problem, augmented_loss.token_weights(problem, "mean"))
    assert error(found[0], truth.features) < 2**-5
    assert error(found[1], truth.classifier) < 2**-5
    with pytest.raises(ArgumentError, match=r"features is torch.bfloat16 .* but the classifier is torch.float32"):
        chunked(features, ours.classifier, ours.targets)


@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_a_loss_scale_rescues_small_gradients_in_float16(reduction: Reduction) -> None:
    """The entries of G / N are about 1e-7 here: lost in float16 by stock cross-entropy's chain, and not by ours."""
    problem = make(5, rows=64, words=3000, width=16, size=0.3, gamma=0.0)
    features, classifier = (torch.tensor(a, dtype=torch.float16) for a in (problem.features, problem.classifier))
    wide = [one.double().requires_grad_() for one in (features, classifier)]
    truth = torch.autograd.grad(F.cross_entropy(wide[0] @ wide[1].T, torch.tensor(problem.targets)), wide)
    leaves = [features.requires_grad_(), classifier.requires_grad_()]
    loss = chunked(features, classifier, torch.tensor(problem.targets), gamma=0, reduction=reduction)
    scale = 2.0**12
    found = torch.autograd.grad((loss.mean() if reduction == "none" else loss) * scale, leaves)
    for gradient, right in zip(found, truth, strict=True):
        assert gradient.dtype == torch.float16
        assert error(gradient.double() / scale, right) < 2e-3


@pytest.mark.parametrize("gamma", [0.0, 0.5])
def test_what_a_mean_makes_small_is_not_lost_in_float16(gamma: float) -> None:
    """Away from the one target, G / N is about 2e-7 here: three steps of float16, and 7 % off where it is rounded."""
    problem = make(5, rows=1024, words=4000, width=4, size=0.3, targets=[1] * 1024, gamma=gamma)
    problem = rounded(problem, torch.float16)
    ours, wide = tensors(problem, torch.float16), tensors(problem)
    loss, truth = (one.loss(chunked, detach_target=True) for one in (ours, wide))
    scale = 2.0**12
    found = ours.gradients(loss * scale)["classifier"]
    assert_close(found[2:].double() / scale, wide.gradients(truth)["classifier"][2:], 1e-2)


@pytest.mark.parametrize(("size", "offset"), [(1.0, 0.0), (0.3, 1.0)])
def test_a_frequent_target_overflows_nothing_in_float16(size: float, offset: float) -> None:
    """R sums over its rows what large logits make large, and G' H features that lie on one side."""
    problem = make(0, rows=700, words=50, width=64, size=size, targets=[3] * 350 + [*range(50)] * 7)
    problem = rounded(replace(problem, features=problem.features + offset), torch.float16)
    ours, wide = tensors(problem, torch.float16), tensors(problem)
    loss, truth = (one.loss(chunked) for one in (ours, wide))
    right = wide.gradients(truth)
    for name, gradient in ours.gradients(loss).items():
        assert_close(gradient, right[name], 2**-6, name)


@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_a_batch_without_targets_in_float16(reduction: str) -> None:
    ours = tensors(make(6, targets=[-100] * 6), torch.float16)
    loss = ours.loss(chunked, reduction=reduction)
    assert (loss == 0).all()
    assert all((gradient == 0).all() for gradient in ours.gradients(loss.sum()).values())


@pytest.mark.parametrize("weights", [torch.zeros(6), torch.tensor([0.0, 0, 0, 0, 0, 1])])
def test_weights_of_nothing(weights: Tensor) -> None:
    ours = tensors(make(6))
    loss = ours.loss(chunked, token_weights=weights)
    alone = ours.loss(chunked, reduction="none")[5]
    assert_close(loss, alone * weights[5], 1e-12)
    assert all(gradient.isfinite().all() for gradient in ours.gradients(loss).values())
