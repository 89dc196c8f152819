"""What every form of the masked LSTM layer has to be: the definition, the loop, in results and every gradient."""

from __future__ import annotations

from typing import Any

import torch
from hypothesis import strategies as st

from support import layer_truth
from support.layer_truth import check
from support.lstm_cases import Case, Layer, case, mask_of
from tiedlm.layers.lstm import LSTMState, lstm_loop

SIZES = st.integers(1, 7)
CASES = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 2**31),
        "steps": SIZES,
        "streams": st.integers(1, 13),
        "inputs": SIZES,
        "units": st.integers(1, 39),
        "keep": st.sampled_from([None, 0.05, 0.2, 0.35, 0.5, 0.7, 0.95, 1.0]),
        "size": st.sampled_from([0.1, 0.5]),
    }
)
RELATIVE = {torch.float64: 1e-12, torch.float32: 1e-5}


def check_in_float64(layer: Layer, drawn: dict[str, Any]) -> None:
    one = case(**drawn)
    check(one.everything(layer), one.everything(lstm_loop), 1e-12)


def check_in_float32(layer: Layer, drawn: dict[str, Any]) -> None:
    layer_truth.check_in_float32(layer, lstm_loop, case(**drawn).to(torch.float32))


def check_at_the_papers_window(layer: Layer, keep: float) -> None:
    single = case(1, steps=35, streams=20, inputs=40, units=41, keep=keep, size=0.1).to(torch.float32)
    check(single.everything(layer), single.to(torch.float64).everything(lstm_loop), 1e-5)


def check_carried_state(layer: Layer, dtype: torch.dtype) -> None:
    """Two windows, the second from the first one's raw state and under another mask."""
    one = case(2, steps=3, streams=4, units=9, keep=0.5).to(dtype)
    found = one.everything(_two_windows(layer, one))
    double = one.to(torch.float64)
    check(found, double.everything(_two_windows(lstm_loop, double)), RELATIVE[dtype])


def _two_windows(layer: Layer, one: Case) -> Layer:
    def windows(*_: Any) -> tuple[torch.Tensor, LSTMState]:
        state, outputs = (one.hidden, one.cell), []
        for seed in (1, 2):
            mask = mask_of(seed, 4, 9, 0.5).to(one.inputs.dtype)
            output, state = layer(one.inputs, state, one.weights, mask)
            outputs.append(output)
        return torch.cat(outputs), state

    return windows


def check_all_dropped(layer: Layer, dtype: torch.dtype) -> None:
    one = case(3)._replace(mask=torch.zeros(3, 6, dtype=torch.float64)).to(dtype)
    found = one.everything(layer)
    assert (found["outputs"] == 0).all()
    check(found, one.to(torch.float64).everything(lstm_loop), RELATIVE[dtype])


def check_arguments_untouched(layer: Layer, dtype: torch.dtype = torch.float64) -> None:
    one = case(6).to(dtype)
    before = {name: leaf.detach().clone() for name, leaf in one.leaves.items()}
    one.everything(layer)
    assert all(torch.equal(leaf, before[name]) for name, leaf in one.leaves.items())


def check_gates_at_their_ends(layer: Layer, size: float) -> None:
    check_in_float32(layer, {"seed": 9, "steps": 2, "streams": 3, "inputs": 5, "units": 33, "keep": 0.5, "size": size})


def check_no_number_stays_none(layer: Layer) -> None:
    one = case(10).to(torch.float32)
    one.inputs.data[1, 2, 0] = float("nan")
    outputs, (hidden, _) = one.run(layer)
    assert outputs[0].isfinite().all()
    assert hidden[2].isnan().all()
    assert hidden[:2].isfinite().all()
