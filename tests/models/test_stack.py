"""The way through a stack of layers: what feeds what, with which state and mask."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tiedlm.models.config import GRUConfig, LSTMConfig
from tiedlm.models.stack import run_stack, stack_masks, stack_widths


class Adding(nn.Module):
    """Adds its number, then all that it is called with; its state counts."""

    def __init__(self, number: float) -> None:
        super().__init__()
        self.number = number

    def forward(
        self, inputs: Tensor, state: tuple[Tensor, ...], mask: Tensor | None
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        return inputs + self.number + (0 if mask is None else mask) + state[0], tuple(part + 1 for part in state)


def test_each_layer_gets_the_output_below_its_own_state_and_its_own_mask() -> None:
    layers = nn.ModuleList([Adding(10.0), Adding(100.0)])
    state = (torch.tensor([[[1.0]], [[2.0]]]), torch.tensor([[[5.0]], [[6.0]]]))
    outputs, after = run_stack(layers, torch.zeros(3, 1, 1), state, [torch.full((1, 1), 1000.0), None])
    assert torch.equal(outputs, torch.full((3, 1, 1), 10.0 + 1.0 + 1000.0 + 100.0 + 2.0))
    assert [part.flatten().tolist() for part in after] == [[2.0, 3.0], [6.0, 7.0]]


def test_masks_and_widths_are_those_of_the_config() -> None:
    for kind in (LSTMConfig, GRUConfig):
        config = kind(units=7, layers=3, embedding_width=4, keep_input=0.9, keep_hidden=0.4)
        assert [one[1:] for one in stack_masks(config)] == [(4, 0.9), (7, 0.4), (7, 0.4), (7, 0.4)]
        assert list(stack_widths(config)) == [(4, 7), (7, 7), (7, 7)]
        assert list(stack_widths(kind(units=7, layers=1))) == [(7, 7)]
