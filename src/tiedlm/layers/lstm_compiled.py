"""The masked LSTM layer with its steps in C++: signature and values of `layers.lstm.lstm_loop`.

The steps are one call of a loop (`native/loops/lstm.cpp`), float32 always under autocast; the rest is `lstm_batched`.
"""

from __future__ import annotations

from torch import Tensor

from tiedlm.layers.compiled_steps import check_type
from tiedlm.layers.lstm import LSTMState, LSTMWeights, check_lstm
from tiedlm.layers.lstm_batched import Steps, run_layer
from tiedlm.layers.lstm_steps import run_back, run_forward

STEPS = Steps(run_forward, run_back, "lstm_compiled")


def lstm_compiled(
    inputs: Tensor, state: LSTMState, weights: LSTMWeights, mask: Tensor | None
) -> tuple[Tensor, LSTMState]:
    """Run one layer over a window on a CPU; arguments, results and errors as for `lstm_loop`.

    A gradient of the gradient is an ArgumentError, and so are numbers other than float32 and float64.
    """
    check_lstm(inputs, state, weights, mask)
    check_type(weights.hidden.dtype, instead="lstm_stock")
    return run_layer(STEPS, inputs, state, weights, mask)
