"""The rows of a call that count, and how their losses become the one that is asked for."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from tiedlm.losses.call import Call
from tiedlm.losses.problem import wide_type
from tiedlm.native.cuda_graph import values_unread


class Chosen(NamedTuple):
    """The rows that count."""

    rows: Tensor
    """Sorted by target [N']."""
    words: Tensor
    """Their targets [N']."""
    weights: Tensor
    """Of each in the sum, in the wide type [N']."""
    scale: Tensor | float
    """Factor of the reduced loss: 1 / the sum of the weights, or 1."""


def chosen_rows(call: Call) -> Chosen:
    """Return the rows whose targets are not ignored, each with its weight."""
    rows, words, counts = _all_rows(call) if values_unread() else _counting_rows(call)
    wide = wide_type(call.classifier.dtype)
    weights = counts.to(wide)
    if call.token_weights is not None:
        weights = weights * call.token_weights.index_select(0, rows).to(wide)
    total = weights.sum()
    return Chosen(rows, words, weights, 1 / total.masked_fill(total == 0, 1) if call.reduction == "mean" else 1.0)


def _counting_rows(call: Call) -> tuple[Tensor, Tensor, Tensor]:
    """Return the rows that count, their targets, and ones."""
    counting = (call.targets != call.ignore_index).nonzero().squeeze(1)
    rows = counting[call.targets[counting].argsort(stable=True)]
    return rows, call.targets.index_select(0, rows), torch.ones_like(rows)


def _all_rows(call: Call) -> tuple[Tensor, Tensor, Tensor]:
    """Return all rows, how many count being unread: those that do not have word 0 and a weight of nothing."""
    counts = call.targets != call.ignore_index
    words, rows = call.targets.masked_fill(~counts, 0).sort(stable=True)
    return rows, words, counts.index_select(0, rows)


def reduced(term: Tensor, chosen: Chosen, call: Call) -> Tensor:
    """Return the losses of the chosen rows [N'] as the call wants them: in one number, or one a target [N]."""
    weighted = term * chosen.weights
    if values_unread():
        weighted = weighted.masked_fill(chosen.weights == 0, 0)  # word 0 in place of none may be an impossible one
    if call.reduction != "none":
        return weighted.sum() * chosen.scale
    return weighted.new_zeros(call.targets.shape).index_copy_(0, chosen.rows, weighted)
