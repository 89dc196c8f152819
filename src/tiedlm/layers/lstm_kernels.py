"""The steps of `layers.lstm_triton` as Triton kernels: all steps of a window in one launch.

Between two steps lies a product with W_hh, too little for a GPU and far quicker than a launch. So each program has some
units for the whole window, and reads of every step what all programs have stored of the one before; it waits for them
in between (`_all_have_stored`), so all of them have to run at the same time. What a step reads besides is asked for
before that wait. The notation is that of `layers.lstm_batched`. Products are of the type that W_hh, `read` and
`of_sums` have, and add up in the wide one, that of the gates; everything else is in the wide type. A kernel is
compiled for one B and H, and so sees what lies aligned, which it loads in whole vectors.
"""

from __future__ import annotations

from tiedlm.native.triton_language import jit, tl


@jit
def _all_have_stored(counter, times, PROGRAMS: tl.constexpr):
    """Wait until every program has come here `times` times, and see what each has stored before it did."""
    if PROGRAMS > 1:
        tl.debug_barrier()  # the threads of this program, as one of them signs for all
        arrived = tl.atomic_add(counter, 1, sem="acq_rel") + 1
        while arrived < times * PROGRAMS:
            arrived = tl.atomic_add(counter, 0, sem="acquire")
        tl.debug_barrier()


@jit
def _fresh(pointers, inside):
    """Return entries that other programs may just have stored: not from this multiprocessor's own cache."""
    return tl.load(pointers, mask=inside, other=0.0, cache_modifier=".cg")


@jit
def _tanh(value):
    """Return tanh(value) to the last bits: near 0 by its series, whose next term is below 1e-8 of it."""
    small = tl.where(tl.abs(value) < 0.2, value, 0.0)
    square = small * small
    near = small * (1 + square * (-1 / 3 + square * (2 / 15 + square * (-17 / 315 + square * (62 / 2835)))))
    shrunk = tl.exp(-2 * tl.abs(value))
    far = (1 - shrunk) / (1 + shrunk)
    return tl.where(tl.abs(value) < 0.2, near, tl.where(value < 0, -far, far))


@jit
def _sigmoid(value):
    """Return sigmoid(value), by the exponential that does not overflow."""
    shrunk = tl.exp(-tl.abs(value))
    return tl.where(value < 0, shrunk, 1.0) / (1 + shrunk)


@jit
def _at(pointers, inside):
    return tl.load(pointers, mask=inside, other=0.0)


@jit
def _four(pointers, H, inside):
    """Return what an array [4H] of each stream has for i, f, g and o."""
    i, f = _at(pointers, inside), _at(pointers + H, inside)
    return i, f, _at(pointers + 2 * H, inside), _at(pointers + 3 * H, inside)


@jit
def _store_four(pointers, H, inside, i, f, g, o):
    kind: tl.constexpr = pointers.dtype.element_ty
    tl.store(pointers, i.to(kind), mask=inside)
    tl.store(pointers + H, f.to(kind), mask=inside)
    tl.store(pointers + 2 * H, g.to(kind), mask=inside)
    tl.store(pointers + 3 * H, o.to(kind), mask=inside)


@jit
def _own(B, H, ROWS: tl.constexpr, UNITS: tl.constexpr):
    """Return rows [ROWS, 1] and this program's units [1, UNITS], and which of them are there."""
    rows, units = tl.arange(0, ROWS)[:, None], (tl.program_id(0) * UNITS + tl.arange(0, UNITS))[None, :]
    return rows, units, (rows < B) & (units < H)


