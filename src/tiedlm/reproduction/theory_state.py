"""A run of the theory experiment between two epochs, as tensors: what is needed to go on with it, to the bit.

Stochastic gradient descent has no memory, and the state carried through the text starts anew with every epoch; so these
are the parameters, Adam's moments of the layers, and the number of epochs done.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from tiedlm.errors import ArgumentError
from tiedlm.models.lstm import LSTMLanguageModel

EPOCH = "epoch"


@final
@dataclass(frozen=True, kw_only=True)
class Standing:
    """A run after an epoch."""

    epoch: int
    """Epochs done, from 1; 0 before the first."""
    model: LSTMLanguageModel
    adam: torch.optim.Optimizer
    """The optimiser of the layers."""

    def tensors(self) -> dict[str, Tensor]:
        """Return a copy of it all, under names."""
        parameters = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        moments = {
            f"adam.{number}.{name}": tensor
            for number, parameter in enumerate(_parameters(self.adam))
            for name, tensor in self.adam.state[parameter].items()
        }
        whole = {EPOCH: torch.tensor(self.epoch), **parameters, **moments}
        return {name: tensor.detach().clone() for name, tensor in whole.items()}


def go_on_from(tensors: Mapping[str, Tensor], model: LSTMLanguageModel, adam: torch.optim.Optimizer) -> int:
    """Put what `Standing.tensors` returned into a model and its optimiser, and return the epochs done.

    Raises:
        ArgumentError: the tensors are those of another model.
    """
    own = {name.removeprefix("model."): tensor for name, tensor in tensors.items() if name.startswith("model.")}
    try:
        model.load_state_dict(own)
        for number, parameter in enumerate(_parameters(adam)):
            for name in ("step", "exp_avg", "exp_avg_sq"):
                moment = tensors[f"adam.{number}.{name}"].clone()
                adam.state[parameter][name] = moment if name == "step" else moment.to(parameter.device)
        return int(tensors[EPOCH])
    except (KeyError, RuntimeError) as error:
        raise ArgumentError(f"The state is that of another run: {error}.") from error


def _parameters(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]
