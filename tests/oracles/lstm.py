"""The VD-LSTM as the paper describes it, one stream, layer and time step at a time, in float64 numpy.

Scope: the forward pass of section 1's network f with variational dropout: one mask per stream on the looked-up x_t, and
one per layer on its h, which is the same wherever that h goes (to the layer's own next step and up) and the same at
every step of the window. The cell state is never masked. What is carried to the next window is the unmasked h.
Gates stand in the order input, forget, cell, output. Imports nothing but numpy.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Layer:
    """One layer's weights: `input_weight` [4H, I], `recurrent_weight` [4H, H], `bias` [4H], and its `mask` [B, H]."""

    input_weight: Array
    recurrent_weight: Array
    bias: Array
    mask: Array


def sigmoid(value: float) -> float:
    """1 / (1 + e^-value), without overflow for either sign."""
    if value < 0:
        return math.exp(value) / (1.0 + math.exp(value))
    return 1.0 / (1.0 + math.exp(-value))


def cell(layer: Layer, below: Array, shut_h: Array, c: Array) -> tuple[Array, Array]:
    """One step of one layer for one stream: (raw h, c) from the masked input, the masked last h and the last c."""
    units = len(c)
    new_h, new_c = np.zeros(units), np.zeros(units)
    gates = [
        math.fsum(layer.input_weight[row] * below) + math.fsum(layer.recurrent_weight[row] * shut_h) + layer.bias[row]
        for row in range(4 * units)
    ]
    for unit in range(units):
        enter, forget, content, leave = (gates[block * units + unit] for block in range(4))
        new_c[unit] = sigmoid(forget) * c[unit] + sigmoid(enter) * math.tanh(content)
        new_h[unit] = sigmoid(leave) * math.tanh(new_c[unit])
    return new_h, new_c


def network(layers: list[Layer], inputs: Array, state: tuple[Array, Array], input_mask: Array | None = None):
    """Run `inputs` [T, B, I] through all layers from the raw `state` (h [K, B, H], c [K, B, H]).

    Returns the last layer's masked output [T, B, H] and the raw state after the last step.
    """
    steps, streams, _ = inputs.shape
    h, c = np.array(state[0], dtype=np.float64), np.array(state[1], dtype=np.float64)
    outputs = np.zeros((steps, streams, h.shape[2]))
    for t in range(steps):
        for b in range(streams):
            below = inputs[t, b] if input_mask is None else input_mask[b] * inputs[t, b]
            for k, layer in enumerate(layers):
                h[k, b], c[k, b] = cell(layer, below, layer.mask[b] * h[k, b], c[k, b])
                below = layer.mask[b] * h[k, b]
            outputs[t, b] = below
    return outputs, (h, c)
