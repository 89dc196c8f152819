"""One function for the loss from features and tables: picks the implementation, and says which and why.

`functional` is the definition; `chunked` gives the same values and gradients and never holds all N x V; `compiled` is
`chunked` with its element-wise passes compiled for a CPU, `triton` the same as kernels for a GPU.
"""

from __future__ import annotations

from typing import Literal, Unpack

import torch
from torch import Tensor

from tiedlm.errors import ArgumentError
from tiedlm.losses import chunked, functional
from tiedlm.losses.arguments import Reduction, check_chunk_rows, check_one_of
from tiedlm.losses.call import PassesName
from tiedlm.losses.functional import LossTerms
from tiedlm.losses.inputs import LossOptions, products_with
from tiedlm.losses.passes_compiled import LOOPS
from tiedlm.native.build import compiler_unavailable
from tiedlm.native.triton_runs import missing_triton

Implementation = Literal["auto", "functional", "chunked", "compiled", "triton"]
IMPLEMENTATIONS = ("auto", "functional", "chunked", "compiled", "triton")
PASSES: dict[str, PassesName] = {"chunked": "plain", "compiled": "compiled", "triton": "triton"}
"""What each chunked implementation does between the products."""
COMPILED_LOGITS = 500_000
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
        table: L, the word vectors by rows [V, any width]; None means tied, L = W. With gamma 0, or
            `detach_target`, it has no gradient (None).
        bias: b [V], or None; enters the prediction alone, neither of the softened distributions.
        temperature: tau in [1e-3, 1e6], of both softened distributions.
        gamma: weight of the augmented term, in [0, 1e6] (alpha = gamma tau); 0 is plain cross-entropy.
        detach_target: stop the gradient at the soft target; by default the loss is differentiated in full.
        ignore_index: target value whose prediction counts for nothing.
        reduction: "mean" over the targets that count (0 where none does), "sum", or "none" [...].
        vocabulary_mask: words that a soft target may name [V]; None means all. For padding, special and never-emitted
            words, whose vectors mean nothing: y~ gives them 0, while y and y^ stay over all words.
        center_table: take the tables' mean off each word vector in the soft target, so that what all vectors share
            does not count as likeness; section 4 of the paper assumes it to be nothing.
        token_weights: weight of each target's loss, 0 or more [...]; "mean" then divides by their sum.
        implementation: "functional" (the definition), "chunked", "compiled", "triton", or "auto" (see `picked`).
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
    logits, products = _logits(features, classifier), products_with(classifier)
    runs, _ = picked(implementation, logits, classifier.device.type, products)
    if runs == "functional":
        return functional.linear_augmented_terms(features, classifier, targets, **options)
    return chunked.linear_augmented_terms(features, classifier, targets, chunk_rows, PASSES[runs], **options)


def picked(
    implementation: str = "auto",
    logits: int = COMPILED_LOGITS,
    device: str = "cpu",
    products: torch.dtype = torch.float32,
) -> tuple[str, str]:
    """Return which implementation runs for the one asked for, and why, in words.

    Args:
        implementation: the one asked for.
        logits: N x V of the call.
        device: type of the tensors' device.
        products: type of the inputs of products.

    Raises:
        ArgumentError: an unknown implementation, or one that cannot run here.
    """
    check_one_of("implementation", implementation, IMPLEMENTATIONS)
    if implementation in ("functional", "chunked"):
        return implementation, "it was asked for"
    if implementation != "auto":
        _check_runs(implementation, device, products)
        return implementation, "it was asked for"
    return _picked_on_cpu(logits, products) if device == "cpu" else _picked_elsewhere(device)


def _picked_on_cpu(logits: int, products: torch.dtype) -> tuple[str, str]:
    if logits < COMPILED_LOGITS:
        return "chunked", f"with fewer than {COMPILED_LOGITS:,} logits a call, compiling would not pay"
    if products not in LOOPS:
        return "chunked", f"there are no compiled passes for products of {products}"
    missing = _missing("compiled", "cpu")
    if missing is not None:
        return "chunked", f"its passes cannot be compiled here ({missing})"
    return "compiled", f"{COMPILED_LOGITS:,} logits a call and more are worth a compiler's seconds, and there is one"


def _picked_elsewhere(device: str) -> tuple[str, str]:
    missing = _missing("triton", device)
    if missing is None:
        return "triton", "its kernels read each row of logits twice, and nothing else does as little"
    return "chunked", f"there are no kernels for it here ({missing})"


def _missing(implementation: str, device: str) -> str | None:
    """Return why a body cannot be had here, or None; files are read for it, which `torch.compile` could not trace."""
    return compiler_unavailable() if implementation == "compiled" else missing_triton(device)


# What the decorator torch.compiler.assume_constant_result sets; it would take 2 s to import torch._dynamo here.
_missing._dynamo_marked_constant = True  # pyright: ignore[reportFunctionMemberAccess]


def _check_runs(implementation: str, device: str, products: torch.dtype) -> None:
    """Refuse an implementation that cannot run on the device, or not with such products."""
    if implementation == "compiled" and (device != "cpu" or products not in LOOPS):
        raise ArgumentError(
            f"implementation 'compiled' is for the CPU and products of {', '.join(map(str, LOOPS))}, but the tensors "
            f"are on {device} and products of {products}: use 'chunked'."
        )
    missing = _missing(implementation, device)
    if missing is None:
        return
    advice = "install a C++ compiler" if implementation == "compiled" else "use a GPU with Triton"
    raise ArgumentError(f"implementation {implementation!r} cannot run here ({missing}): {advice}, or use 'chunked'.")


def check_implementation(implementation: str, chunk_rows: int | None) -> None:
    """Refuse an implementation that does not exist, and a chunk that it does not take."""
    check_one_of("implementation", implementation, IMPLEMENTATIONS)
    if implementation == "functional" and chunk_rows is not None:
        raise ArgumentError(
            f"chunk_rows is {chunk_rows}, but has no effect with implementation 'functional', which holds all rows at "
            "once: leave it out, or use 'chunked'."
        )
    check_chunk_rows(chunk_rows)


def _logits(features: Tensor, classifier: Tensor) -> int:
    """Return N x V, or 0 where the shapes make no sense; they are refused later."""
    return features.shape[:-1].numel() * len(classifier) if features.dim() and classifier.dim() else 0
