"""`plain.ElementwiseBackend` as Triton kernels, for a GPU: a row of logits is read twice, and G written in its place.

Kernels first, then what launches them. A program has one row, or one target and a block of columns; sums are kept apart
for each place of a block and added up at the end, always in one order, and no program adds to what another one adds to:
the same numbers give the same bits. Everything is computed in the type of the arrays that hold the rows' results
(float32, or float64) and rounded once, when it is stored. A `stride` is the distance from one row to the next; the
columns of a row are contiguous. A kernel is compiled when it is first launched.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from tiedlm.errors import ArgumentError
from tiedlm.losses.plain import GradRequest, Student, Teacher

if TYPE_CHECKING:
    import triton  # pyright: ignore[reportMissingImports]
    import triton.language as tl  # pyright: ignore[reportMissingImports]

    jit = triton.jit
    float64 = float
    """Type of a kernel's option: without it Triton makes a number of Python's a float32."""
else:
    try:
        import triton.language as tl
        from triton import jit
        from triton.language import float64
    except ImportError:  # the kernels can then be imported, but not run
        tl = float64 = None

        def jit(function: Any) -> Any:
            return function


BLOCK = 4096
"""Columns of a row at one time."""
TEACHER_BLOCK = 512
"""Columns at one time where rows are summed: few, as a chunk of one frequent word has no other work to share out."""
BIAS_TILE = (16, 128)
"""Rows and columns at one time where the gradient of the bias is summed over all rows."""


@jit
def _loaded(row, columns, V, accum_dtype: tl.constexpr):
    """Return a row's entries at these columns; 0 beyond the last one."""
    return tl.load(row + columns, mask=columns < V, other=0.0).to(accum_dtype)


@jit
def _loaded_logits(row, columns, V, accum_dtype: tl.constexpr):
    """Return a row's logits at these columns; beyond the last one what has no probability."""
    return tl.load(row + columns, mask=columns < V, other=-float("inf")).to(accum_dtype)


@jit
def _grown(sums, top, values, inv_temperature):
    """Return the sums of exp(inv_temperature (value - top)) with one more block, and the top of all blocks so far."""
    higher = tl.maximum(top, tl.max(values, 0))
    return sums * tl.exp((top - higher) * inv_temperature) + tl.exp((values - higher) * inv_temperature), higher


@jit
def _biased(values, bias, columns, V):
    """Return z + b; the prediction alone has a bias."""
    if bias is not None:
        values += _loaded(bias, columns, V, values.dtype)
    return values


@jit
def _log1p(value):
    """Return log(1 + value) to the last bit: what 1 + value was rounded by is divided out again (W. Kahan)."""
    raised = 1.0 + value
    return tl.where(raised == 1.0, value, tl.log(raised) * (value / tl.where(raised == 1.0, 1.0, raised - 1.0)))


@jit
def _loss_parts(top, at_target, rest):
    """Return J, the sum of all exp(z + b - top), and y - 1 at the target, exact where y is nearly 1.

    `at_target` is the target's z + b, and `rest` the sum without its term.
    """
    total = rest + tl.exp(at_target - top)
    return tl.where(top > at_target, top - at_target + tl.log(total), _log1p(rest)), total, -rest / total


@jit
def _hard(biased, is_target, top, total, missed):
    """Return y - e."""
    return tl.where(is_target, missed, tl.exp(biased - top) / total)


@jit
def _load_hard(hard, row):
    """Return what y is made of, as `_cross_entropy_kernel` has stored it."""
    return tl.load(hard + 3 * row), tl.load(hard + 3 * row + 1), tl.load(hard + 3 * row + 2)


@jit
def _store_hard(hard, row, top, total, missed):
    tl.store(hard + 3 * row, top)
    tl.store(hard + 3 * row + 1, total)
    tl.store(hard + 3 * row + 2, missed)


