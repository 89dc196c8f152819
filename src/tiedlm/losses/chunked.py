"""The augmented loss over chunks of rows: the definition's values and gradients, never more than chunk x V of anything.

The rows are sorted by target, so a chunk touches few distinct words and each soft target is computed once for all its
rows. With p = y, q = y^, w_t the weight of row t in the reduced loss, e the one-hot target and J as in `functional`:

    KL(y~ || q) = logsumexp(z / tau) - y~ . z / tau - H(y~)
    G_t  = w_t [(p - e) + gamma (q - y~)]                    gradient at the logits z = W h, y~ held (eq. 3.4)
    D_u  = sum over rows t with target u of w_t (log y~_u - log q_t)
    R_u  = gamma y~_u (D_u - y~_u . D_u)                     gradient at the teacher's logits, through y~

so that dh = G W, dW = G' H, and through y~: dL[u] += R L, dL += R' L[u]. Both losses share one pair of products.

What lies between the products is a backend's (`plain`, `compiled`, `triton`). Matrix products take inputs of the type
`LossInputs.matmul_dtype`; everything else, and every sum over chunks, is float32, or float64 where the tables are.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from tiedlm.errors import ArgumentError
from tiedlm.losses.plain import WHOLE, ElementwiseBackend, GradRequest, PlainBackend, Student, Teacher, Vocab


class LossInputs(NamedTuple):
    """What the algorithm gets, checked and prepared by `augmented.prepare`; also the operator's arguments, in order."""

    features: Tensor
    """h [N, D], in the classifier's type."""
    classifier: Tensor
    """W [V, D]."""
    targets: Tensor
    """Word ids [N]; any where the weight is 0."""
    weights: Tensor
    """Weight of each row [N], float32 or float64; 0: it does not count."""
    table: Tensor | None
    """L [V, D']; None: tied, L = W."""
    bias: Tensor | None
    """b [V]."""
    vocabulary_mask: Tensor | None
    """Words that a soft target may name [V]."""
    temperature: float
    gamma: float
    detach_target: bool
    reduction: str
    chunk_rows: int
    """Rows of logits at one time, those of the soft targets included."""
    backend: str
    """"chunked" (PyTorch's operations), "compiled" or "triton"; "functional" where the definition is called instead."""
    matmul_dtype: torch.dtype
    """Type of the inputs of matrix products."""
    host_sync: bool
    """Whether the CPU may wait for values: False leaves the checks out, and no shape depends on values."""
    needs_grad: Sequence[bool]
    """Whether the gradients of features, classifier, table and bias are needed."""

    @property
    def accum_dtype(self) -> torch.dtype:
        """Type of everything that is not the input of a matrix product."""
        return torch.promote_types(self.classifier.dtype, torch.float32)

    @property
    def grad_dtype(self) -> torch.dtype:
        """Type of gradients until the backward pass: the tables', or wide where a loss scale is yet to come."""
        return self.accum_dtype if self.classifier.dtype == torch.float16 else self.classifier.dtype


Grads = tuple[Tensor | None, Tensor | None, Tensor | None, Tensor | None]
"""Gradients of features, classifier, table and bias; None where it is not needed."""


class _Rows(NamedTuple):
    """The rows that count [N'], sorted by target."""

    numbers: Tensor
    targets: Tensor
    weights: Tensor
    scale: Tensor | float
    """Factor of the reduced loss: 1 / the sum of the weights, or 1."""


def loss_and_grads(inputs: LossInputs, vocab: Vocab = WHOLE) -> tuple[list[Tensor], Grads]:
    """Return total, cross-entropy and divergence, reduced, and the gradients of the total unless it is "none"."""
    if inputs.host_sync:
        check_values(inputs.targets, inputs.weights, vocab.size(inputs.classifier), inputs.vocabulary_mask, vocab)
    rows = _counting_rows(inputs)
    now = inputs.reduction != "none" and any(inputs.needs_grad)
    cross_entropy, divergence, grads = _forward_backward(
        inputs, vocab, rows, rows.weights * rows.scale if now else None
    )
    total = cross_entropy + inputs.gamma * inputs.temperature * divergence
    terms = []
    for term in (total, cross_entropy, divergence):
        weighted = term * rows.weights
        if not inputs.host_sync:  # word 0 in place of another may be an impossible one
            weighted = weighted.masked_fill(rows.weights == 0, 0)
        if inputs.reduction == "none":
            terms.append(weighted.new_zeros(inputs.targets.shape).index_copy_(0, rows.numbers, weighted))
        else:
            terms.append(weighted.sum() * rows.scale)
    return terms, grads


