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
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Required, Unpack, cast

import torch
from torch import Tensor

from tiedlm.derivatives import refuse_transforms
from tiedlm.errors import ArgumentError
from tiedlm.losses.arguments import check_chunk_rows, check_values
from tiedlm.losses.call import Call, call_of
from tiedlm.losses.functional import LossTerms
from tiedlm.losses.inputs import LossInputs, LossOptions
from tiedlm.losses.shard_operator import ParallelLoss
from tiedlm.losses.shards import Shard
from tiedlm.losses.swept import terms_of
from tiedlm.native.ranks import Ranks

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup

CHUNK_ROWS = 512
"""Rows of a chunk where none are asked for; each chunk costs two reductions."""
OPTIONS = ("chunk_rows", "temperature", "gamma", "detach_target", "center_table", "ignore_index", "reduction")
"""The options of a call in which ranks must be alike, as they are."""


class ParallelOptions(LossOptions, total=False):
    """The keyword arguments of the loss."""

    words: Required[int]
    chunk_rows: int | None
    group: ProcessGroup | None


def vocabulary_parallel_augmented_cross_entropy(
    features: Tensor, classifier: Tensor, targets: Tensor, **options: Unpack[ParallelOptions]
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
        chunk_rows: rows of logits at one time, 1 or more, half of them for the soft targets; None (the default): 512.
        group: the processes, in the order of their ranks in it; None (the default): all.
        options: all others as for `linear.linear_augmented_cross_entropy`. Of `table`, `bias` and `vocabulary_mask`
            this rank's rows [V / R, ...]; everything else is the same on all ranks.

    Raises:
        ArgumentError: before any work, and on all ranks: what the definition refuses, rows that are not this rank's,
            ranks that are not asked for the same. Without torch.distributed, or outside the group: here alone.
    """
    return vocabulary_parallel_augmented_terms(features, classifier, targets, **options).total


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
    if torch.compiler.is_compiling():
        raise ArgumentError(
            "The vocabulary-parallel loss cannot be part of a compiled graph, as it talks to other processes: call it "
            "outside, as torch.compiler.disable(vocabulary_parallel_augmented_cross_entropy) does."
        )
    ranks = Ranks.from_group(group)

    def checked() -> ShardCall:
        given = LossInputs(features, classifier, targets, **options)
        shard = Shard.of(ranks, words)
        refuse_transforms(
            "the vocabulary-parallel loss gives",
            "implementation 'functional' in one process",
            *(features, classifier, given.table, given.bias),
        )
        _check_shard(given, shard)
        check_chunk_rows(chunk_rows)
        call = call_of(given, int(chunk_rows or CHUNK_ROWS), "plain")
        return ShardCall(_told(call, words, features.shape), shard, call)

    _, shard, call = ranks.check_same(checked, classifier.device)
    losses = cast(Sequence[Tensor], ParallelLoss.apply(shard, *call))
    return terms_of(losses, targets.shape)


def _check_shard(given: LossInputs, shard: Shard) -> None:
    """Refuse a shard that is not this rank's, by its size, and targets outside their range."""
    classifier, held, ranks = given.classifier, shard.held, shard.ranks
    if len(classifier) != len(held):
        raise ArgumentError(
            f"classifier holds {len(classifier)} rows, but of {shard.words} words in all, rank {ranks.rank} of "
            f"{ranks.world_size} must hold {len(held)}: those of words {held.start} ... {held.stop - 1} (see shard_of)."
        )
    mask = None
    if given.vocabulary_mask is not None:  # what others hold is theirs to refuse
        mask = torch.ones(shard.words, dtype=torch.bool, device=classifier.device)
        mask[held.start : held.stop] = given.vocabulary_mask
    check_values(given.targets, shard.words, given.ignore_index, mask, given.token_weights)


class ShardCall(NamedTuple):
    """What a rank is asked for, checked."""

    told: str
    """All that must be alike on every rank, or they would wait for one another in vain."""
    shard: Shard
    call: Call

    def __repr__(self) -> str:
        """Return what is told of it."""
        return self.told


def _told(call: Call, words: int, features: torch.Size) -> str:
    """Tell a call by its options, and of its tensors by shapes, types and checksums."""
    weights = call.token_weights
    alike = {
        "words": int(words),
        **{name: getattr(call, name) for name in OPTIONS},
        "features": tuple(features),
        "table_width": None if call.table is None else call.table.shape[1],
        "biased": call.bias is not None,
        "masked": call.vocabulary_mask is not None,
        "targets_checksum": _checksum(call.targets),
        "weights_checksum": None if weights is None else _checksum(weights.double()),
        "dtype": call.classifier.dtype,
        "products": call.products,
        "wanted": tuple(call.wanted),
    }
    return f"ShardCall({', '.join(f'{name}={value!r}' for name, value in alike.items())})"


def _checksum(values: Tensor) -> int:
    return zlib.crc32(values.cpu().numpy().tobytes())
