"""The LSTM layer under a variational mask: the definition, PyTorch's kernel, and steps in C++.

With m the layer's mask [B, H], held for the whole window, and gates in PyTorch's order (i, f, g, o):

    i, f, g, o = W_ih x_t + W_hh (m * h_{t-1}) + b
    c_t = sigmoid(f) * c_{t-1} + sigmoid(i) * tanh(g)
    h_t = sigmoid(o) * tanh(c_t)            raw; this is what is carried into the next window
    output_t = m * h_t                      the same mask in time and in depth

Without a mask this is `torch.nn.LSTM` with one bias instead of a sum of two. All forms have the signature of
`lstm_loop`, the definition, which alone has derivatives of every order and kind; the others have first derivatives.
"""

from __future__ import annotations

from typing import Any, NamedTuple, cast, final

import torch
from torch import Tensor, nn

from tiedlm.errors import refuse_double_backward, refuse_transforms
from tiedlm.native.build import call_native
from tiedlm.nn.cells import (
    MAX_LANES,
    NATIVE_TYPES,
    check_cell,
    check_native,
    flatten_weights,
    matmul_dtype_of,
    runs_outside_autocast,
    select_form,
)
from tiedlm.nn.dropout import apply_mask

CLOSED_GATE_LOGIT = -1000.0
"""Added to a dropped unit's output gate: its sigmoid is exactly 0 in float32 and float64 for any gate below 250."""


class LSTMWeights(NamedTuple):
    """Parameters of one layer; I is the width of its input."""

    input: Tensor
    """W_ih [4H, I]."""
    hidden: Tensor
    """W_hh [4H, H]."""
    bias: Tensor
    """b [4H]."""


LSTMState = tuple[Tensor, Tensor]
"""Raw output h and cell c of the last step, each [B, H]."""


