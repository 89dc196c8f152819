"""One LSTM layer under a mask, drawn from a seed, and all that comes out of it: outputs, raw state, gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from tiedlm.layers.lstm import LSTMState, LSTMWeights

Layer = Callable[[Tensor, LSTMState, LSTMWeights, Tensor | None], tuple[Tensor, LSTMState]]


class Case(NamedTuple):
    """Arguments of a layer; all but the mask ask for gradients."""

    inputs: Tensor
    hidden: Tensor
    cell: Tensor
    weight_input: Tensor
    weight_hidden: Tensor
    bias: Tensor
    mask: Tensor | None

    @property
    def leaves(self) -> dict[str, Tensor]:
        return {name: value for name, value in self._asdict().items() if name != "mask"}

    @property
    def weights(self) -> LSTMWeights:
        return LSTMWeights(self.weight_input, self.weight_hidden, self.bias)

    def to(self, dtype: torch.dtype) -> Case:
        leaves = {name: leaf.detach().to(dtype).requires_grad_() for name, leaf in self.leaves.items()}
        return Case(**leaves, mask=None if self.mask is None else self.mask.to(dtype))

    def run(self, layer: Layer) -> tuple[Tensor, LSTMState]:
        return layer(self.inputs, (self.hidden, self.cell), self.weights, self.mask)

    def everything(self, layer: Layer) -> dict[str, Tensor]:
        """Outputs, raw state, and the gradient of one weighted sum of all three by every leaf."""
        outputs, (hidden, cell) = self.run(layer)
        results = {"outputs": outputs, "raw h": hidden, "c": cell}
        arriving = torch.Generator().manual_seed(7)
        total = sum(
            (result * torch.randn(result.shape, generator=arriving, dtype=torch.float64).to(result.dtype)).sum()
            for result in results.values()
        )
        assert isinstance(total, Tensor)
        gradients = torch.autograd.grad(total, list(self.leaves.values()))
        return results | {f"gradient of {name}": g for name, g in zip(self.leaves, gradients, strict=True)}


def mask_of(seed: int, streams: int, units: int, keep: float) -> Tensor:
    """0 or 1/keep, without the package's own draw."""
    draws = torch.rand(streams, units, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (draws < keep).double() / keep


def case(
    seed: int = 0,
    *,
    steps: int = 4,
    streams: int = 3,
    inputs: int = 5,
    units: int = 6,
    keep: float | None = 0.6,
    size: float = 0.7,
) -> Case:
    """A layer with normal entries of standard deviation `size`, in float64; `keep` None draws no mask."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return (size * torch.randn(*shape, generator=generator, dtype=torch.float64)).requires_grad_()

    return Case(
        inputs=draw(steps, streams, inputs),
        hidden=draw(streams, units),
        cell=draw(streams, units),
        weight_input=draw(4 * units, inputs),
        weight_hidden=draw(4 * units, units),
        bias=draw(4 * units),
        mask=None if keep is None else mask_of(seed, streams, units, keep),
    )
