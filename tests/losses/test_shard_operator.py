"""The vocabulary-parallel loss in autograd: what it keeps, what it notices, and what it refuses."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from support import ranks
from support.compare import assert_close
from support.loss_cases import Tensors, make, rounded, tensors
from tiedlm.errors import ArgumentError
from tiedlm.losses.vocabulary_parallel import vocabulary_parallel_augmented_cross_entropy


@pytest.fixture(scope="module", autouse=True)
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with ranks.alone(tmp_path_factory.mktemp("alone")):
        yield


def loss_of(ours: Tensors, reduction: str, chunk_rows: int = 10) -> torch.Tensor:
    options = {"words": len(ours.classifier), "chunk_rows": chunk_rows, "reduction": reduction}
    return ours.loss(vocabulary_parallel_augmented_cross_entropy, **options)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_keeps_nothing_over_the_vocabulary_between_forward_and_backward(reduction: str) -> None:
    ours = tensors(make(6, rows=90, words=211, width=5))
    kept: list[int] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.numel()) or t, lambda t: t):
        loss_of(ours, reduction)
    assert kept
    assert max(kept) <= 211 * 5


@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_a_gradient_of_the_gradient_is_refused_and_not_taken_for_zero(reduction: str) -> None:
    ours = tensors(make(10))
    loss = loss_of(ours, reduction).sum()
    with pytest.raises(ArgumentError, match=r"create_graph=True.*first derivatives only: use .*'functional' in one"):
        torch.autograd.grad(loss, ours.features, create_graph=True)
    assert torch.autograd.grad(loss, ours.features)[0].shape == (6, 3)


@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_a_loss_scale_rescues_small_gradients_in_float16(reduction: str) -> None:
    """Away from the one target, G / N is about 2e-7 here: three steps of float16, and 7 % off where it is rounded."""
    problem = rounded(make(5, rows=1024, words=4000, width=4, size=0.3, targets=[1] * 1024), torch.float16)
    ours, wide = tensors(problem, torch.float16), tensors(problem)
    loss, truth = loss_of(ours, reduction, 512), loss_of(wide, "mean", 512)
    scale = 2.0**12
    found = ours.gradients((loss.mean() if reduction == "none" else loss) * scale)["classifier"]
    assert found.dtype == torch.float16
    assert_close(found[2:].double() / scale, wide.gradients(truth)["classifier"][2:], 1e-2)


def test_tables_changed_between_forward_and_backward_are_noticed() -> None:
    ours = tensors(make(9))
    losses = loss_of(ours, "none")
    with torch.no_grad():
        ours.classifier.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        losses.sum().backward()
