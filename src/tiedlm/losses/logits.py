"""The product that gives a chunk's logits."""

from __future__ import annotations

import torch
from torch import Tensor

BLOCK_WORDS = 4096
"""Words of one product: 700 rows of their logits stay in a core's cache while they are written."""


def logits_into(out: Tensor, rows: Tensor, table: Tensor) -> Tensor:
    """Write the logits [C, V] of rows [C, D] under a table [V, D] into `out`, and return it.

    A CPU's bfloat16 product writes a wide result slowly; in blocks of a few thousand words it takes two fifths to three
    quarters of that time (`benchmarks/logits.py`).
    """
    if rows.dtype != torch.bfloat16 or rows.device.type != "cpu":
        return torch.mm(rows, table.T, out=out)
    for start in range(0, len(table), BLOCK_WORDS):
        words = slice(start, start + BLOCK_WORDS)
        torch.mm(rows, table[words].T, out=out[:, words])
    return out
