"""The distance between the column spaces of two tables (Inan et al. 2017, appendix B), in float64.

For X and Y [V, D] let U and Q be orthonormal bases of their column spaces (reduced QR). With R = Q - U U' Q, what U
leaves of Q, and theta_i the principal angles, whose cosines are the singular values of U' Q:

    d(X, Y)^2 = |R|_F^2 / D = 1/D sum_i sin(theta_i)^2

0 where the spaces are the same, 1 where each is orthogonal to the other. It does not change when the columns of X or Y
are replaced by others that span the same space, nor when X and Y change places. Of two independent random spaces d^2
has the mean 1 - D/V, and d is within a hair of its root (`chance_distance`).

The two forms agree in exact arithmetic. The one by angles loses what is small: 1 - cos^2 cannot tell a distance below
1e-8 from 0. The residual form can, so it is the one to use; the other is the definition that tests hold it against.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from tiedlm.errors import ArgumentError


def subspace_distance(first: Tensor, second: Tensor) -> float:
    """Return d(X, Y) in [0, 1], by the residual R.

    Args:
        first: X [V, D], of full column rank.
        second: Y [V, D], of full column rank.

    Raises:
        ArgumentError: other shapes than [V, D] twice with D <= V, numbers that are not finite, or columns that are
            linearly dependent: they span fewer directions than D, and the distance is not defined.
    """
    basis, other = _bases(first, second)
    residual = other - basis @ (basis.T @ other)
    return min(1.0, float(residual.square().sum() / residual.shape[1]) ** 0.5)


def distance_by_angles(first: Tensor, second: Tensor) -> float:
    """Return the same as `subspace_distance`, from the principal angles; good to 1e-8."""
    sines_squared = 1 - principal_cosines(first, second).square()
    return max(0.0, float(sines_squared.mean())) ** 0.5


def principal_cosines(first: Tensor, second: Tensor) -> Tensor:
    """Return the cosines of the principal angles between the column spaces [D], largest first, float64 on the CPU."""
    basis, other = _bases(first, second)
    return torch.linalg.svdvals(basis.T @ other).clamp(max=1)


def centred(table: Tensor) -> Tensor:
    """Return a table [V, D] less its mean over the words, in float64.

    Where logits are W h, softmax stays as it is when one vector is added to every row of W: so a training learns W but
    for what its rows share, and the theory can be held against no more than that.
    """
    wide = table.detach().double()
    return wide - wide.mean(dim=0)


def chance_distance(words: int, width: int) -> float:
    """Return sqrt(1 - D/V): the root of the mean d^2 of two independent random spaces.

    Args:
        words: V.
        width: D, from 1 to V.

    Raises:
        ArgumentError: a width out of range.
    """
    if not 1 <= width <= words:
        raise ArgumentError(f"width is {width}, but must be from 1 to {words}, the number of words.")
    return math.sqrt(1 - width / words)


def _bases(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    if first.dim() != 2 or first.shape != second.shape or not 1 <= first.shape[1] <= first.shape[0]:
        raise ArgumentError(
            f"The tables have the shapes {list(first.shape)} and {list(second.shape)}, but must both be [words, width] "
            "with the same numbers, and not be wider than they have words."
        )
    return _basis("first", first), _basis("second", second)


def _basis(name: str, table: Tensor) -> Tensor:
    """Return an orthonormal basis [V, D] of the column space."""
    wide = table.detach().to("cpu", torch.float64)
    if not bool(wide.isfinite().all()):
        raise ArgumentError(f"The {name} table has entries that are not finite. Was its training stopped in time?")
    basis, triangle = torch.linalg.qr(wide)
    scales = torch.linalg.svdvals(triangle)
    rank = int((scales > scales[0] * len(wide) * torch.finfo(torch.float64).eps).sum())
    if rank < len(scales):
        raise ArgumentError(
            f"The {name} table spans {rank} directions, but has {len(scales)} columns: some are linearly dependent, "
            "and no distance is defined. Compare tables that were trained from random weights."
        )
    return basis
