"""The augmented loss where the words are split over processes: the same algorithm, V / R words each.

Every rank holds the same features and targets, and the rows of `shard_of` of the classifier (of table and bias too,
where there are any). What the ranks exchange, in reductions over `torch.distributed`:

    for a call      options, shapes and checksums; an error on one is an error on all
    for a chunk     the word vectors of its U distinct targets [U, D], each from the rank that holds it
                    the largest logit of every row of W h + b, W h / tau and L l / tau
                    six sums a row: the three normalisers, the target's logit, y~ . z / tau and y~ . L l / tau
    for a gradient  dh = sum over the ranks of G W, and dL[u] of the chunks = sum over the ranks of R L

where G and R, as `chunked` defines them, and dW = G' H, dL = R' L[u] stay on the rank that holds their words. Splitting
a classifier by rows for plain cross-entropy: Shoeybi et al., "Megatron-LM" (2019), section 3.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any, Unpack

import torch
from torch import Tensor

from tiedlm.errors import ArgumentError, refuse_double_backward, refuse_transforms
from tiedlm.losses.augmented import LossKeywords, LossOptions, LossTensors, centered, prepare
from tiedlm.losses.chunked import LossInputs, check_values, loss_and_grads, recompute_grads
from tiedlm.losses.functional import LossTerms
from tiedlm.losses.operator import grads_by_argument, save_inputs, saved_inputs
from tiedlm.losses.plain import Vocab
from tiedlm.native.ranks import Ranks

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup

CHUNK_ROWS = 512
"""Rows of a chunk where none are asked for; each chunk costs three reductions."""
BY, INSTEAD = "the vocabulary-parallel loss gives", "implementation 'functional' in one process"


def shard_of(words: int, rank: int, ranks: int) -> range:
    """Return the words whose rows a rank holds: in the order of the ranks, the first V % R of them with one more.

    Args:
        words: V of all ranks together, at least one for each.
        rank: 0 ... R - 1.
        ranks: R, 1 or more.

    Raises:
        ArgumentError: numbers outside these ranges.
    """
    if ranks < 1 or not 0 <= rank < ranks:
        raise ArgumentError(f"rank is {rank} of {ranks} ranks, but there must be one or more, counted from 0.")
    if words < ranks:
        raise ArgumentError(f"words is {words}, but each of {ranks} ranks must hold one or more: use fewer ranks.")
    each, more = divmod(words, ranks)
    first = rank * each + min(rank, more)
    return range(first, first + each + (rank < more))


def vocabulary_parallel_augmented_cross_entropy(
    features: Tensor,
    classifier: Tensor,
    targets: Tensor,
    *,
    words: int,
    group: ProcessGroup | None = None,
    table: Tensor | None = None,
    bias: Tensor | None = None,
    vocabulary_mask: Tensor | None = None,
    token_weights: Tensor | None = None,
    **options: Unpack[LossKeywords],
) -> Tensor:
    """Return the loss of `augmented.linear_augmented_cross_entropy` for word tables that are split over processes.

    All ranks call it alike, with the same features (so with the same dropout masks) and the same targets; the loss is
    the same on all of them. The gradient of `features` is the whole one on every rank, not to be summed again; those of
    `classifier`, `table` and `bias` are of this rank's rows. With the reduction "none" the backward pass exchanges too,
    and all ranks have to enter it.

    Args:
        features: h [..., D], the same on all ranks.
        classifier: this rank's rows of W [V / R, D], those of `shard_of(words, rank, ranks)`.
        targets: word ids [...] among all V words, or `ignore_index`; the same on all ranks.
        words: V of all ranks together, at least one for each.
        group: the processes, in the order of their ranks in it; None (the default): all.
        table, bias, vocabulary_mask: this rank's rows [V / R, ...].
        token_weights, options: as for `linear_augmented_cross_entropy`, the same on all ranks; `implementation` and
            `host_sync` stay as they are, and `chunk_rows` is 512 by default.

    Raises:
        ArgumentError: before any work, and on all ranks: what the definition refuses, rows that are not this rank's,
            ranks whose arguments differ. Without torch.distributed, or outside the group: here alone.
    """
    tensors = LossTensors(features, classifier, targets, table, bias, vocabulary_mask, token_weights)
    return _loss_terms(tensors, words, group, options).total


def vocabulary_parallel_augmented_terms(
    features: Tensor,
    classifier: Tensor,
    targets: Tensor,
    *,
    words: int,
    group: ProcessGroup | None = None,
    table: Tensor | None = None,
    bias: Tensor | None = None,
    vocabulary_mask: Tensor | None = None,
    token_weights: Tensor | None = None,
    **options: Unpack[LossKeywords],
) -> LossTerms:
    """Return the loss of `vocabulary_parallel_augmented_cross_entropy` together with its two terms."""
    tensors = LossTensors(features, classifier, targets, table, bias, vocabulary_mask, token_weights)
    return _loss_terms(tensors, words, group, options)


def _loss_terms(tensors: LossTensors, words: int, group: ProcessGroup | None, options: LossKeywords) -> LossTerms:
    if torch.compiler.is_compiling():
        raise ArgumentError(
            "The vocabulary-parallel loss cannot be part of a compiled graph, as it talks to other processes: call it "
            "outside, as torch.compiler.disable(vocabulary_parallel_augmented_cross_entropy) does."
        )
    ranks = Ranks.from_group(group)

    def check() -> tuple[LossOptions, VocabShard, LossInputs]:
        checked = LossOptions(**{"chunk_rows": CHUNK_ROWS, **{k: v for k, v in options.items() if v is not None}})
        if checked.implementation != "auto" or not checked.host_sync:
            raise ArgumentError(
                f"implementation is {checked.implementation!r} and host_sync {checked.host_sync}, but the "
                "vocabulary-parallel loss has one form, which reads values: leave both out."
            )
        vocab = VocabShard(ranks, words)
        inputs = prepare(tensors, checked)._replace(backend="chunked")
        if len(inputs.classifier) != len(vocab.held):
            raise ArgumentError(
                f"classifier holds {len(inputs.classifier)} rows, but of {words} words in all, rank {ranks.rank} of "
                f"{ranks.world_size} must hold {len(vocab.held)}: those of words {vocab.held.start} ... "
                f"{vocab.held.stop - 1} (see shard_of)."
            )
        check_values(inputs.targets, inputs.weights, words, inputs.vocabulary_mask, vocab)
        refuse_transforms(BY, INSTEAD, tensors.features, tensors.classifier, tensors.table, tensors.bias)
        return checked, vocab, inputs

    checked, vocab, inputs = ranks.check_same(
        check, tensors.classifier.device, key=lambda checked: _consensus_key(*checked)
    )
    if checked.center_table:
        inputs = centered(inputs, vocab)
    losses: Any = _VocabParallelLoss.apply(vocab, *inputs)
    if inputs.reduction == "none":
        losses = [loss.reshape(tensors.targets.shape) for loss in losses]
    return LossTerms(*losses)


def _consensus_key(options: LossOptions, vocab: VocabShard, inputs: LossInputs) -> str:
    """Return all that must be the same on every rank, or they would wait for each other in vain."""
    values = {
        **vars(options),
        "words": int(vocab.vocab_size),
        "features": tuple(inputs.features.shape),
        "table_width": None if inputs.table is None else inputs.table.shape[1],
        **{name: getattr(inputs, name) is not None for name in ("table", "bias", "vocabulary_mask")},
        "targets_checksum": zlib.crc32(inputs.targets.cpu().numpy().tobytes()),
        "weights_checksum": zlib.crc32(inputs.weights.double().cpu().numpy().tobytes()),
        "dtype": inputs.classifier.dtype,
        "matmul_dtype": inputs.matmul_dtype,
        "needs_grad": tuple(inputs.needs_grad),
    }
    return ", ".join(f"{name}={value!r}" for name, value in values.items())


class VocabShard(Vocab):
    """`plain.Vocab` over processes: the words whose rows this rank holds, and the way to what the others hold."""

    is_whole = False

    def __init__(self, ranks: Ranks, vocab_size: int) -> None:
        self.ranks, self.vocab_size = ranks, vocab_size
        self.held = shard_of(vocab_size, ranks.rank, ranks.world_size)

    def size(self, classifier: Tensor) -> int:
        return self.vocab_size

    def local(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        held = (ids >= self.held.start) & (ids < self.held.stop)
        return (ids - self.held.start).clamp(0, len(self.held) - 1), held

    def rows(self, table: Tensor, ids: Tensor) -> Tensor:
        row, held = self.local(ids)
        wide = torch.promote_types(table.dtype, torch.float32)  # others add zeros, so that nothing is rounded
        rows = table.index_select(0, row).to(wide).where(held.unsqueeze(1), 0)
        return self.ranks.all_reduce_sum(rows)[0].to(table.dtype)

    def center(self, table: Tensor) -> Tensor:
        wide = table.to(torch.promote_types(table.dtype, torch.float32))
        centered: Any = _Center.apply(self, wide)
        return centered.to(table.dtype)

    def max(self, *parts: Tensor) -> list[Tensor]:
        return self.ranks.all_reduce_max(*parts)

    def sum(self, *parts: Tensor) -> list[Tensor]:
        return self.ranks.all_reduce_sum(*parts)


class _Center(torch.autograd.Function):
    """x - the mean of the rows x of all processes, which is its own backward pass."""

    @staticmethod
    def forward(ctx: Any, vocab: VocabShard, table: Tensor) -> Tensor:
        ctx.vocab = vocab
        return table - vocab.sum(table.sum(0))[0] / vocab.vocab_size

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[None, Tensor]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return None, grad - ctx.vocab.sum(grad.sum(0))[0] / ctx.vocab.vocab_size


class _VocabParallelLoss(torch.autograd.Function):
    """Inputs: a `VocabShard` and the fields of `LossInputs`, of which tables are those of the shard.

    Outputs: total, cross-entropy and divergence, reduced or [N]; the last two carry no gradient.
    """

    @staticmethod
    def forward(ctx: Any, vocab: VocabShard, *arguments: Any) -> tuple[Tensor, ...]:
        terms, grads = loss_and_grads(LossInputs(*arguments), vocab)
        save_inputs(ctx, LossInputs(*arguments))
        ctx.vocab, ctx.grads = vocab, grads
        ctx.mark_non_differentiable(*terms[1:])
        return tuple(terms)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        refuse_double_backward(BY, INSTEAD)
        if ctx.inputs.reduction == "none":
            products = recompute_grads(saved_inputs(ctx), grads[0], ctx.vocab)
        else:
            products = [None if own is None else own * grads[0] for own in ctx.grads]
        return None, *grads_by_argument(ctx, products)