@jit
def _cross_entropy_kernel(losses, hard, logits, stride, bias, targets, V, BLOCK: tl.constexpr):
    """Store J (eq. 2.4) and what y is made of; one program for each row.

    `hard` [C, 3]: the largest z + b, the sum of exp(z + b - largest), and y - 1 at the target.
    """
    accum_dtype: tl.constexpr = losses.dtype.element_ty
    row = tl.program_id(0).to(tl.int64)
    logits, word = logits + row * stride, tl.load(targets + row)
    at_target = _biased(tl.load(logits + word).to(accum_dtype), bias, word, V)
    top, sums = at_target, tl.zeros([BLOCK], accum_dtype)
    for start in range(0, V, BLOCK):
        columns = start + tl.arange(0, BLOCK)
        biased = _biased(_loaded_logits(logits, columns, V, accum_dtype), bias, columns, V)
        sums, top = _grown(sums, top, tl.where(columns == word, -float("inf"), biased), 1.0)
    loss, total, missed = _loss_parts(top, at_target, tl.sum(sums, 0))
    tl.store(losses + row, loss)
    _store_hard(hard, row, top, total, missed)


@jit
def _cross_entropy_grad_kernel(hard, logits, stride, bias, targets, weights, V, BLOCK: tl.constexpr):
    """Store G = w (y - e) in place of the logits; one program for each row."""
    accum_dtype: tl.constexpr = hard.dtype.element_ty
    row = tl.program_id(0).to(tl.int64)
    logits, word, weight = logits + row * stride, tl.load(targets + row), tl.load(weights + row)
    top, total, missed = _load_hard(hard, row)
    for start in range(0, V, BLOCK):
        columns = start + tl.arange(0, BLOCK)
        biased = _biased(_loaded_logits(logits, columns, V, accum_dtype), bias, columns, V)
        gradient = weight * _hard(biased, columns == word, top, total, missed)
        tl.store(logits + columns, gradient.to(logits.dtype.element_ty), mask=columns < V)


@jit
def _augmented_kernel(
    losses, divergences, hard, softened, logits, stride, bias, targets,
    soft, soft_stride, entropies, target_row, V, inv_temperature: float64, BLOCK: tl.constexpr,
):  # fmt: skip
    """Store J, KL(y~ || y^) (eq. 3.2), and what y and y^ are made of; one program for each row.

    `softened` [C, 2]: the largest z, and the sum of exp((z - largest) / tau). `hard` as in `_cross_entropy_kernel`.
    """
    accum_dtype: tl.constexpr = losses.dtype.element_ty
    inv_temperature = tl.full([], inv_temperature, accum_dtype)
    row = tl.program_id(0).to(tl.int64)
    logits, word, target = logits + row * stride, tl.load(targets + row), tl.load(target_row + row)
    soft += target * soft_stride
    peak = tl.load(logits + word).to(accum_dtype)
    at_target = _biased(peak, bias, word, V)
    top, sums, soft_sums = at_target, tl.zeros([BLOCK], accum_dtype), tl.zeros([BLOCK], accum_dtype)
    mass, target_dot = tl.zeros([BLOCK], accum_dtype), tl.zeros([BLOCK], accum_dtype)
    for start in range(0, V, BLOCK):
        columns = start + tl.arange(0, BLOCK)
        values, share = _loaded_logits(logits, columns, V, accum_dtype), _loaded(soft, columns, V, accum_dtype)
        biased = _biased(values, bias, columns, V)
        sums, top = _grown(sums, top, tl.where(columns == word, -float("inf"), biased), 1.0)
        soft_sums, higher = _grown(soft_sums, peak, values, inv_temperature)
        # the sum of y~ (z - peak), moved to each new peak: no term is positive, so that nothing cancels
        target_dot += mass * (peak - higher) + share * tl.where(columns < V, values - higher, 0.0)
        mass, peak = mass + share, higher
    loss, total, missed = _loss_parts(top, at_target, tl.sum(sums, 0))
    soft_total = tl.sum(soft_sums, 0)
    divergence = tl.log(soft_total) - tl.sum(target_dot * inv_temperature, 0) - tl.load(entropies + target)
    tl.store(losses + row, loss)
    tl.store(divergences + row, divergence)
    _store_hard(hard, row, top, total, missed)
    tl.store(softened + 2 * row, peak)
    tl.store(softened + 2 * row + 1, soft_total)


