"""The student's loops of `passes_triton` as Triton kernels, and what they share with the teacher's (`triton_teacher`).

Only `passes_triton` launches them; the notation is that of `passes`. Sums are kept apart for each place of a block and
added up at the end, always in one order, and no program adds to what another one adds to: the same numbers give the
same bits. Everything is worked out in the type of the arrays that hold the rows' results (float32, or float64) and
rounded once, when it is stored. A `stride` is the distance from one row to the next; the columns of a row are
neighbours.
"""

from __future__ import annotations

from tiedlm.native.triton_language import float64, jit, tl


@jit
def loaded(row, columns, V, wide: tl.constexpr):
    """Return a row's entries at these columns; 0 beyond the last one."""
    return tl.load(row + columns, mask=columns < V, other=0.0).to(wide)


@jit
def loaded_logits(row, columns, V, wide: tl.constexpr):
    """Return a row's logits at these columns; beyond the last one what has no probability."""
    return tl.load(row + columns, mask=columns < V, other=-float("inf")).to(wide)


@jit
def grown(sums, top, values, coolness):
    """Return the sums of exp(coolness (value - top)) with one more block, and the top of all blocks so far."""
    higher = tl.maximum(top, tl.max(values, 0))
    return sums * tl.exp((top - higher) * coolness) + tl.exp((values - higher) * coolness), higher


@jit
def _biased(values, bias, columns, V):
    """Return z + b; the prediction alone has a bias."""
    if bias is not None:
        values += loaded(bias, columns, V, values.dtype)
    return values


@jit
def _log1p(value):
    """Return log(1 + value) to the last bit: what 1 + value was rounded by is divided out again (W. Kahan)."""
    raised = 1.0 + value
    return tl.where(raised == 1.0, value, tl.log(raised) * (value / tl.where(raised == 1.0, 1.0, raised - 1.0)))


@jit
def _settled(top, chosen, rest):
    """Return J, the sum of all exp(z + b - top), and y - 1 at the target, exact where y is nearly 1.

    `chosen` is the target's z + b, and `rest` the sum without its term.
    """
    total = rest + tl.exp(chosen - top)
    return tl.where(top > chosen, top - chosen + tl.log(total), _log1p(rest)), total, -rest / total


@jit
def _hard(biased, is_target, top, total, missed):
    """Return y - e."""
    return tl.where(is_target, missed, tl.exp(biased - top) / total)


@jit
def _kept(hard, row):
    """Return what y is made of, as `cross_entropy` has stored it."""
    return tl.load(hard + 3 * row), tl.load(hard + 3 * row + 1), tl.load(hard + 3 * row + 2)


@jit
def _keep(hard, row, top, total, missed):
    tl.store(hard + 3 * row, top)
    tl.store(hard + 3 * row + 1, total)
    tl.store(hard + 3 * row + 2, missed)


@jit
def cross_entropy(losses, hard, logits, stride, bias, words, V, BLOCK: tl.constexpr):
    """Store J (eq. 2.4) and what y is made of; one program for each row.

    `hard` [C, 3]: the largest z + b, the sum of exp(z + b - largest), and y - 1 at the target.
    """
    wide: tl.constexpr = losses.dtype.element_ty
    row = tl.program_id(0).to(tl.int64)
    logits, word = logits + row * stride, tl.load(words + row)
    chosen = _biased(tl.load(logits + word).to(wide), bias, word, V)
    top, sums = chosen, tl.zeros([BLOCK], wide)
    for start in range(0, V, BLOCK):
        columns = start + tl.arange(0, BLOCK)
        biased = _biased(loaded_logits(logits, columns, V, wide), bias, columns, V)
        sums, top = grown(sums, top, tl.where(columns == word, -float("inf"), biased), 1.0)
    loss, total, missed = _settled(top, chosen, tl.sum(sums, 0))
    tl.store(losses + row, loss)
    _keep(hard, row, top, total, missed)


@jit
def cross_entropy_gradient(hard, logits, stride, bias, words, weights, V, BLOCK: tl.constexpr):
    """Store G = w (y - e) in place of the logits; one program for each row."""
    wide: tl.constexpr = hard.dtype.element_ty
    row = tl.program_id(0).to(tl.int64)
    logits, word, weight = logits + row * stride, tl.load(words + row), tl.load(weights + row)
    top, total, missed = _kept(hard, row)
    for start in range(0, V, BLOCK):
        columns = start + tl.arange(0, BLOCK)
        biased = _biased(loaded_logits(logits, columns, V, wide), bias, columns, V)
        gradient = weight * _hard(biased, columns == word, top, total, missed)
        tl.store(logits + columns, gradient.to(logits.dtype.element_ty), mask=columns < V)