@jit
def lstm_forward(
    gates, cells, bounded, read, last, weight, mask, counter, T, B: tl.constexpr, H: tl.constexpr,
    ROWS: tl.constexpr, UNITS: tl.constexpr, INNER: tl.constexpr, PROGRAMS: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Store gates in the place of W_ih x + b, cells, their tanh, masked outputs, and the raw h of the last step.

    A program has UNITS units of all streams, in ROWS rows of which B are there, and takes INNER entries of h at a time.
    """
    rows, units, inside = _own(B, H, ROWS, UNITS)
    place, own, block = rows * H + units, rows * (4 * H) + units, H * H
    kept = 1.0 if mask is None else _at(mask + place, inside)
    cell, hidden = _at(cells + place, inside), tl.zeros([ROWS, UNITS], gates.dtype.element_ty)
    i, f, g, o = _four(gates + own, H, inside)
    for t in range(T):
        for start in range(0, H, INNER):
            columns = start + tl.arange(0, INNER)
            before = _fresh(read + rows * H + columns[None, :], (rows < B) & (columns < H)[None, :])
            weights, there = weight + units * H + columns[:, None], (units < H) & (columns < H)[:, None]
            i = tl.dot(before, _at(weights, there), i, input_precision=PRECISION)
            f = tl.dot(before, _at(weights + block, there), f, input_precision=PRECISION)
            g = tl.dot(before, _at(weights + 2 * block, there), g, input_precision=PRECISION)
            o = tl.dot(before, _at(weights + 3 * block, there), o, input_precision=PRECISION)
        i, f, g, o = _sigmoid(i), _sigmoid(f), _tanh(g), _sigmoid(o)
        cell = f * cell + i * g
        bound = _tanh(cell)
        hidden = o * bound
        read, cells = read + B * H, cells + B * H
        tl.store(read + place, (kept * hidden).to(read.dtype.element_ty), mask=inside)
        tl.store(cells + place, cell, mask=inside)
        tl.store(bounded + t * (B * H) + place, bound, mask=inside)
        _store_four(gates + t * (4 * B * H) + own, H, inside, i, f, g, o)
        i, f, g, o = _four(gates + tl.minimum(t + 1, T - 1) * (4 * B * H) + own, H, inside)
        _all_have_stored(counter, t + 1, PROGRAMS)
    tl.store(last + place, hidden, mask=inside)


@jit
def _of_step(gates, cells, bounded, of_outputs, own, place, t, B, H, inside):
    """Return gates, c before the step, tanh(c) and the gradient of the outputs of step t."""
    i, f, g, o = _four(gates + t * (4 * B * H) + own, H, inside)
    place += t * (B * H)
    return i, f, g, o, _at(cells + place, inside), _at(bounded + place, inside), _at(of_outputs + place, inside)


@jit
def lstm_backward(
    gates, cells, bounded, weight, mask, of_outputs, of_hidden, of_cell, of_sums, before, counter, T,
    B: tl.constexpr, H: tl.constexpr, ROWS: tl.constexpr, UNITS: tl.constexpr, INNER: tl.constexpr,
    PROGRAMS: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Store d a of every step, and the gradients of h and c before the window, that of c where one arrives.

    `of_hidden` and `of_cell` arrive at raw h and c after the window. A program takes INNER entries of d a at a time.
    """
    rows, units, inside = _own(B, H, ROWS, UNITS)
    place, own = rows * H + units, rows * (4 * H) + units
    kept = 1.0 if mask is None else _at(mask + place, inside)
    arriving, carried = _at(of_hidden + place, inside), _at(of_cell + place, inside)
    i, f, g, o, former, bound, at_output = _of_step(gates, cells, bounded, of_outputs, own, place, T - 1, B, H, inside)
    for step in range(T):
        sums = of_sums + (T - 1 - step) * (4 * B * H)
        at_hidden = arriving + kept * at_output
        at_cell = carried + at_hidden * o * (1 - bound * bound)
        carried = at_cell * f
        at_input, at_former = at_cell * g * i * (1 - i), at_cell * former * f * (1 - f)
        at_candidate, at_open = at_cell * i * (1 - g * g), at_hidden * bound * o * (1 - o)
        _store_four(sums + own, H, inside, at_input, at_former, at_candidate, at_open)
        i, f, g, o, former, bound, at_output = _of_step(
            gates, cells, bounded, of_outputs, own, place, tl.maximum(T - 2 - step, 0), B, H, inside
        )
        _all_have_stored(counter, step + 1, PROGRAMS)
        arriving = tl.zeros_like(carried)
        for start in range(0, 4 * H, INNER):
            columns = start + tl.arange(0, INNER)
            at_sums = _fresh(sums + rows * (4 * H) + columns[None, :], (rows < B) & (columns < 4 * H)[None, :])
            weights = _at(weight + columns[:, None] * H + units, (units < H) & (columns < 4 * H)[:, None])
            arriving = tl.dot(at_sums, weights, arriving, input_precision=PRECISION)
        arriving *= kept
    tl.store(before + place, arriving, mask=inside)
    tl.store(of_cell + place, carried, mask=inside)
