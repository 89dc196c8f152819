"""One function for the loss from features and tables: picks the implementation, and says which and why.

`functional` is the definition; `chunked` gives the same values and gradients and never holds all N x V; `compiled` is
`chunked` with its element-wise passes compiled.
"""

from __future__ import annotations

from typing import Literal, Unpack

from torch import Tensor

from tiedlm.errors import ArgumentError, suggestion
from tiedlm.losses import chunked, functional
from tiedlm.losses.arguments import Reduction, check_chunk_rows
from tiedlm.losses.call import PassesName
from tiedlm.losses.compiler import missing_compiler
from tiedlm.losses.functional import LossTerms
from tiedlm.losses.inputs import LossOptions

Implementation = Literal["auto", "functional", "chunked", "compiled"]
IMPLEMENTATIONS = ("auto", "functional", "chunked", "compiled")
COMPILED_LOGITS = 5_000_000
"""Logits of a call, N x V, from which "auto" compiles: below, a training may end before the compiler's seconds pay."""


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
    vocabulary_mask: Tensor | None = None,
    center_table: bool = False,
    token_weights: Tensor | None = None,
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
        vocabulary_mask: words that a soft target may name [V]; None means all. For padding, special and never-emitted
            words, whose vectors mean nothing: y~ gives them 0, while y and y^ stay over all words.
        center_table: take the tables' mean off each word vector in the soft target, so that what all vectors share
            does not count as likeness; section 4 of the paper assumes it to be nothing.
        token_weights: weight of each target's loss, 0 or more [...]; "mean" then divides by their sum.
        implementation: "functional" (the definition), "chunked", "compiled", or "auto" (see `picked`).
        chunk_rows: rows of logits at one time, those of soft targets included; for all but "functional".

    Raises:
        ArgumentError: shapes, types, devices or ranges that do not fit, before any work.
    """
    return linear_augmented_terms(
        features,
        classifier,
        targets,
        implementation,
        chunk_rows,
        table=table,
        bias=bias,
        temperature=temperature,
        gamma=gamma,
        detach_target=detach_target,
        ignore_index=ignore_index,
        reduction=reduction,
        vocabulary_mask=vocabulary_mask,
        center_table=center_table,
        token_weights=token_weights,
    ).total


def linear_augmented_terms(
    features: Tensor,
    classifier: Tensor,
    targets: Tensor,
    implementation: Implementation = "auto",
    chunk_rows: int | None = None,
    **options: Unpack[LossOptions],
) -> LossTerms:
    """Return the loss of `linear_augmented_cross_entropy` together with its two terms."""
    check_implementation(implementation, chunk_rows)
    runs, _ = picked(implementation, _logits(features, classifier), classifier.device.type)
    if runs == "functional":
        return functional.linear_augmented_terms(features, classifier, targets, **options)
    passes: PassesName = "compiled" if runs == "compiled" else "plain"
    return chunked.linear_augmented_terms(features, classifier, targets, chunk_rows, passes, **options)


def picked(implementation: str = "auto", logits: int = COMPILED_LOGITS, device: str = "cpu") -> tuple[str, str]:
    """Return which implementation runs for the one asked for, and why, in words.

    Args:
        implementation: the one asked for.
        logits: N x V of the call.
        device: type of the tensors' device.

    Raises:
        ArgumentError: an unknown implementation, or one that cannot run here.
    """
    _check_known(implementation)
    if implementation == "compiled":
        return _compiled_or_error(device)
    if implementation != "auto":
        return implementation, "it was asked for"
    if device != "cpu":
        return "chunked", "it is as exact as the definition, and compiled loops are for the CPU"
    if logits < COMPILED_LOGITS:
        return "chunked", f"with {logits:,} logits a call, fewer than {COMPILED_LOGITS:,}, compiling would not pay"
    missing = missing_compiler()
    if missing is not None:
        return "chunked", f"its passes cannot be compiled here ({missing})"
    return "compiled", f"{logits:,} logits a call are worth a compiler's seconds, and there is one"


def check_implementation(implementation: str, chunk_rows: int | None) -> None:
    """Refuse an implementation that does not exist, and a chunk that it does not take."""
    _check_known(implementation)
    if implementation == "functional" and chunk_rows is not None:
        raise ArgumentError(
            f"chunk_rows is {chunk_rows}, but has no effect with implementation 'functional', which holds all rows at "
            "once: leave it out, or use 'chunked'."
        )
    check_chunk_rows(chunk_rows)


def _check_known(implementation: str) -> None:
    if implementation not in IMPLEMENTATIONS:
        raise ArgumentError(
            f"implementation is {implementation!r}, but must be one of {', '.join(IMPLEMENTATIONS)}."
            f"{suggestion(implementation, IMPLEMENTATIONS)}"
        )


def _compiled_or_error(device: str) -> tuple[str, str]:
    if device != "cpu":
        raise ArgumentError(
            f"implementation 'compiled' is for the CPU, but the tensors are on {device}: use 'chunked'."
        )
    missing = missing_compiler()
    if missing is not None:
        raise ArgumentError(
            f"implementation 'compiled' cannot run here, as nothing can be compiled ({missing}): install a C++ "
            "compiler and Python's headers, or use 'chunked' or 'auto'."
        )
    return "compiled", "it was asked for"


def _logits(features: Tensor, classifier: Tensor) -> int:
    """Return N x V, or 0 where the shapes make no sense; they are refused later."""
    return features.shape[:-1].numel() * len(classifier) if features.dim() and classifier.dim() else 0
