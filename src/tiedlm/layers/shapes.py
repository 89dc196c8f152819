"""The shapes that every recurrent layer asks of what it is called with."""

from __future__ import annotations

from torch import Tensor

from tiedlm.errors import ArgumentError


def check_layer(inputs: Tensor, width: int, state: dict[str, Tensor], mask: Tensor | None, units: int) -> None:
    """Refuse inputs, state and mask whose shapes do not go together with the weights.

    Args:
        inputs: x, due as [T, B, width] with a step or more.
        width: width of x that the weights take.
        state: parts of the state by name, each due as [B, units].
        mask: due as [B, units], or None.
        units: H.

    Raises:
        ArgumentError: the first of them that does not fit, with the shape that is due.
    """
    if inputs.dim() != 3 or inputs.shape[0] < 1 or inputs.shape[2] != width:
        raise ArgumentError(
            f"inputs have the shape {list(inputs.shape)}, but must be [steps, streams, {width}] with at least one step."
        )
    wanted = (inputs.shape[1], units)
    for name, tensor in ({f"state {part}": value for part, value in state.items()} | {"mask": mask}).items():
        if tensor is not None and tensor.shape != wanted:
            raise ArgumentError(
                f"{name} has the shape {list(tensor.shape)}, but must be {list(wanted)}: [streams, units]."
            )