def recompute_grads(inputs: LossInputs, grad: Tensor, vocab: Vocab = WHOLE) -> Grads:
    """Return the gradients for a factor of every row's loss [N], or of the reduced one []: for "none", or once more."""
    rows = _counting_rows(inputs)
    factors = grad.expand(inputs.targets.shape).index_select(0, rows.numbers)
    return _forward_backward(inputs, vocab, rows, rows.weights * rows.scale * factors)[2]


def check_values(
    targets: Tensor, weights: Tensor, vocab_size: int, mask: Tensor | None = None, vocab: Vocab = WHOLE
) -> None:
    """Refuse weights outside their range, and of rows that count targets outside it or forbidden by the mask."""
    valid = (weights >= 0) & weights.isfinite()
    if not bool(valid.all()):
        raise ArgumentError(f"token_weights hold {float(weights[~valid][0])}, but must be finite and 0 or more.")
    targets = targets[weights != 0]
    outside = (targets < 0) | (targets >= vocab_size)
    if bool(outside.any()):
        raise ArgumentError(
            f"targets hold {int(targets[outside][0])}, but must lie in 0 ... {vocab_size - 1}, or be ignore_index "
            "where a prediction does not count."
        )
    if mask is not None:
        row, held = vocab.local(targets)
        forbidden = ~mask[row]
        forbidden = targets[forbidden if held is None else forbidden & held]
        if len(forbidden):
            raise ArgumentError(
                f"vocabulary_mask forbids the word {int(forbidden[0])}, which is a target: allow it, or put "
                "ignore_index in its place."
            )


def _counting_rows(inputs: LossInputs) -> _Rows:
    """Return the rows of weights other than 0.

    Where their number must stay unread, all are taken: those that do not count have word 0 and keep their weight 0.
    """
    if inputs.host_sync:
        counting = (inputs.weights != 0).nonzero().squeeze(1)
        index = counting[inputs.targets[counting].argsort(stable=True)]
        targets = inputs.targets.index_select(0, index)
    else:
        targets, index = inputs.targets.masked_fill(inputs.weights == 0, 0).sort(stable=True)
    weights = inputs.weights.index_select(0, index)
    total = weights.sum()
    return _Rows(index, targets, weights, 1 / total.masked_fill(total == 0, 1) if inputs.reduction == "mean" else 1.0)


def _distinct(targets: Tensor, host_sync: bool) -> tuple[Tensor, Tensor]:
    """Return the distinct ones of sorted targets [U], and for each target its place among them [C].

    Where their number must stay unread, U is C, and behind the distinct ones stands word 0, whose gradients are 0.
    """
    if host_sync:
        return torch.unique_consecutive(targets, return_inverse=True)
    target_row = F.pad(targets[1:] != targets[:-1], (1, 0)).cumsum(0)
    return torch.zeros_like(targets).scatter_(0, target_row, targets), target_row


