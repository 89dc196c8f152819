"""Recurrent highway layers as Zilly et al. (2017) define them, one stream, step and depth at a time, in float64 numpy.

Scope: equations 6 to 9 with coupled gates, under variational dropout: one mask per stream on a layer's input, one on
its state wherever weights read it, at every step and depth, and one on the last layer's output; each held for a window.
What is carried, past a depth and to the next window, is the unmasked state. Rows of weights: candidates, then gates.
Imports nothing but numpy.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Layer:
    """One layer: `input_weight` [2H, I], `recurrent_weights` [L, 2H, H], `biases` [L, 2H], masks [B, I] and [B, H]."""

    input_weight: Array
    recurrent_weights: Array
    biases: Array
    input_mask: Array
    state_mask: Array


def sigmoid(value: float) -> float:
    """1 / (1 + e^-value), without overflow for either sign."""
    if value < 0:
        return math.exp(value) / (1.0 + math.exp(value))
    return 1.0 / (1.0 + math.exp(-value))


def transition(layer: Layer, below: Array, state: Array, mask: Array) -> Array:
    """One step of time of one layer for one stream: s_L from the masked input and the raw s_0."""
    units = len(state)
    for depth in range(len(layer.biases)):
        read, new = mask * state, np.zeros(units)
        for unit in range(units):
            sums = []
            for row in (unit, units + unit):
                total = math.fsum(layer.recurrent_weights[depth, row] * read) + layer.biases[depth, row]
                if depth == 0:
                    total += math.fsum(layer.input_weight[row] * below)
                sums.append(total)
            candidate, transform = math.tanh(sums[0]), sigmoid(sums[1])
            carry = 1.0 - transform
            new[unit] = candidate * transform + state[unit] * carry
        state = new
    return state


def network(layers: list[Layer], inputs: Array, state: Array, output_mask: Array | None = None) -> tuple[Array, Array]:
    """Run `inputs` [T, B, I] through all layers from the raw state [K, B, H].

    Returns the last layer's masked output [T, B, H] and the raw state after the last step.
    """
    steps, streams, _ = inputs.shape
    s = np.array(state, dtype=np.float64)
    outputs = np.zeros((steps, streams, s.shape[2]))
    for t in range(steps):
        for b in range(streams):
            below = inputs[t, b]
            for k, layer in enumerate(layers):
                s[k, b] = transition(layer, layer.input_mask[b] * below, s[k, b], layer.state_mask[b])
                below = s[k, b]
            outputs[t, b] = below if output_mask is None else output_mask[b] * below
    return outputs, s
