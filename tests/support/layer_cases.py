"""One layer with one state, an RHN or a GRU, under a mask: drawn from a seed, and all that comes out of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from support.lstm_cases import mask_of
from tiedlm.layers.gru import GRUWeights
from tiedlm.layers.rhn import RHNWeights

Layer = Callable[[Tensor, Tensor, Any, Tensor | None], tuple[Tensor, Tensor]]


class Case(NamedTuple):
    """Arguments of a layer; all but the mask ask for gradients."""

    inputs: Tensor
    state: Tensor
    weights: Any
    mask: Tensor | None

    @property
    def leaves(self) -> dict[str, Tensor]:
        weights = {f"weights {name}": value for name, value in self.weights._asdict().items()}
        return {"inputs": self.inputs, "state": self.state, **weights}

    def to(self, dtype: torch.dtype) -> Case:
        inputs, state, *weights = (leaf.detach().to(dtype).requires_grad_() for leaf in self.leaves.values())
        mask = None if self.mask is None else self.mask.to(dtype)
        return Case(inputs, state, type(self.weights)(*weights), mask)

    def run(self, layer: Layer) -> tuple[Tensor, Tensor]:
        return layer(*self)

    def everything(self, layer: Layer) -> dict[str, Tensor]:
        """Outputs, raw state, and the gradient of one weighted sum of both by every leaf."""
        outputs, state = self.run(layer)
        arriving = torch.Generator().manual_seed(7)
        total = torch.zeros((), dtype=outputs.dtype)
        for result in (outputs, state):
            total = total + (result * draw(arriving, *result.shape).to(result.dtype)).sum()
        gradients = torch.autograd.grad(total, list(self.leaves.values()))
        named = {f"gradient of {name}": found for name, found in zip(self.leaves, gradients, strict=True)}
        return {"outputs": outputs, "state": state, **named}


def draw(generator: torch.Generator, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def rhn_case(
    seed: int = 0,
    *,
    steps: int = 4,
    streams: int = 3,
    inputs: int = 5,
    units: int = 6,
    depth: int = 3,
    keep: float | None = 0.6,
    size: float = 0.7,
) -> Case:
    """A recurrent highway layer with normal entries of standard deviation `size`; `keep` None draws no mask."""
    shapes = [(2 * units, inputs), (depth, 2 * units, units), (depth, 2 * units)]
    return _case(RHNWeights, shapes, seed, steps, streams, inputs, units, keep, size)


def gru_case(
    seed: int = 0,
    *,
    steps: int = 4,
    streams: int = 3,
    inputs: int = 5,
    units: int = 6,
    keep: float | None = 0.6,
    size: float = 0.7,
) -> Case:
    """A GRU layer with normal entries of standard deviation `size`; `keep` None draws no mask."""
    shapes = [(3 * units, inputs), (3 * units, units), (3 * units,), (3 * units,)]
    return _case(GRUWeights, shapes, seed, steps, streams, inputs, units, keep, size)


def _case(
    kind: Any,
    shapes: list[tuple[int, ...]],
    seed: int,
    steps: int,
    streams: int,
    inputs: int,
    units: int,
    keep: float | None,
    size: float,
) -> Case:
    generator = torch.Generator().manual_seed(seed)
    first = [(steps, streams, inputs), (streams, units)]
    drawn = [(size * draw(generator, *shape)).requires_grad_() for shape in [*first, *shapes]]
    mask = None if keep is None else mask_of(seed, streams, units, keep)
    return Case(drawn[0], drawn[1], kind(*drawn[2:]), mask)