@jit
def _augmented_grad_kernel(
    hard, softened, logits, stride, bias, targets, weights, soft, soft_stride, target_row, V,
    inv_temperature: float64, gamma: float64, BLOCK: tl.constexpr,
):  # fmt: skip
    """Store G = w [(y - e) + gamma (y^ - y~)] in place of the logits; one program for each row."""
    accum_dtype: tl.constexpr = hard.dtype.element_ty
    inv_temperature, gamma = tl.full([], inv_temperature, accum_dtype), tl.full([], gamma, accum_dtype)
    row = tl.program_id(0).to(tl.int64)
    logits, word, weight = logits + row * stride, tl.load(targets + row), tl.load(weights + row)
    soft += tl.load(target_row + row) * soft_stride
    top, total, missed = _load_hard(hard, row)
    peak, soft_total = tl.load(softened + 2 * row), tl.load(softened + 2 * row + 1)
    for start in range(0, V, BLOCK):
        columns = start + tl.arange(0, BLOCK)
        values = _loaded_logits(logits, columns, V, accum_dtype)
        spread = tl.exp((values - peak) * inv_temperature) / soft_total - _loaded(soft, columns, V, accum_dtype)
        difference = _hard(_biased(values, bias, columns, V), columns == word, top, total, missed)
        gradient = weight * (difference + gamma * spread)
        tl.store(logits + columns, gradient.to(logits.dtype.element_ty), mask=columns < V)


@jit
def _add_bias_grad_kernel(
    bias_grad, hard, logits, stride, bias, targets, weights, C, V, ROWS: tl.constexpr, BLOCK: tl.constexpr
):
    """Add the sum over rows of w (y - e); one program for each block of columns, several rows at a time."""
    accum_dtype: tl.constexpr = bias_grad.dtype.element_ty
    columns = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    biases, sums = _loaded(bias, columns, V, accum_dtype)[None, :], tl.zeros([ROWS, BLOCK], accum_dtype)
    for start in range(0, C, ROWS):
        rows = (start + tl.arange(0, ROWS)).to(tl.int64)[:, None]
        inside = (rows < C) & (columns < V)[None, :]
        values = tl.load(logits + rows * stride + columns[None, :], mask=inside, other=-float("inf")).to(accum_dtype)
        total = tl.load(hard + 3 * rows + 1, mask=rows < C, other=1.0)
        top, missed = _loaded(hard, 3 * rows, 3 * C, accum_dtype), _loaded(hard + 2, 3 * rows, 3 * C, accum_dtype)
        is_target = columns[None, :] == tl.load(targets + rows, mask=rows < C, other=-1)
        sums += _loaded(weights, rows, C, accum_dtype) * _hard(values + biases, is_target, top, total, missed)
    tl.store(bias_grad + columns, _loaded(bias_grad, columns, V, accum_dtype) + tl.sum(sums, 0), mask=columns < V)


@jit
def _allowed(mask, columns, V):
    """Return which of these columns are targets that a soft target may name."""
    inside = columns < V
    if mask is not None:
        inside = inside & tl.load(mask + columns, mask=inside, other=0)
    return inside


@jit
def _soft_targets_kernel(soft, entropies, logits, stride, mask, V, inv_temperature: float64, BLOCK: tl.constexpr):
    """Store y~ (eq. 3.7) and its entropy; one program for each row."""
    accum_dtype: tl.constexpr = entropies.dtype.element_ty
    inv_temperature = tl.full([], inv_temperature, accum_dtype)
    row = tl.program_id(0).to(tl.int64)
    logits, soft = logits + row * stride, soft + row * V
    # finite, so that a first block without an allowed word has a difference to it
    top = tl.full([], -1e30, accum_dtype)
    sums, products = tl.zeros([BLOCK], accum_dtype), tl.zeros([BLOCK], accum_dtype)
    for start in range(0, V, BLOCK):
        columns = start + tl.arange(0, BLOCK)
        values = tl.where(_allowed(mask, columns, V), _loaded_logits(logits, columns, V, accum_dtype), -float("inf"))
        sums, top = _grown(sums, top, values, inv_temperature)
    total = tl.sum(sums, 0)
    for start in range(0, V, BLOCK):
        columns = start + tl.arange(0, BLOCK)
        allowed = _allowed(mask, columns, V)
        below = tl.where(allowed, _loaded_logits(logits, columns, V, accum_dtype) - top, 0.0) * inv_temperature
        share = tl.where(allowed, tl.exp(below) / total, 0.0)
        tl.store(soft + columns, share, mask=columns < V)
        products += share * below
    tl.store(entropies + row, tl.log(total) - tl.sum(products, 0))


