"""The teacher's loops of `passes_triton` as Triton kernels: y~, and the gradient through it. See `triton_kernels`."""

from __future__ import annotations

from tiedlm.losses.triton_kernels import grown, loaded, loaded_logits
from tiedlm.native.triton_language import float64, jit, tl


@jit
def _allowed(mask, columns, V):
    """Return which of these columns are words that a soft target may name."""
    inside = columns < V
    if mask is not None:
        inside = inside & tl.load(mask + columns, mask=inside, other=0)
    return inside


@jit
def soft_targets(soft, entropies, logits, stride, mask, V, coolness: float64, BLOCK: tl.constexpr):
    """Store y~ (eq. 3.7) and its entropy; one program for each row."""
    wide: tl.constexpr = entropies.dtype.element_ty
    coolness = tl.full([], coolness, wide)
    row = tl.program_id(0).to(tl.int64)
    logits, soft = logits + row * stride, soft + row * V
    # finite, so that a first block without an allowed word has a difference to it
    top, sums, products = tl.full([], -1e30, wide), tl.zeros([BLOCK], wide), tl.zeros([BLOCK], wide)
    for start in range(0, V, BLOCK):
        columns = start + tl.arange(0, BLOCK)
        values = tl.where(_allowed(mask, columns, V), loaded_logits(logits, columns, V, wide), -float("inf"))
        sums, top = grown(sums, top, values, coolness)
    total = tl.sum(sums, 0)
    for start in range(0, V, BLOCK):
        columns = start + tl.arange(0, BLOCK)
        allowed = _allowed(mask, columns, V)
        below = tl.where(allowed, loaded_logits(logits, columns, V, wide) - top, 0.0) * coolness
        share = tl.where(allowed, tl.exp(below) / total, 0.0)
        tl.store(soft + columns, share, mask=columns < V)
        products += share * below
    tl.store(entropies + row, tl.log(total) - tl.sum(products, 0))


@jit
def _difference(target, logits, stride, weights, starts, columns, V, BLOCK: tl.constexpr):
    """Return tau D_u but for a constant: the sum of w (L l - z) over the rows of one target, which are neighbours."""
    wide: tl.constexpr = weights.dtype.element_ty
    own, sums = loaded(target, columns, V, wide), tl.zeros([BLOCK], wide)
    for row in range(tl.load(starts), tl.load(starts + 1)):
        sums += tl.load(weights + row) * (own - loaded(logits + row * stride, columns, V, wide))
    return sums


@jit
def teacher_means(
    means, teacher, teacher_stride, soft, soft_stride, logits, stride, weights, starts, V, BLOCK: tl.constexpr
):
    """Store the part that a block of columns has in y~ . tau D [U, blocks]; a program for each target and block."""
    u, columns = tl.program_id(0).to(tl.int64), tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    target = teacher + u * teacher_stride
    difference = _difference(target, logits, stride, weights, starts + u, columns, V, BLOCK)
    share = loaded(soft + u * soft_stride, columns, V, weights.dtype.element_ty)
    tl.store(means + u * tl.num_programs(1) + tl.program_id(1), tl.sum(share * difference, 0))


@jit
def teacher_gradient(
    means, teacher, teacher_stride, soft, soft_stride, logits, stride, weights, starts, V,
    scale: float64, BLOCK: tl.constexpr, BLOCKS: tl.constexpr,
):  # fmt: skip
    """Store R = gamma y~ (D - y~ . D) in place of the teacher's logits; a program for each target and block.

    `scale` is gamma / tau. D is worked out once more, as it would take an array of the wide type to keep it. Nothing is
    multiplied between the sums and their difference: a GPU rounds a product that is stored and not one that is
    subtracted from, which of logits of 10,000 leaves what is not there.
    """
    wide: tl.constexpr = weights.dtype.element_ty
    u, columns = tl.program_id(0).to(tl.int64), tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    blocks = tl.num_programs(1)
    mean = tl.sum(loaded(means + u * blocks, tl.arange(0, BLOCKS), blocks, wide), 0)
    target = teacher + u * teacher_stride
    difference = _difference(target, logits, stride, weights, starts + u, columns, V, BLOCK)
    share = loaded(soft + u * soft_stride, columns, V, wide)
    values = tl.full([], scale, wide) * share * (difference - mean)
    tl.store(target + columns, values.to(target.dtype.element_ty), mask=columns < V)
