"""A run of the theory experiment between two epochs, as tensors: what is needed to go on with it, to the bit.

The state carried through the text starts anew with every epoch; so these are the parameters, what the optimisers
remember of each, and the number of epochs done.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

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
    optimizers: Sequence[torch.optim.Optimizer]

    def tensors(self) -> dict[str, Tensor]:
        """Return a copy of it all, under names."""
        parameters = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        memory = {
            f"{place}{name}": tensor
            for place, _, remembered in _memories(self.optimizers)
            for name, tensor in remembered.items()
            if isinstance(tensor, Tensor)
        }
        whole = {EPOCH: torch.tensor(self.epoch), **parameters, **memory}
        return {name: tensor.detach().clone() for name, tensor in whole.items()}


def go_on_from(
    tensors: Mapping[str, Tensor], model: LSTMLanguageModel, optimizers: Sequence[torch.optim.Optimizer]
) -> int:
    """Put what `Standing.tensors` returned into a model and its optimisers, and return the epochs done.

    Raises:
        ArgumentError: the tensors are those of another model.
    """
    try:
        model.load_state_dict(_below("model.", tensors))
        for place, parameter, remembered in _memories(optimizers):
            for name, tensor in _below(place, tensors).items():
                remembered[name] = tensor.clone() if tensor.dim() == 0 else tensor.clone().to(parameter.device)
        return int(tensors[EPOCH])
    except (KeyError, RuntimeError) as error:
        raise ArgumentError(f"The state is that of another run: {error}.") from error


def _below(place: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(place): tensor for name, tensor in tensors.items() if name.startswith(place)}


def _memories(optimizers: Sequence[torch.optim.Optimizer]) -> Iterator[tuple[str, Tensor, dict[str, Any]]]:
    """Yield a name to put first, the parameter, and what is remembered of it, for each parameter of each optimiser."""
    for number, optimizer in enumerate(optimizers):
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        for place, parameter in enumerate(parameters):
            yield f"optimizer.{number}.{place}.", parameter, optimizer.state[parameter]
