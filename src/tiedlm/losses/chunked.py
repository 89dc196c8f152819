"""The augmented loss over chunks of rows: the definition's values and gradients, never more than chunk x V of anything.

The rows are sorted by target, so a chunk touches few distinct words and each soft target is computed once for all its
rows. With p = y, q = y^, w_t the weight of row t in the reduced loss, e the one-hot target and J as in `functional`:

    KL(y~ || q) = logsumexp(z / tau) - y~ . z / tau - H(y~)
    G_t  = w_t [(p - e) + gamma (q - y~)]                    gradient at the logits z = W h, y~ held (eq. 3.4)
    D_u  = sum over rows t with target u of w_t (log y~_u - log q_t)
    R_u  = gamma y~_u (D_u - y~_u . D_u)                     gradient at the teacher's logits, through y~

so that dh = G W, dW = G' H, and through y~: dL[u] += R L, dL += R' L[u]. Both losses share one pair of products.

A gradient of the gradient is refused: the gradients were computed outside autograd, and would count as constants.
"""

from __future__ import annotations

from typing import Unpack

from torch import Tensor

from tiedlm.derivatives import refuse_transforms
from tiedlm.losses.arguments import check_chunk_rows, check_one_of
from tiedlm.losses.call import PASSES, PassesName, call_of
from tiedlm.losses.functional import LossTerms
from tiedlm.losses.inputs import LossInputs, LossOptions
from tiedlm.losses.operator import augmented_loss
from tiedlm.losses.swept import terms_of

MOST_ROWS = 1536
"""Rows of a chunk where the vocabulary is small: more of them add to the tables' gradients less often."""
MOST_BYTES = 128 * 2**20
"""Size of a chunk's logits where the vocabulary is large: each chunk reads and writes the classifier's gradient."""
FEWEST_ROWS = 64


def linear_augmented_cross_entropy(
    features: Tensor,
    classifier: Tensor,
    targets: Tensor,
    *,
    chunk_rows: int | None = None,
    passes: PassesName = "plain",
    **options: Unpack[LossOptions],
) -> Tensor:
    """Return the loss of `functional.linear_augmented_cross_entropy`, computed over chunks of rows.

    Args:
        features, classifier, targets, options: as in the definition, with the same shapes, ranges and errors.
        chunk_rows: rows of logits at one time, 1 or more, half of them for the soft targets; None picks a number that
            measured well.
        passes: "plain" PyTorch operations between the products, "compiled" loops, or kernels ("triton").

    Raises:
        ArgumentError: what the definition refuses, a chunk below 1, or unknown passes.
    """
    return linear_augmented_terms(features, classifier, targets, chunk_rows, passes, **options).total


def default_chunk_rows(given: LossInputs) -> int:
    """Return the rows of a chunk that `benchmarks/losses.py` found to be fast and small."""
    row = len(given.classifier) * given.products.itemsize
    return max(FEWEST_ROWS, min(MOST_ROWS, MOST_BYTES // row))


def linear_augmented_terms(
    features: Tensor,
    classifier: Tensor,
    targets: Tensor,
    chunk_rows: int | None = None,
    passes: PassesName = "plain",
    **options: Unpack[LossOptions],
) -> LossTerms:
    """Return the loss of `linear_augmented_cross_entropy` together with its two terms."""
    check_chunk_rows(chunk_rows)
    check_one_of("passes", passes, PASSES)
    given = LossInputs(features, classifier, targets, **options)
    refuse_transforms("this loss gives", "implementation 'functional'", features, classifier, given.table, given.bias)
    losses = augmented_loss(*call_of(given, chunk_rows or default_chunk_rows(given), passes))[:3]
    return terms_of(losses, targets.shape)
