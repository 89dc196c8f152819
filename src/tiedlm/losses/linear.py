"""One function for the loss from features and tables: picks the implementation, and says which and why.

`functional` is the definition; `chunked` gives the same values and gradients and never holds all N x V.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from tiedlm.errors import ArgumentError, suggestion
from tiedlm.losses import chunked, functional
from tiedlm.losses.arguments import Reduction, check_chunk_rows
from tiedlm.losses.functional import LossTerms

Implementation = Literal["auto", "functional", "chunked"]
IMPLEMENTATIONS = ("auto", "functional", "chunked")


def linear_augmented_cross_entropy(
    features: Tensor,
    classifier: Tensor,
    targets: Tensor,
    *,
    table: Tensor | None = None,
    bias: Tensor | None = None,
    temperature: float = 20.0,
    gamma: float = 0.5,
    detach_target: bool = False,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
    implementation: Implementation = "auto",
    chunk_rows: int | None = None,
) -> Tensor:
    """Return cross-entropy plus the augmented term, from features and word tables (eq. 3.3).

    Args:
        features: h [..., D].
        classifier: W [V, D].
        targets: word ids [...], or `ignore_index`.
        table: L, the word vectors by rows [V, any width]; None means tied, L = W.
        bias: b [V], or None; enters the prediction alone, neither of the softened distributions.
        temperature: tau > 0 of both softened distributions.
        gamma: weight of the augmented term, 0 or more (alpha = gamma tau); 0 is plain cross-entropy.
        detach_target: stop the gradient at the soft target; by default the loss is differentiated in full.
        ignore_index: target value whose prediction counts for nothing.
        reduction: "mean" over the targets that count (0 where none does), "sum", or "none" [...].
        implementation: "functional" (the definition), "chunked", or "auto" (see `picked`).
        chunk_rows: rows of a chunk, for "chunked" and "auto".

    Raises:
        ArgumentError: shapes, types, devices or ranges that do not fit, before any work.
    """
    options = (table, bias, temperature, gamma, detach_target, ignore_index, reduction, implementation, chunk_rows)
    return linear_augmented_terms(features, classifier, targets, *options).total


def linear_augmented_terms(
    features: Tensor,
    classifier: Tensor,
    targets: Tensor,
    table: Tensor | None = None,
    bias: Tensor | None = None,
    temperature: float = 20.0,
    gamma: float = 0.5,
    detach_target: bool = False,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
    implementation: Implementation = "auto",
    chunk_rows: int | None = None,
) -> LossTerms:
    """Return the loss of `linear_augmented_cross_entropy` together with its two terms."""
    options = (table, bias, temperature, gamma, detach_target, ignore_index, reduction)
    if check_implementation(implementation, chunk_rows) == "chunked":
        return chunked.linear_augmented_terms(features, classifier, targets, *options, chunk_rows)
    return functional.linear_augmented_terms(features, classifier, targets, *options)


def picked(implementation: str = "auto") -> tuple[str, str]:
    """Return which implementation runs for the one asked for, and why, in words."""
    if implementation not in IMPLEMENTATIONS:
        raise ArgumentError(
            f"implementation is {implementation!r}, but must be one of {', '.join(IMPLEMENTATIONS)}."
            f"{suggestion(implementation, IMPLEMENTATIONS)}"
        )
    if implementation == "auto":
        return "chunked", "it is as exact as the definition, and faster and smaller at every size that was measured"
    return implementation, "it was asked for"


def check_implementation(implementation: str, chunk_rows: int | None) -> str:
    """Return the implementation that runs; refuse one that does not exist, and a chunk that it does not take."""
    runs, _ = picked(implementation)
    if runs == "functional" and chunk_rows is not None:
        raise ArgumentError(
            f"chunk_rows is {chunk_rows}, but has no effect with implementation 'functional', which holds all rows at "
            "once: leave it out, or use 'chunked'."
        )
    check_chunk_rows(chunk_rows)
    return runs