@final
class LSTMLayer(nn.Module):
    """Parameters of one LSTM layer, run in the form that `select_form` names."""

    def __init__(self, inputs: int, units: int) -> None:
        super().__init__()
        self.weight_input = nn.Parameter(torch.empty(4 * units, inputs))
        self.weight_hidden = nn.Parameter(torch.empty(4 * units, units))
        self.bias = nn.Parameter(torch.empty(4 * units))

    def forward(
        self, inputs: Tensor, state: LSTMState, masks: tuple[Tensor | None]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return masked outputs [T, B, H] and the raw state after them."""
        return lstm(inputs, state, LSTMWeights(self.weight_input, self.weight_hidden, self.bias), masks[0])


def lstm(inputs: Tensor, state: LSTMState, weights: LSTMWeights, mask: Tensor | None) -> tuple[Tensor, LSTMState]:
    """Run one layer over a window in the form that `select_form` names; otherwise as `lstm_loop`."""
    form, _ = select_form("lstm", inputs.device.type, masked=mask is not None, units=weights.hidden.shape[-1])
    return (lstm_compiled if form == "compiled" else lstm_stock)(inputs, state, weights, mask)


def lstm_loop(inputs: Tensor, state: LSTMState, weights: LSTMWeights, mask: Tensor | None) -> tuple[Tensor, LSTMState]:
    """Run one layer over a window.

    Inputs x [T, B, I], already masked by the layer below; state raw h and c before the window, each [B, H]; mask 0 or
    1/keep [B, H], or None. Returns the masked outputs [T, B, H] and the raw state after the window. Shapes, types or
    devices that do not go together are an ArgumentError.
    """
    _check(inputs, state, weights, mask)
    hidden, cell = state
    projected = inputs @ weights.input.T + weights.bias
    outputs = []
    masked = apply_mask(hidden, mask)
    for step in projected:
        gate_i, gate_f, candidate, gate_o = (step + masked @ weights.hidden.T).chunk(4, dim=1)
        cell = gate_f.sigmoid() * cell + gate_i.sigmoid() * candidate.tanh()
        hidden = gate_o.sigmoid() * cell.tanh()
        masked = apply_mask(hidden, mask)
        outputs.append(masked)
    return torch.stack(outputs), (hidden, cell)


def _check(inputs: Tensor, state: LSTMState, weights: LSTMWeights, mask: Tensor | None) -> None:
    units = weights.hidden.shape[-1]
    shapes = {"input": (4 * units, weights.input.shape[-1]), "hidden": (4 * units, units), "bias": (4 * units,)}
    check_cell(inputs, dict(zip("hc", state, strict=True)), mask, weights._asdict(), shapes)


def lstm_stock(inputs: Tensor, state: LSTMState, weights: LSTMWeights, mask: Tensor | None) -> tuple[Tensor, LSTMState]:
    """Run one layer over a window on PyTorch's kernel; otherwise as `lstm_loop`.

    The masked output m * sigmoid(o) * tanh(c), fed back and fed up, is that of a stock LSTM whose output gate is closed
    for the dropped units. A kernel knows no mask, and has the same weights for all streams; what differs between
    streams is the input. So the one-hot of the stream is appended to the input (B columns), and W_ih gets B columns
    that are 0 but in the output gate's block, where column b holds `CLOSED_GATE_LOGIT` for the units dropped in stream
    b. W_hh / keep and a factor 1/keep on the output do the scaling. The raw last h, which the next window carries,
    costs one more B x H product.

    The mask may hold only 0 and one other value, 1/keep, as `draw_mask` makes it. Where the device has no kernel for
    autocast's type, the layer runs in that of its weights. The state has the weights' type everywhere, since the next
    window may run in another form, or without autocast.
    """
    _check(inputs, state, weights, mask)
    dtype = weights.hidden.dtype
    if runs_outside_autocast(weights.hidden):
        with torch.autocast(inputs.device.type, enabled=False):
            return _stock(inputs.to(dtype), state, weights, mask)
    outputs, (hidden, cell) = _stock(inputs, state, weights, mask)
    return outputs, (hidden.to(dtype), cell.to(dtype))


def _stock(inputs: Tensor, state: LSTMState, weights: LSTMWeights, mask: Tensor | None) -> tuple[Tensor, LSTMState]:
    if mask is None:
        return _kernel(inputs, state, weights)
    (streams, units), scale, is_open = mask.shape, mask.max(), mask != 0
    columns = mask.new_zeros(4 * units, streams)
    columns[3 * units :].masked_fill_(~is_open.T, CLOSED_GATE_LOGIT)
    closed = weights._replace(input=torch.cat([weights.input, columns], dim=1), hidden=weights.hidden * scale)
    one_hot = torch.eye(streams, dtype=inputs.dtype, device=inputs.device).expand(len(inputs), streams, streams)
    outputs, (_, cell) = _kernel(torch.cat([inputs, one_hot], dim=2), (state[0] * is_open, state[1]), closed)
    before = (state[0] * is_open if len(inputs) == 1 else outputs[-2]) * scale
    gate_input, gate_hidden, gate_bias = (weight[3 * units :] for weight in weights)
    open_gate = (inputs[-1] @ gate_input.T + before @ gate_hidden.T + gate_bias).sigmoid()
    return outputs * scale, (open_gate * cell.tanh(), cell)


def _kernel(inputs: Tensor, state: LSTMState, weights: LSTMWeights) -> tuple[Tensor, LSTMState]:
    """Call PyTorch's LSTM for one layer in one direction; its second bias is held at zero."""
    parameters = [weights.input, weights.hidden, weights.bias, torch.zeros_like(weights.bias)]
    if inputs.is_cuda:
        parameters = flatten_weights(parameters)
    start = [state[0].unsqueeze(0).contiguous(), state[1].unsqueeze(0).contiguous()]
    outputs, hidden, cell = torch.lstm(inputs, start, parameters, True, 1, 0.0, True, False, False)
    return outputs, (hidden[0], cell[0])


def lstm_compiled(
    inputs: Tensor, state: LSTMState, weights: LSTMWeights, mask: Tensor | None
) -> tuple[Tensor, LSTMState]:
    """Run one layer over a window on a CPU with its steps in C++; otherwise as `lstm_loop`.

    Weights other than float32 and float64 are an ArgumentError.
    """
    _check(inputs, state, weights, mask)
    check_native(weights.hidden, instead="lstm_stock")
    refuse_transforms("lstm_compiled gives", "lstm_loop", inputs, *state, *weights, mask)
    outputs, hidden, cell = cast("tuple[Tensor, ...]", _CompiledLSTM.apply(inputs, *state, *weights, mask))
    return outputs, (hidden, cell)


class _CompiledLSTM(torch.autograd.Function):
    """All products but W_hh h batched over the window, and the steps in C++ (`native/loops/lstm.cpp`).

    W_ih x and the bias are computed before the steps, and after those of the backward pass the gradients of inputs and
    weights, where the definition adds T outer products into [4H, H]. With d h_t and d c_t the gradients of the raw
    output and of the cell:

        d h_t = m * (d output_t + W_hh' d a_{t+1})                      a: what the nonlinearities read, (i, f, g, o)
        d c_t = d c_{t+1} f_{t+1} + d h_t o_t (1 - tanh^2 c_t)
        d a_t = (d c_t g i (1 - i), d c_t c_{t-1} f (1 - f), d c_t i (1 - g^2), d h_t tanh(c_t) o (1 - o))

    Under autocast the batched products take its type, and add up in float32; the steps do not.
    """

    @staticmethod
    def forward(
        ctx: Any,
        inputs: Tensor,
        hidden: Tensor,
        cell: Tensor,
        weight_input: Tensor,
        weight_hidden: Tensor,
        bias: Tensor,
        mask: Tensor | None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        dtype, steps = matmul_dtype_of(weight_input), len(inputs)
        flat, weight_input = inputs.flatten(0, 1).to(dtype), weight_input.to(dtype)
        gates = torch.addmm(bias.to(dtype), flat, weight_input.T).to(bias.dtype)  # [T B, 4H], replaced by i, f, g, o
        cells = hidden.new_empty(steps + 1, *hidden.shape)  # c before the window, then after every step
        read = torch.empty_like(cells)  # masked h before the window, then after every step
        cells[0], read[0] = cell, apply_mask(hidden, mask)
        tanh_cells = hidden.new_empty(steps, *hidden.shape)
        last = torch.empty_like(hidden, memory_format=torch.contiguous_format)  # raw h after the window
        _call_steps("lstm_forward", gates, mask, cells, tanh_cells, weight_hidden, read, last)
        ctx.save_for_backward(gates, cells, tanh_cells, read, flat, weight_input, weight_hidden, mask)
        return read[1:].clone(), last, cells[-1].clone()

    @staticmethod
    def backward(ctx: Any, outputs_grad: Tensor, hidden_grad: Tensor, cell_grad: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        refuse_double_backward("lstm_compiled gives", "lstm_loop")
        gates, cells, tanh_cells, read, flat, weight_input, weight_hidden, mask = ctx.saved_tensors
        dtype, own = flat.dtype, weight_hidden.dtype
        sums_grad, hidden_before_grad = torch.empty_like(gates), torch.empty_like(cells[0])
        cell_grad = cell_grad.contiguous().clone()  # of c after the window, replaced by that of c before it
        grads = (outputs_grad.contiguous(), hidden_grad.contiguous(), cell_grad)
        _call_steps(
            "lstm_backward", gates, mask, cells, tanh_cells, weight_hidden, *grads, sums_grad, hidden_before_grad
        )
        rounded, before = sums_grad.to(dtype), read[:-1].flatten(0, 1).to(dtype)
        inputs_grad = None
        if ctx.needs_input_grad[0]:
            inputs_grad = (rounded @ weight_input).to(own).unflatten(0, tanh_cells.shape[:2])
        weights_grad = (rounded.T @ flat).to(own), (rounded.T @ before).to(own), sums_grad.sum(0, dtype=own)
        return inputs_grad, hidden_before_grad, cell_grad, *weights_grad, None


def _call_steps(
    name: str, gates: Tensor, mask: Tensor | None, cells: Tensor, tanh_cells: Tensor, weight: Tensor, *others: Tensor
) -> None:
    """Call one of the two loops of `lstm.cpp`, with an array for packed weights; the bare arrays are contiguous."""
    steps, streams, units = tanh_cells.shape
    packed = weight.new_empty(4, units + MAX_LANES - 1, units)
    mask = None if mask is None else mask.contiguous()
    window = (gates, mask, cells, tanh_cells, weight.contiguous(), packed, torch.get_num_threads())
    call_native(f"{name}_{NATIVE_TYPES[weight.dtype]}", steps, streams, units, *window, *others)
