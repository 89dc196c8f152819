"""The words whose vectors are most like a word's, by cosine."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from tiedlm.errors import ArgumentError

ROWS_AT_ONCE = 1024
"""Words whose cosines with all others are held at once."""


@torch.inference_mode()
def nearest_words(vectors: Tensor, count: int) -> Tensor:
    """Return for each word the ids of the `count` others whose vectors have the largest cosine with its own [V, count].

    Args:
        vectors: word vectors L [V, D].
        count: from 1 to V - 1.

    Raises:
        ArgumentError: count out of range.
    """
    if not 1 <= count < len(vectors):
        raise ArgumentError(
            f"{count} neighbours were asked for, but a word has from 1 to {len(vectors) - 1:,}: all words but itself."
        )
    directions = F.normalize(vectors.float(), dim=1)
    return torch.cat([_nearest(directions, first, count) for first in range(0, len(vectors), ROWS_AT_ONCE)])


def _nearest(directions: Tensor, first: int, count: int) -> Tensor:
    cosines = directions[first : first + ROWS_AT_ONCE] @ directions.T
    rows = torch.arange(len(cosines), device=cosines.device)
    cosines[rows, rows + first] = -torch.inf
    return cosines.topk(count, dim=1).indices
