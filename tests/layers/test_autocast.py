"""Every form under autocast to every type: it trains on any CPU, and is the layer to that type's precision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from support.compare import assert_close
from support.layer_cases import gru_case, rhn_case
from support.lstm_cases import case
from support.native_code import needs_a_compiler
from tiedlm.layers.gru import gru_loop
from tiedlm.layers.gru_stock import gru_stock
from tiedlm.layers.lstm import lstm_loop
from tiedlm.layers.lstm_compiled import lstm_compiled
from tiedlm.layers.lstm_stock import lstm_stock
from tiedlm.layers.rhn import rhn_loop
from tiedlm.layers.rhn_batched import rhn_batched, rhn_compiled

every_form = pytest.mark.parametrize(
    ("form", "loop", "drawn"),
    [
        (lstm_stock, lstm_loop, case),
        pytest.param(lstm_compiled, lstm_loop, case, marks=needs_a_compiler),
        (gru_stock, gru_loop, gru_case),
        (gru_loop, gru_loop, gru_case),
        (rhn_batched, rhn_loop, rhn_case),
        pytest.param(rhn_compiled, rhn_loop, rhn_case, marks=needs_a_compiler),
    ],
)


@every_form
@pytest.mark.parametrize("keep", [None, 0.5])
@pytest.mark.parametrize("low", [torch.bfloat16, torch.float16])
def test_it_trains_and_is_the_layer(
    form: Any, loop: Any, drawn: Callable[..., Any], keep: float | None, low: torch.dtype
) -> None:
    one = drawn(1, steps=9, streams=7, inputs=40, units=33, keep=keep, size=0.2).to(torch.float32)
    truth = one.to(torch.float64).everything(loop)

    def under_autocast(*arguments: Any) -> Any:
        with torch.autocast("cpu", low):  # the forward pass alone, as in training
            return form(*arguments)

    for name, value in one.everything(under_autocast).items():
        assert_close(value, truth[name], 0.05, name)
    with torch.no_grad():
        assert_close(one.run(under_autocast)[0], truth["outputs"], 0.05, "outputs without gradients")


@every_form
@pytest.mark.parametrize("keep", [None, 0.5])
@pytest.mark.parametrize("low", [None, torch.bfloat16, torch.float16])
def test_no_number_is_read_that_was_not_written(
    form: Any, loop: Any, drawn: Callable[..., Any], keep: float | None, low: torch.dtype | None
) -> None:
    """Memory that begins uninitialised is filled with NaN: sizes around those of vectors, tiles and 64 bytes."""
    del loop

    def run(fill: bool) -> list[dict[str, torch.Tensor]]:
        torch.use_deterministic_algorithms(fill)
        try:
            with torch.autocast("cpu", low or torch.bfloat16, enabled=low is not None):
                return [one.everything(form) for one in cases]
        finally:
            torch.use_deterministic_algorithms(False)

    assert torch.utils.deterministic.fill_uninitialized_memory  # pyright: ignore[reportAttributeAccessIssue]
    sizes = [(1, 1, 1, 1), (2, 3, 5, 7), (3, 2, 15, 17), (2, 9, 33, 31), (4, 4, 64, 65)]
    cases = [
        drawn(seed, steps=steps, streams=streams, inputs=inputs, units=units, keep=keep, size=0.2).to(torch.float32)
        for seed, (steps, streams, inputs, units) in enumerate(sizes)
    ]
    for filled, plain in zip(run(True), run(False), strict=True):
        for name, value in filled.items():
            assert torch.equal(value, plain[name]), name
