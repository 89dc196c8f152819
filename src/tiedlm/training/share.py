"""Training over several processes: each rank's share of the streams, and what has to meet.

With B streams over R ranks, rank r trains the streams r·B/R … (r + 1)·B/R - 1 of every window, with its own part of
the carried state and of the masks. The gradients are summed over the ranks before they are clipped, so that every rank
makes the update that one process with all B streams would make, up to rounding.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from tiedlm.errors import ConfigError
from tiedlm.native.ranks import Ranks
from tiedlm.nn.dropout import Masks
from tiedlm.nn.model import LanguageModel, State


class Share:
    """The streams of one rank.

    Args:
        ranks: the processes, with this one's place among them.
        streams: B, of all ranks together.

    Raises:
        ConfigError: B does not divide over the ranks.
    """

    def __init__(self, ranks: Ranks, streams: int) -> None:
        if streams % ranks.world_size:
            divisors = [str(count) for count in range(1, streams + 1) if streams % count == 0]
            raise ConfigError(
                f"training.streams is {streams}, which does not divide over {ranks.world_size} processes: each must "
                f"train as many. Start {', '.join(divisors)} of them, or train with another number of streams."
            )
        self._ranks = ranks
        self.streams = streams
        """B, of all ranks together."""
        each = streams // ranks.world_size
        self.own = slice(ranks.rank * each, (ranks.rank + 1) * each)
        """The streams of this rank."""

    def window(self, words: Tensor) -> Tensor:
        """Return this rank's streams of words [T, B]: [T, B / R]."""
        return words[:, self.own].contiguous()

    def carried(self, state: State) -> State:
        """Return this rank's streams of a state of all streams, which lie on axis 1."""
        return tuple(tensor[:, self.own].contiguous() for tensor in state)

    def whole(self, carried: State) -> State:
        """Return the state of all streams; all ranks must ask for it together."""
        return tuple(self._ranks.all_gather(tensor, dim=1) for tensor in carried)

    def masks(self, model: LanguageModel, generator: torch.Generator) -> Masks | None:
        """Return this rank's part of the masks that one process would draw for all streams.

        Every rank draws all of them: a draw costs next to nothing, and the masks do not depend on the number of ranks.
        """
        masks = model.draw_masks(self.streams, generator)
        return masks and [None if mask is None else mask[self.own] for mask in masks]


def sum_gradients(parameters: Iterable[Tensor], ranks: Ranks) -> None:
    """Replace the gradient of each parameter by its sum over the ranks, in a single reduction."""
    if ranks.is_single:
        return
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    for gradient, total in zip(gradients, ranks.all_reduce_sum(*gradients), strict=True):
        gradient.copy_(total)
