"""The masked LSTM layer on PyTorch's stock kernel: signature and values of `layers.lstm.lstm_loop`, no loop in Python.

The masked output m * sigmoid(o) * tanh(c), fed back and fed up, is that of a stock LSTM whose output gate is shut for
the dropped units. So the one-hot of the stream is appended to the input (B columns), and W_ih gets B columns that are
zero but in the output gate's block, where column b holds `SHUT` for the units dropped in stream b
(`layers.stream_columns`). W_hh / keep and a factor 1/keep on the output do the scaling. The raw last h, which the next
window carries, costs one more B x H product.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tiedlm.layers.kernel_weights import one_after_another
from tiedlm.layers.lstm import LSTMState, LSTMWeights, check_lstm
from tiedlm.layers.precision import leaves_autocast
from tiedlm.layers.stream_columns import with_columns, with_streams

SHUT = -1000.0
"""Added to a dropped unit's output gate: its sigmoid is exactly 0 in float32 and float64 for any gate below 250."""


def lstm_stock(inputs: Tensor, state: LSTMState, weights: LSTMWeights, mask: Tensor | None) -> tuple[Tensor, LSTMState]:
    """Run one layer over a window; arguments, results and errors as for `lstm_loop`.

    The mask may hold only 0 and one other value, 1/keep, as `draw_mask` makes it. Where the device has no kernel for
    autocast's type, the layer runs in that of its weights. The state has the weights' type everywhere, since the next
    window may be run by another form, or without autocast.
    """
    check_lstm(inputs, state, weights, mask)
    own = weights.hidden.dtype
    if leaves_autocast(weights.hidden):
        with torch.autocast(inputs.device.type, enabled=False):
            return _layer(inputs.to(own), state, weights, mask)
    outputs, (hidden, cell) = _layer(inputs, state, weights, mask)
    return outputs, (hidden.to(own), cell.to(own))


def _layer(inputs: Tensor, state: LSTMState, weights: LSTMWeights, mask: Tensor | None) -> tuple[Tensor, LSTMState]:
    if mask is None:
        return _kernel(inputs, state, weights)
    scale = mask.max()
    kept = mask != 0
    shut = _kernel(with_streams(inputs), (state[0] * kept, state[1]), _with_gates(weights, kept, scale))
    outputs, (_, cell) = shut
    before = state[0] * kept if len(inputs) == 1 else outputs[-2]
    return outputs * scale, (_raw_hidden(inputs[-1], before * scale, cell, weights), cell)


def _with_gates(weights: LSTMWeights, kept: Tensor, scale: Tensor) -> LSTMWeights:
    """Extend W_ih by the columns that shut output gates, and divide W_hh by keep."""
    return LSTMWeights(with_columns(weights.input, kept, 3, SHUT), weights.hidden * scale, weights.bias)


def _raw_hidden(last: Tensor, before: Tensor, cell: Tensor, weights: LSTMWeights) -> Tensor:
    """Return h of the last step as it is before the mask: its output gate, opened again for the dropped units."""
    units = weights.hidden.shape[1]
    open_input, open_hidden, bias = (block[3 * units :] for block in weights)
    return (last @ open_input.T + before @ open_hidden.T + bias).sigmoid() * cell.tanh()


def _kernel(inputs: Tensor, state: LSTMState, weights: LSTMWeights) -> tuple[Tensor, LSTMState]:
    """Call PyTorch's LSTM for one layer in one direction; its second bias is held at zero."""
    parameters = [weights.input, weights.hidden, weights.bias, torch.zeros_like(weights.bias)]
    if inputs.is_cuda:
        parameters = one_after_another(parameters)
    start = [state[0].unsqueeze(0).contiguous(), state[1].unsqueeze(0).contiguous()]
    outputs, hidden, cell = torch.lstm(inputs, start, parameters, True, 1, 0.0, True, False, False)
    return outputs, (hidden[0], cell[0])
