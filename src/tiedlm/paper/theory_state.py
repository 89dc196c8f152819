"""A run of the theory experiment between two epochs, as tensors: what is needed to go on with it, to the bit.

The state carried through the text starts anew with every epoch; so these are the parameters, what the optimisers
remember of each, and the number of epochs done.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from tiedlm.errors import ArgumentError
from tiedlm.nn.model import LanguageModel

EPOCH = "epoch"
REMEMBERED: dict[type[torch.optim.Optimizer], tuple[str, ...]] = {
    torch.optim.SGD: (),
    torch.optim.Muon: ("momentum_buffer",),
    torch.optim.Adam: ("step", "exp_avg", "exp_avg_sq"),
}
"""What an optimiser remembers of a parameter; gradient descent without momentum nothing."""


@final
@dataclass(frozen=True, kw_only=True)
class Standing:
    """A run after an epoch."""

    epoch: int
    """Epochs done, from 1; 0 before the first."""
    model: LanguageModel
    optimizers: Sequence[torch.optim.Optimizer]

    def tensors(self) -> dict[str, Tensor]:
        """Return a copy of it all, under names."""
        parameters = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        memory = {
            f"optimizer.{number}.{place}.{name}": tensor
            for number, optimizer in enumerate(self.optimizers)
            for place, parameter in enumerate(_parameters(optimizer))
            for name, tensor in optimizer.state[parameter].items()
        }
        whole = {EPOCH: torch.tensor(self.epoch), **parameters, **memory}
        return {name: tensor.detach().clone() for name, tensor in whole.items()}


def go_on_from(tensors: Mapping[str, Tensor], model: LanguageModel, optimizers: Sequence[torch.optim.Optimizer]) -> int:
    """Put what `Standing.tensors` returned into a model and its optimisers, and return the epochs done.

    Raises:
        ArgumentError: the tensors are those of another model.
    """
    own = {name.removeprefix("model."): tensor for name, tensor in tensors.items() if name.startswith("model.")}
    try:
        model.load_state_dict(own)
        for number, optimizer in enumerate(optimizers):
            _remember(optimizer, f"optimizer.{number}", tensors)
        return int(tensors[EPOCH])
    except (KeyError, RuntimeError) as error:
        raise ArgumentError(f"The state is that of another run: {error}.") from error


def _remember(optimizer: torch.optim.Optimizer, which: str, tensors: Mapping[str, Tensor]) -> None:
    for place, parameter in enumerate(_parameters(optimizer)):
        for name in REMEMBERED[type(optimizer)]:
            found = tensors[f"{which}.{place}.{name}"].clone()
            optimizer.state[parameter][name] = found if name == "step" else found.to(parameter.device)


def _parameters(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]
