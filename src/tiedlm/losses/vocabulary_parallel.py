"""The augmented loss where the words are split over processes: the definition's values and gradients, V / R words each.

Every rank holds the same features and targets, and the rows of `shards.shard_of` of the classifier (of table and bias
too, where there are any). What the ranks exchange, in reductions over `torch.distributed`:

    for a call      the word vectors of the U distinct targets [U, D], each from the rank that holds it
    for a chunk     the largest logit of every row of W h + b, W h / tau and L l / tau
                    six sums a row: the three normalisers, the target's logit, y~ . z / tau and y~ . L l / tau
    for a gradient  dh = sum over the ranks of G W, and dL[u] of the distinct targets = sum over the ranks of R L

where G and R, as `chunked` defines them, and dW = G' H, dL = R' L[u] stay on the rank that holds their words. Splitting
a classifier by rows for plain cross-entropy: Shoeybi et al., "Megatron-LM" (2019), section 3.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Unpack

import torch
from torch import Tensor

from tiedlm.errors import ArgumentError
from tiedlm.losses.arguments import check_chunk_rows, check_values
from tiedlm.losses.functional import LossTerms
from tiedlm.losses.inputs import LossInputs, LossOptions
from tiedlm.losses.shard_operator import ParallelLoss, ShardCall
from tiedlm.losses.shards import Shard
from tiedlm.ranks import Ranks

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup

CHUNK_ROWS = 512
"""Rows of a chunk where none are asked for; each chunk costs two reductions."""


def vocabulary_parallel_augmented_cross_entropy(
    features: Tensor,
    classifier: Tensor,
    targets: Tensor,
    *,
    words: int,
    chunk_rows: int | None = None,
    group: ProcessGroup | None = None,
    **options: Unpack[LossOptions],
) -> Tensor:
    """Return the loss of `linear.linear_augmented_cross_entropy` for word tables that are split over processes.

    All ranks call it alike, with the same features (so with the same dropout masks) and the same targets; the loss is
    the same on all of them. The gradient of `features` is the whole one on every rank, not to be summed again; those of
    `classifier`, `table` and `bias` are of this rank's rows. With the reduction "none" the backward pass exchanges too,
    and all ranks have to enter it.

    Args:
        features: h [..., D], the same on all ranks.
        classifier: this rank's rows of W [V / R, D], those of `shards.shard_of(words, rank, ranks)`.
        targets: word ids [...] among all V words, or `ignore_index`; the same on all ranks.
        words: V of all ranks together, at least one for each.
        chunk_rows: rows of logits at one time, 1 or more, half of them for the soft targets; None: 512.
        group: the processes, in the order of their ranks in it; None: all.
        options: as for `linear.linear_augmented_cross_entropy`. Of `table`, `bias` and `vocabulary_mask` this rank's
            rows [V / R, ...]; everything else is the same on all ranks.

    Raises:
        ArgumentError: before any work, and on all ranks: what the definition refuses, rows that are not this rank's,
            ranks that are not asked for the same. Without torch.distributed, or outside the group: here alone.
    """
    return vocabulary_parallel_augmented_terms(
        features, classifier, targets, words=words, chunk_rows=chunk_rows, group=group, **options
    ).total


def vocabulary_parallel_augmented_terms(
    features: Tensor,
    classifier: Tensor,
    targets: Tensor,
    *,
    words: int,
    chunk_rows: int | None = None,
    group: ProcessGroup | None = None,
    **options: Unpack[LossOptions],
) -> LossTerms:
    """Return the loss of `vocabulary_parallel_augmented_cross_entropy` together with its two terms."""
    ranks = Ranks.of(group)

    def checked() -> ShardCall:
        given = LossInputs(features, classifier, targets, **options)
        _check_shard(given, Shard.of(ranks, words))
        check_chunk_rows(chunk_rows)
        return _call(given, words, chunk_rows or CHUNK_ROWS)

    call = ranks.agree(checked, classifier.device)
    given = LossInputs(features, classifier, targets, **options)
    flat, table, bias = (
        None if one is None else one.to(classifier.dtype)
        for one in (features.reshape(-1, features.shape[-1]), given.table, given.bias)
    )
    weights = None if given.token_weights is None else given.token_weights.reshape(-1)
    tensors = (flat, classifier, table, bias, targets.reshape(-1), given.vocabulary_mask, weights)
    losses = ParallelLoss.apply(*tensors, call, ranks)
    terms = (term.reshape(targets.shape) if call.reduction == "none" else term for term in losses)  # pyright: ignore
    total, cross_entropy, divergence = terms
    return LossTerms(total, cross_entropy.detach(), divergence.detach())


def _check_shard(given: LossInputs, shard: Shard) -> None:
    """Refuse a shard that is not this rank's, by its size, and targets elsewhere or outside their range."""
    classifier, held, ranks = given.classifier, shard.held, shard.ranks
    if len(classifier) != len(held):
        raise ArgumentError(
            f"classifier holds {len(classifier)} rows, but of {shard.words} words in all, rank {ranks.rank} of "
            f"{ranks.count} must hold {len(held)}: those of words {held.start} ... {held.stop - 1} (see shard_of)."
        )
    if given.targets.device != classifier.device:
        raise ArgumentError(
            f"targets are on {given.targets.device}, but the classifier is on {classifier.device}: convert one of them."
        )
    mask = None
    if given.vocabulary_mask is not None:  # what others hold is theirs to refuse
        mask = torch.ones(shard.words, dtype=torch.bool, device=classifier.device)
        mask[held.start : held.stop] = given.vocabulary_mask
    check_values(given.targets, shard.words, given.ignore_index, mask, given.token_weights)


def _call(given: LossInputs, words: int, chunk_rows: int) -> ShardCall:
    learning = (given.features, given.classifier, given.table, given.bias)
    return ShardCall(
        words=int(words),
        chunk_rows=int(chunk_rows),
        temperature=float(given.temperature),
        gamma=float(given.gamma),
        detach_target=bool(given.detach_target),
        center_table=bool(given.center_table),
        ignore_index=int(given.ignore_index),
        reduction=given.reduction,
        features=tuple(given.features.shape),
        table_width=None if given.table is None else given.table.shape[1],
        biased=given.bias is not None,
        masked=given.vocabulary_mask is not None,
        targets_checksum=_checksum(given.targets),
        weights_checksum=None if given.token_weights is None else _checksum(given.token_weights.double()),
        dtype=given.classifier.dtype,
        products=given.products,
        wanted=tuple(torch.is_grad_enabled() and one is not None and one.requires_grad for one in learning),
    )


def _checksum(values: Tensor) -> int:
    return zlib.crc32(values.cpu().numpy().tobytes())