@jit
def _difference(target, logits, stride, weights, starts, columns, V, BLOCK: tl.constexpr):
    """Return tau D_u but for a constant: the sum of w (L l - z) over the rows of one target, which are neighbours."""
    accum_dtype: tl.constexpr = weights.dtype.element_ty
    at_target, sums = _loaded(target, columns, V, accum_dtype), tl.zeros([BLOCK], accum_dtype)
    for row in range(tl.load(starts), tl.load(starts + 1)):
        sums += tl.load(weights + row) * (at_target - _loaded(logits + row * stride, columns, V, accum_dtype))
    return sums


@jit
def _teacher_means_kernel(
    means, teacher, teacher_stride, soft, soft_stride, logits, stride, weights, starts, V, BLOCK: tl.constexpr
):
    """Store the part that a block of columns has in y~ . tau D [U, blocks]; a program for each target and block."""
    u, columns = tl.program_id(0).to(tl.int64), tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    target = teacher + u * teacher_stride
    difference = _difference(target, logits, stride, weights, starts + u, columns, V, BLOCK)
    share = _loaded(soft + u * soft_stride, columns, V, weights.dtype.element_ty)
    tl.store(means + u * tl.num_programs(1) + tl.program_id(1), tl.sum(share * difference, 0))


@jit
def _teacher_grad_kernel(
    means, teacher, teacher_stride, soft, soft_stride, logits, stride, weights, starts, V,
    scale: float64, BLOCK: tl.constexpr, BLOCKS: tl.constexpr,
):  # fmt: skip
    """Store R = gamma y~ (D - y~ . D) in place of the teacher's logits; a program for each target and block.

    `scale` is gamma / tau. D is computed once more, as it would take an array of that type to keep it. Nothing is
    multiplied between the sums and their difference: a GPU rounds a product that is stored and not one that is
    subtracted from, which of logits of 10,000 leaves what is not there.
    """
    accum_dtype: tl.constexpr = weights.dtype.element_ty
    u, columns = tl.program_id(0).to(tl.int64), tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    blocks = tl.num_programs(1)
    mean = tl.sum(_loaded(means + u * blocks, tl.arange(0, BLOCKS), blocks, accum_dtype), 0)
    target = teacher + u * teacher_stride
    difference = _difference(target, logits, stride, weights, starts + u, columns, V, BLOCK)
    share = _loaded(soft + u * soft_stride, columns, V, accum_dtype)
    values = tl.full([], scale, accum_dtype) * share * (difference - mean)
    tl.store(target + columns, values.to(target.dtype.element_ty), mask=columns < V)


def triton_unavailable(device: str) -> str | None:
    """Return why kernels cannot run on a device of this type, or None if they can.

    On a CPU they can where Triton interprets them (TRITON_INTERPRET=1 before it is imported), slowly and for checks.
    """
    try:
        from triton.runtime import JITFunction  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        return f"Triton cannot be imported: {error}"
    if device != "cuda" and isinstance(_loaded, JITFunction):
        return f"Triton's kernels run on a GPU, and the tensors are on {device}"
    return None


