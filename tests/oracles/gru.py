"""Layers of GRU under variational dropout, one stream, layer, step and unit at a time, in float64 numpy.

Scope: the GRU with its reset gate after the product (r stands between n's two biases), one mask per stream on the
input, and one a layer on its h wherever weights read it: in its own next step, and in what is above. The memory z * h
is never masked, and what is carried to the next window is the unmasked h. Gates stand in the order reset, update, new.
Imports nothing but numpy.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Layer:
    """One layer: `input_weight` [3H, I], `recurrent_weight` [3H, H], their biases [3H] each, and its `mask` [B, H]."""

    input_weight: Array
    recurrent_weight: Array
    input_bias: Array
    recurrent_bias: Array
    mask: Array


def sigmoid(value: float) -> float:
    """1 / (1 + e^-value), without overflow for either sign."""
    if value < 0:
        return math.exp(value) / (1.0 + math.exp(value))
    return 1.0 / (1.0 + math.exp(-value))


def cell(layer: Layer, below: Array, h: Array, mask: Array) -> Array:
    """One step of one layer for one stream: raw h from the masked input and the raw last h."""
    units, shut = len(h), mask * h
    new = np.zeros(units)
    for unit in range(units):
        rows = (unit, units + unit, 2 * units + unit)
        outer = [math.fsum(layer.input_weight[row] * below) + layer.input_bias[row] for row in rows]
        inner = [math.fsum(layer.recurrent_weight[row] * shut) + layer.recurrent_bias[row] for row in rows]
        reset, update = sigmoid(outer[0] + inner[0]), sigmoid(outer[1] + inner[1])
        content = math.tanh(outer[2] + reset * inner[2])
        new[unit] = (1.0 - update) * content + update * h[unit]
    return new


def network(layers: list[Layer], inputs: Array, state: Array, input_mask: Array | None = None) -> tuple[Array, Array]:
    """Run `inputs` [T, B, I] through all layers from the raw state [K, B, H].

    Returns the last layer's masked output [T, B, H] and the raw state after the last step.
    """
    steps, streams, _ = inputs.shape
    h = np.array(state, dtype=np.float64)
    outputs = np.zeros((steps, streams, h.shape[2]))
    for t in range(steps):
        for b in range(streams):
            below = inputs[t, b] if input_mask is None else input_mask[b] * inputs[t, b]
            for k, layer in enumerate(layers):
                h[k, b] = cell(layer, below, h[k, b], layer.mask[b])
                below = layer.mask[b] * h[k, b]
            outputs[t, b] = below
    return outputs, h
