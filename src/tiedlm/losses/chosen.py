"""The rows of a call that count, and how their losses become the one that is asked for."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from tiedlm.losses.call import Call
from tiedlm.losses.problem import wide_type


class Chosen(NamedTuple):
    """The rows that count."""

    rows: Tensor
    """Sorted by target [N']."""
    weights: Tensor
    """Of each in the sum, in the wide type [N']."""
    scale: Tensor | float
    """Factor of the reduced loss: 1 / the sum of the weights, or 1."""


def chosen_rows(call: Call) -> Chosen:
    """Return the rows whose targets are not ignored, each with its weight."""
    counting = (call.targets != call.ignore_index).nonzero().squeeze(1)
    rows = counting[call.targets[counting].argsort(stable=True)]
    wide = wide_type(call.classifier.dtype)
    weights = torch.ones(len(rows), dtype=wide, device=rows.device)
    if call.token_weights is not None:
        weights = call.token_weights.index_select(0, rows).to(wide)
    total = weights.sum()
    return Chosen(rows, weights, 1 / total.where(total > 0, 1) if call.reduction == "mean" else 1.0)


def reduced(term: Tensor, chosen: Chosen, call: Call) -> Tensor:
    """Return the losses of the chosen rows [N'] as the call wants them: in one number, or one a target [N]."""
    weighted = term * chosen.weights
    if call.reduction != "none":
        return weighted.sum() * chosen.scale
    return weighted.new_zeros(call.targets.shape).index_copy_(0, chosen.rows, weighted)