def _forward_backward(
    inputs: LossInputs, vocab: Vocab, rows: _Rows, weights: Tensor | None
) -> tuple[Tensor, Tensor, Grads]:
    """Return cross-entropy and divergence of every row [N'], and the gradients of the sum under `weights` [N'].

    The buffer of logits holds the C rows of a chunk's predictions and below them the U of its soft targets; each is
    overwritten by the gradient there. In a tied model the word vectors of a chunk's distinct targets are U more rows of
    the three products.
    """
    with torch.autocast(inputs.classifier.device.type, enabled=False):
        accum_dtype, matmul_dtype, augmented = inputs.accum_dtype, inputs.matmul_dtype, inputs.gamma > 0
        classifier = inputs.classifier.to(matmul_dtype)
        table = classifier if inputs.table is None else inputs.table.to(matmul_dtype)
        features, mask = inputs.features, inputs.vocabulary_mask
        if not inputs.host_sync:  # rows that do not count may hold anything, and if none counts, the mask too
            features = features.masked_fill((inputs.weights == 0).unsqueeze(1), 0)
            mask = None if mask is None else mask | ~mask.any()
        rows_at_once = max(inputs.chunk_rows // 2, 1) if augmented else inputs.chunk_rows
        chunks = list(_chunks(len(rows.numbers), rows_at_once))
        weights, unit = _rescale_for_fp16(weights, chunks, matmul_dtype)
        backend, grads = _backend(inputs.backend, vocab), _Grads(inputs, vocab, weights is not None)
        through_target = augmented and not inputs.detach_target and grads.table is not None
        logits = _logits_buffer(min(rows_at_once, len(rows.numbers)) * (2 if augmented else 1), classifier)
        losses = torch.zeros(2, len(rows.numbers), dtype=accum_dtype, device=features.device)
        for chunk in chunks:
            index, targets = rows.numbers[chunk], rows.targets[chunk]
            left = features.index_select(0, index).to(matmul_dtype)
            C = len(left)
            request = None
            if weights is not None:
                request = GradRequest(weights[chunk].to(accum_dtype), grads.bias, through_target)
            if not augmented:
                student = Student(_matmul_into(logits[:C], left, classifier), inputs.bias, targets, accum_dtype)
                losses[0, chunk] = backend.cross_entropy(student, request)
                if request is not None:
                    grads.add_student(logits[:C], left, index, classifier)
                continue
            distinct, target_row = _distinct(targets, inputs.host_sync)
            vectors = vocab.rows(table, distinct)
            U = len(vectors)
            if table is classifier:
                _matmul_into(logits[: C + U], torch.cat([left, vectors]), classifier)
            else:
                _matmul_into(logits[:C], left, classifier)
                _matmul_into(logits[C : C + U], vectors, table)
            student = Student(logits[:C], inputs.bias, targets, accum_dtype)
            teacher = Teacher(logits[C : C + U], target_row, mask)
            terms = backend.augmented(student, teacher, inputs.temperature, inputs.gamma, request)
            losses[:, chunk] = torch.stack(terms)
            if request is None:
                continue
            if through_target and table is classifier:
                grads.add_stacked(logits[: C + U], left, vectors, index, distinct, classifier)
                continue
            grads.add_student(logits[:C], left, index, classifier)
            if through_target:
                grads.add_teacher(logits[C : C + U], vectors, distinct, table)
        return losses[0], losses[1], grads.finish(inputs, unit)


def _chunks(rows: int, rows_at_once: int) -> Iterator[slice]:
    """Yield equal chunks, so that the last one is not a sliver."""
    count = -(-rows // rows_at_once)
    for number in range(count):
        yield slice(number * rows // count, (number + 1) * rows // count)


MAX_CHUNK_WEIGHT = 4096
"""Sum of a chunk's weights in the unit of float16: a sixteenth of its largest number, 65,504."""


def _rescale_for_fp16(
    weights: Tensor | None, chunks: list[slice], matmul_dtype: torch.dtype
) -> tuple[Tensor | None, Tensor | None]:
    """Return the weights in a unit in which G and R suit the products' type, and the unit (None: 1).

    Entries of G about 1/V, times the weight 1/N of a mean, are below what float16 can hold; sums over the rows of a
    chunk, as R and G' H are, may be above it where many rows have one target, and no loss scale would help. In the unit
    the weights of a chunk come to `MAX_CHUNK_WEIGHT` at most, which leaves room for entries of h, and of
    gamma (L l - z) / tau, up to 16. All other types have float32's range.
    """
    if weights is None or matmul_dtype != torch.float16 or not chunks:
        return weights, None
    max_weight = torch.stack([weights[chunk].abs().sum() for chunk in chunks]).amax()
    unit = (max_weight.to(torch.float32) / MAX_CHUNK_WEIGHT).where(max_weight > 0, 1)
    return weights / unit, unit


def _backend(name: str, vocab: Vocab) -> ElementwiseBackend:
    """Return the backend; what the others need is not imported, as Triton is not everywhere."""
    if name == "compiled":
        from tiedlm.losses.compiled import CompiledBackend as Backend
    elif name == "triton":
        from tiedlm.losses.triton import TritonBackend as Backend
    else:
        return PlainBackend(vocab)
    return Backend()


class _Grads:
    """The gradients while they are summed over chunks, in `accum_dtype`."""

    def __init__(self, inputs: LossInputs, vocab: Vocab, differentiate: bool) -> None:
        dtype, needs = inputs.accum_dtype, [differentiate and need for need in inputs.needs_grad]
        self.vocab, self.dtype = vocab, dtype
        self.features = torch.zeros_like(inputs.features, dtype=dtype) if needs[0] else None
        self.classifier = _TableGrad(inputs.classifier, dtype) if needs[1] else None
        self.table = self.classifier
        if inputs.table is not None:
            self.table = _TableGrad(inputs.table, dtype) if needs[2] else None
        self.bias = torch.zeros_like(inputs.bias, dtype=dtype) if needs[3] and inputs.bias is not None else None
        self.vectors: list[tuple[Tensor, Tensor]] = []
        """Where other processes have their part in dL[u]: the words of every chunk and this process's part."""

    def add_student(self, grad: Tensor, features: Tensor, index: Tensor, classifier: Tensor) -> None:
        """Add dh = G W and dW = G' H."""
        if self.features is not None:
            self.features.index_copy_(0, index, torch.mm(grad, classifier).to(self.dtype))
        if self.classifier is not None:
            self.classifier.add_matmul(grad, features)

    def add_teacher(self, grad: Tensor, vectors: Tensor, distinct: Tensor, table: Tensor) -> None:
        """Add dL[u] = R L and dL = R' L[u]."""
        assert self.table is not None
        self.table.add_matmul(grad, vectors)
        self._add_vectors(distinct, torch.mm(grad, table).to(self.dtype))

    def add_stacked(
        self, grad: Tensor, features: Tensor, vectors: Tensor, index: Tensor, distinct: Tensor, classifier: Tensor
    ) -> None:
        """Add all of it where the table is one: [dh; dL[u]] = [G; R] W and dW = [G; R]' [H; L[u]]."""
        assert self.classifier is not None
        C = len(features)
        if self.features is None:
            self.add_teacher(grad[C:], vectors, distinct, classifier)
            self.add_student(grad[:C], features, index, classifier)
            return
        back = torch.mm(grad, classifier).to(self.dtype)
        self.features.index_copy_(0, index, back[:C])
        self.classifier.add_matmul(grad, torch.cat([features, vectors]))
        self._add_vectors(distinct, back[C:])

    def _add_vectors(self, distinct: Tensor, grad: Tensor) -> None:
        assert self.table is not None
        if self.vocab.is_whole:
            self.table.add_rows(distinct, grad)
        else:
            self.vectors.append((distinct, grad))

    def finish(self, inputs: LossInputs, unit: Tensor | None) -> Grads:
        """Return the sums, over processes too, times `unit`, in the type they have until the backward pass."""
        if not self.vocab.is_whole:
            parts = [grad for _, grad in self.vectors] + ([] if self.features is None else [self.features])
            sums = self.vocab.sum(*parts) if parts else []
            self.features = None if self.features is None else sums.pop()
            for (distinct, _), grad in zip(self.vectors, sums, strict=True):
                assert self.table is not None
                row, held = self.vocab.local(distinct)
                self.table.add_rows(row, grad if held is None else grad.where(held.unsqueeze(1), 0))
        classifier = None if self.classifier is None else self.classifier.whole()
        table = None if self.table is None or self.table is self.classifier else self.table.whole()

        def finished(total: Tensor | None) -> Tensor | None:
            if total is not None and unit is not None:
                total *= unit
            return None if total is None else total.to(inputs.grad_dtype).contiguous()

        return finished(self.features), finished(classifier), finished(table), finished(self.bias)


ALIGNED_WIDTH = 8
"""A width that is no multiple of it (650, 1500) costs a CPU a third of the speed of G' H: such sums are padded."""
MAX_PADDED_BYTES = 128 * 2**20
"""Size up to which it is done, as the padding is taken off by a copy."""
MAX_TRANSPOSED_BYTES = 32 * 2**20
"""Size up to which a sum is taken from the transposed product; larger ones are slow to transpose."""


class _TableGrad:
    """The gradient of a table while it is summed [V, D]; the first product makes it, so that no zeros are added to."""

    def __init__(self, table: Tensor, dtype: torch.dtype) -> None:
        self.table, self.dtype = table, dtype
        small = table.numel() * dtype.itemsize <= MAX_PADDED_BYTES
        self.padding = -table.shape[1] % ALIGNED_WIDTH if small and table.device.type == "cpu" else 0
        self.total: Tensor | None = None

    def add_matmul(self, left: Tensor, right: Tensor) -> None:
        """Add left' right, of left [C, V] and right [C, D]."""
        right = F.pad(right, (0, self.padding)) if self.padding else right
        if self.total is not None and self.dtype == left.dtype:
            self.total.addmm_(left.T, right)
            return
        small = left.shape[1] * right.shape[1] * self.dtype.itemsize <= MAX_TRANSPOSED_BYTES
        if small and right.shape[1] < len(left) and left.dtype == torch.bfloat16 and left.device.type == "cpu":
            # a CPU's bfloat16 product transposes its left factor, G [C, V], for a third of its time; the result is less
            product = torch.mm(right.T.contiguous(), left).T.to(self.dtype, memory_format=torch.contiguous_format)
        else:
            product = torch.mm(left.T, right).to(self.dtype)
        self.total = product if self.total is None else self.total.add_(product)

    def add_rows(self, rows: Tensor, values: Tensor) -> None:
        """Add values [U, D] to the rows [U]."""
        self.whole().index_add_(0, rows, values)

    def whole(self) -> Tensor:
        """Return the sum so far, perhaps as a view of a wider one; zeros before anything was added."""
        if self.total is None:
            self.total = torch.zeros_like(self.table, dtype=self.dtype)
        return self.total[:, : self.table.shape[1]]


BLOCK_WORDS = 4096
"""Words of one bfloat16 product: 700 rows of their logits stay in a core's cache while they are written."""


def _matmul_into(out: Tensor, rows: Tensor, table: Tensor) -> Tensor:
    """Write the logits [C, V] of rows [C, D] under a table [V, D] into `out`, and return it.

    A CPU's bfloat16 product writes a wide result slowly; in blocks of a few thousand words it takes two fifths to three
    quarters of that time.
    """
    if rows.dtype != torch.bfloat16 or rows.device.type != "cpu":
        return torch.mm(rows, table.T, out=out)
    for start in range(0, len(table), BLOCK_WORDS):
        words = slice(start, start + BLOCK_WORDS)
        torch.mm(rows, table[words].T, out=out[:, words])
    return out


MAX_CACHED_BYTES = 128 * 2**20
"""Largest logits whose memory is kept; the chunks that are picked by default stay below it."""
LINE_BYTES = 64
"""A cache line; PyTorch's own arrays begin at one too."""


class _Cached(threading.local):
    """One array a type for each thread, as two losses may be computed at one time."""

    def __init__(self) -> None:
        self.arrays: dict[torch.dtype, Tensor] = {}


_cached = _Cached()


def _logits_buffer(rows: int, classifier: Tensor) -> Tensor:
    """Return an array [rows, V] with anything in it, of the classifier's type and device, until the next call.

    On a CPU its memory is kept from call to call: PyTorch gives a large array back to the system, and the next one
    costs a page fault for every 4 KiB, as much as the product that fills it. The rows begin at cache lines, without
    which that product takes longer. What lies between them is 0, as oneDNN's 16-bit products read it and multiply it by
    0, which of a NaN is NaN.
    """
    vocab_size, dtype = len(classifier), classifier.dtype
    if classifier.device.type != "cpu":
        return classifier.new_empty(rows, vocab_size)
    stride = math.ceil(vocab_size * dtype.itemsize / LINE_BYTES) * LINE_BYTES // dtype.itemsize
    size, keep = rows * stride, rows * vocab_size * dtype.itemsize <= MAX_CACHED_BYTES
    array = _cached.arrays.get(dtype) if keep else None
    if array is None or array.numel() < size:
        array = None
        if keep:
            _cached.arrays.pop(dtype, None)  # freed before the new one is made
        with torch.inference_mode(False):  # what is made in that mode cannot be written to outside it
            array = torch.empty(size, dtype=dtype)
        if keep:
            _cached.arrays[dtype] = array
    lines = array[:size].view(rows, stride)
    lines[:, vocab_size:].zero_()
    return lines[:, :vocab_size]
