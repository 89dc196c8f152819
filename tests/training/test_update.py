"""The update against PyTorch's own clipping and SGD, and what it leaves alone."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tiedlm.errors import TrainingError
from tiedlm.training.update import descend


def parameters() -> list[nn.Parameter]:
    """Two that have a gradient and one that has none, in float64."""
    draws = torch.Generator().manual_seed(0)
    made = [nn.Parameter(torch.randn(*shape, generator=draws, dtype=torch.float64)) for shape in ((4, 3), (5,), (2,))]
    for parameter in made[:2]:
        parameter.grad = torch.randn(parameter.shape, generator=draws, dtype=torch.float64)
    return made


@pytest.mark.parametrize("clip_norm", [1e6, 0.3], ids=["short", "long"])
def test_is_clipping_and_then_sgd(clip_norm: float) -> None:
    ours, theirs = parameters(), parameters()
    descend(ours, 0.7, clip_norm)
    torch.nn.utils.clip_grad_norm_(theirs, clip_norm)
    torch.optim.SGD(theirs, lr=0.7).step()
    for own, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(own, other, rtol=1e-14, atol=1e-14)
    assert not torch.equal(ours[0], parameters()[0])


@pytest.mark.parametrize("clip_norm", [1e6, 0.3], ids=["short", "long"])
def test_a_factor_is_that_of_all_gradients_before_they_are_clipped(clip_norm: float) -> None:
    ours, scaled = parameters(), parameters()
    descend(ours, 0.7, clip_norm, 0.25)
    for parameter in scaled[:2]:
        assert parameter.grad is not None
        parameter.grad *= 0.25
    descend(scaled, 0.7, clip_norm)
    for own, other in zip(ours, scaled, strict=True):
        torch.testing.assert_close(own, other, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("clip_norm", [1e6, 0.3], ids=["short", "long"])
@pytest.mark.parametrize("coalesced", [True, False])
def test_a_sparse_gradient_moves_as_the_same_one_written_out(clip_norm: float, coalesced: bool) -> None:
    ours, dense = parameters(), parameters()
    values = torch.tensor([[1.0, 2, 3], [-1, 0.5, 2], [4, 4, 4]], dtype=torch.float64)
    gradient = torch.sparse_coo_tensor(torch.tensor([[3, 1, 3]]), values, (4, 3), check_invariants=False)
    ours[0].grad, dense[0].grad = gradient.coalesce() if coalesced else gradient, gradient.to_dense()
    for moved in (ours, dense):
        descend(moved, 0.7, clip_norm)
    for own, other in zip(ours, dense, strict=True):
        torch.testing.assert_close(own, other, rtol=1e-14, atol=1e-14)
    assert not torch.equal(ours[0][1], parameters()[0][1])
    assert torch.equal(ours[0][0], parameters()[0][0])


def test_gradients_stay_as_they_are() -> None:
    ours, before = parameters(), parameters()
    descend(ours, 0.7, 0.3)
    assert ours[2].grad is None
    for own, other in zip(ours[:2], before[:2], strict=True):
        assert own.grad is not None
        assert other.grad is not None
        assert torch.equal(own.grad, other.grad)


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_a_norm_that_is_not_finite_moves_nothing(value: float) -> None:
    ours = parameters()
    assert ours[1].grad is not None
    ours[1].grad[0] = value
    with pytest.raises(TrainingError, match=r"norm of the gradient is (inf|nan)"):
        descend(ours, 0.7, 0.3)
    assert all(torch.equal(own, other) for own, other in zip(ours, parameters(), strict=True))