class TritonBackend:
    """`ElementwiseBackend` as Triton kernels.

    `block` is the maximum number of columns of a row at one time, a power of two, else an ArgumentError.
    """

    def __init__(self, block: int = BLOCK) -> None:
        if block < 1 or block & (block - 1):
            raise ArgumentError(f"block is {block}, but must be a power of two: leave it out for {BLOCK}.")
        self.block = block

    def cross_entropy(self, student: Student, request: GradRequest | None) -> Tensor:
        """Return J of every row."""
        (C, V), block = student.logits.shape, self._block(student.logits)
        losses, hard = (student.logits.new_empty(size, dtype=student.accum_dtype) for size in ((C,), (C, 3)))
        read = _read(student)
        _launch(_cross_entropy_kernel, (C,), block, losses, hard, *read, V)
        if request is not None:
            self._add_bias_grad(student, hard, request)
            _launch(_cross_entropy_grad_kernel, (C,), block, hard, *read, request.weights.contiguous(), V)
        return losses

    def augmented(
        self, student: Student, teacher: Teacher, temperature: float, gamma: float, request: GradRequest | None
    ) -> tuple[Tensor, Tensor]:
        """Return J and KL(y~ || y^) of every row."""
        (C, V), (U, _) = student.logits.shape, teacher.logits.shape
        block, inv_temperature = self._block(student.logits), 1 / temperature
        target_row = teacher.target_row.contiguous()
        soft, entropies = (student.logits.new_empty(size, dtype=student.accum_dtype) for size in ((U, V), (U,)))
        mask = None if teacher.mask is None else teacher.mask.contiguous()
        _launch(_soft_targets_kernel, (U,), block, soft, entropies, *_rows(teacher.logits), mask, V, inv_temperature)
        if request is not None and request.through_target:
            self._store_teacher_grad(student, teacher.logits, soft, target_row, request.weights, gamma / temperature)
        losses, divergences, hard, softened = (soft.new_empty(size) for size in (C, C, (C, 3), (C, 2)))
        read = _read(student)
        rest = (*_rows(soft), entropies, target_row, V, inv_temperature)
        _launch(_augmented_kernel, (C,), block, losses, divergences, hard, softened, *read, *rest)
        if request is not None:
            self._add_bias_grad(student, hard, request)
            rest = (request.weights.contiguous(), *_rows(soft), target_row, V, inv_temperature, gamma)
            _launch(_augmented_grad_kernel, (C,), block, hard, softened, *read, *rest)
        return losses, divergences

    def _store_teacher_grad(
        self, student: Student, teacher: Tensor, soft: Tensor, target_row: Tensor, weights: Tensor, scale: float
    ) -> None:
        """Store R in place of the teacher's logits; `scale` is gamma / tau."""
        (U, V), block = teacher.shape, min(TEACHER_BLOCK, self._block(teacher))
        starts = torch.searchsorted(target_row, torch.arange(U + 1, device=weights.device))
        grid = (U, -(-V // block))
        rows = (*_rows(teacher), *_rows(soft), *_rows(student.logits))
        arguments = (weights.new_empty(grid), *rows, weights.contiguous(), starts, V)
        _launch(_teacher_means_kernel, grid, block, *arguments)
        _launch(_teacher_grad_kernel, grid, block, *arguments, scale, BLOCKS=_power_of_two(grid[1]))

    def _add_bias_grad(self, student: Student, hard: Tensor, request: GradRequest) -> None:
        if request.bias_grad is None:
            return
        C, V = student.logits.shape
        rows, block = BIAS_TILE[0], min(BIAS_TILE[1], self._block(student.logits))
        arguments = (request.bias_grad, hard, *_read(student), request.weights.contiguous(), C, V)
        _launch(_add_bias_grad_kernel, (-(-V // block),), block, *arguments, ROWS=rows)

    def _block(self, logits: Tensor) -> int:
        """Return the columns at one time."""
        return min(self.block, _power_of_two(logits.shape[1]))


def _launch(kernel: Any, grid: tuple[int, ...], block: int, *arguments: Any, **constants: int) -> None:
    """Run one program for each place of the grid, on the GPU where the first argument is."""
    with torch.cuda.device_of(arguments[0]):
        kernel[grid](*arguments, BLOCK=block, num_warps=min(max(block // 256, 1), 8), **constants)


def _power_of_two(count: int) -> int:
    """Return the smallest power of two that is not below `count`, the sizes that a kernel's blocks have."""
    return 1 << (count - 1).bit_length()


def _rows(array: Tensor) -> tuple[Tensor, int]:
    """Return the array, whose columns the kernels take to be contiguous, and the distance of its rows."""
    assert array.stride(1) == 1 or array.shape[1] == 1, "the kernels take rows of contiguous columns"
    return array, array.stride(0)


def _read(student: Student) -> tuple[Tensor | int | None, ...]:
    bias = None if student.bias is None else student.bias.contiguous()
    return (*_rows(student.logits), bias, student.targets.contiguous())