@jit
def augmented(
    losses, divergences, hard, softened, logits, stride, bias, words,
    soft, soft_stride, entropies, of_row, V, coolness: float64, BLOCK: tl.constexpr,
):  # fmt: skip
    """Store J, KL(y~ || y^) (eq. 3.2), and what y and y^ are made of; one program for each row.

    `softened` [C, 2]: the largest z, and the sum of exp((z - largest) / tau). `hard` as in `cross_entropy`.
    """
    wide: tl.constexpr = losses.dtype.element_ty
    coolness = tl.full([], coolness, wide)
    row = tl.program_id(0).to(tl.int64)
    logits, word, target = logits + row * stride, tl.load(words + row), tl.load(of_row + row)
    soft += target * soft_stride
    peak = tl.load(logits + word).to(wide)
    chosen = _biased(peak, bias, word, V)
    top, sums, cool_sums = chosen, tl.zeros([BLOCK], wide), tl.zeros([BLOCK], wide)
    mass, crossing = tl.zeros([BLOCK], wide), tl.zeros([BLOCK], wide)
    for start in range(0, V, BLOCK):
        columns = start + tl.arange(0, BLOCK)
        values, share = loaded_logits(logits, columns, V, wide), loaded(soft, columns, V, wide)
        biased = _biased(values, bias, columns, V)
        sums, top = grown(sums, top, tl.where(columns == word, -float("inf"), biased), 1.0)
        cool_sums, higher = grown(cool_sums, peak, values, coolness)
        # the sum of y~ (z - peak), moved to each new peak: no term is positive, so that nothing cancels
        crossing += mass * (peak - higher) + share * tl.where(columns < V, values - higher, 0.0)
        mass, peak = mass + share, higher
    loss, total, missed = _settled(top, chosen, tl.sum(sums, 0))
    cool_total = tl.sum(cool_sums, 0)
    divergence = tl.log(cool_total) - tl.sum(crossing * coolness, 0) - tl.load(entropies + target)
    tl.store(losses + row, loss)
    tl.store(divergences + row, divergence)
    _keep(hard, row, top, total, missed)
    tl.store(softened + 2 * row, peak)
    tl.store(softened + 2 * row + 1, cool_total)


@jit
def augmented_gradient(
    hard, softened, logits, stride, bias, words, weights, soft, soft_stride, of_row, V,
    coolness: float64, gamma: float64, BLOCK: tl.constexpr,
):  # fmt: skip
    """Store G = w [(y - e) + gamma (y^ - y~)] in place of the logits; one program for each row."""
    wide: tl.constexpr = hard.dtype.element_ty
    coolness, gamma = tl.full([], coolness, wide), tl.full([], gamma, wide)
    row = tl.program_id(0).to(tl.int64)
    logits, word, weight = logits + row * stride, tl.load(words + row), tl.load(weights + row)
    soft += tl.load(of_row + row) * soft_stride
    top, total, missed = _kept(hard, row)
    peak, cool_total = tl.load(softened + 2 * row), tl.load(softened + 2 * row + 1)
    for start in range(0, V, BLOCK):
        columns = start + tl.arange(0, BLOCK)
        values = loaded_logits(logits, columns, V, wide)
        spread = tl.exp((values - peak) * coolness) / cool_total - loaded(soft, columns, V, wide)
        difference = _hard(_biased(values, bias, columns, V), columns == word, top, total, missed)
        gradient = weight * (difference + gamma * spread)
        tl.store(logits + columns, gradient.to(logits.dtype.element_ty), mask=columns < V)


@jit
def add_bias_gradient(
    at_bias, hard, logits, stride, bias, words, weights, C, V, ROWS: tl.constexpr, BLOCK: tl.constexpr
):
    """Add the sum over rows of w (y - e); one program for each block of columns, several rows at a time."""
    wide: tl.constexpr = at_bias.dtype.element_ty
    columns = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    own_bias, sums = loaded(bias, columns, V, wide)[None, :], tl.zeros([ROWS, BLOCK], wide)
    for start in range(0, C, ROWS):
        rows = (start + tl.arange(0, ROWS)).to(tl.int64)[:, None]
        inside = (rows < C) & (columns < V)[None, :]
        values = tl.load(logits + rows * stride + columns[None, :], mask=inside, other=-float("inf")).to(wide)
        total = tl.load(hard + 3 * rows + 1, mask=rows < C, other=1.0)
        top, missed = loaded(hard, 3 * rows, 3 * C, wide), loaded(hard + 2, 3 * rows, 3 * C, wide)
        is_target = columns[None, :] == tl.load(words + rows, mask=rows < C, other=-1)
        sums += loaded(weights, rows, C, wide) * _hard(values + own_bias, is_target, top, total, missed)
    tl.store(at_bias + columns, loaded(at_bias, columns, V, wide) + tl.sum(sums, 0), mask=columns < V)
