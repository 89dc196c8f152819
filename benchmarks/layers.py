"""Seconds of a window through recurrent layers, forward and backward, in every form that runs on this CPU.

    python benchmarks/layers.py --rounds 10 --threads 2
    python benchmarks/layers.py --cells rhn --rounds 5 --threads 1

LSTM and GRU: two layers under a mask with 200, 650 and 1500 units, beside PyTorch's layers of the same size without
masks. RHN: the layer of `ptb-rhn-*`. Forms take turns on the same inputs. Rows are appended to `results/layers.csv`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

import harness
from harness import FACTS, STEPS, STREAMS, WARM_UP, Row
from tiedlm.native.build import compiler_unavailable
from tiedlm.nn.dropout import draw_mask
from tiedlm.nn.gru import GRUWeights, gru_loop
from tiedlm.nn.lstm import LSTMWeights, lstm_compiled, lstm_loop, lstm_stock
from tiedlm.nn.rhn import RHNWeights, rhn_batched, rhn_compiled, rhn_loop

Pass = Callable[[Tensor], Tensor]
"""Inputs [T, B, units] -> outputs [T, B, units]."""
FORMS: dict[str, dict[str, Any]] = {
    "lstm": {"loop": lstm_loop, "stock": lstm_stock, "compiled": lstm_compiled},
    "gru": {"loop": gru_loop},
    "rhn": {"loop": rhn_loop, "batched": rhn_batched, "compiled": rhn_compiled},
}
SIZES = {"lstm": ((200, 2), (650, 2), (1500, 2)), "gru": ((200, 2), (650, 2)), "rhn": ((830, 10),)}
"""Units and layers; of RHN units and depth, as in `ptb-rhn-*`."""
COLUMNS = (*FACTS, "cell", "units", "layers", "steps", "streams", "rounds", "form")
COLUMNS += ("median_seconds", "fastest_seconds", "ratio_to_first")


def passes(cell: str, units: int, layers: int) -> dict[str, tuple[Pass, list[Tensor]]]:
    """Return form -> its forward pass and its parameters; all forms of ours have the same weights and masks."""
    draws = torch.Generator().manual_seed(0)

    def parameter(*shape: int) -> Tensor:
        return torch.rand(shape, generator=draws).mul_(0.08).sub_(0.04).requires_grad_()

    def weights() -> Any:
        if cell == "rhn":
            hidden = parameter(layers, 2 * units, units)
            return RHNWeights(parameter(2 * units, units), hidden, parameter(layers, 2 * units))
        if cell == "gru":
            outer, inner = parameter(3 * units, units), parameter(3 * units, units)
            return GRUWeights(outer, inner, parameter(3 * units), parameter(3 * units))
        return LSTMWeights(parameter(4 * units, units), parameter(4 * units, units), parameter(4 * units))

    stack = [weights() for _ in range(1 if cell == "rhn" else layers)]
    zeros, mask = torch.zeros(STREAMS, units), draw_mask(STREAMS, units, 0.7, draws)
    state = (zeros, zeros) if cell == "lstm" else zeros
    pytorch: dict[str, tuple[Pass, list[Tensor]]] = {}
    if cell != "rhn":
        stock = (nn.LSTM if cell == "lstm" else nn.GRU)(units, units, layers)
        pytorch["pytorch, no masks"] = (lambda inputs: stock(inputs)[0], list(stock.parameters()))

    def run(form: Any, inputs: Tensor) -> Tensor:
        for layer in stack:
            inputs, _ = form(inputs, state, layer, mask)
        return inputs

    forms = {name: form for name, form in FORMS[cell].items() if name != "compiled" or compiler_unavailable() is None}
    parameters = [tensor for layer in stack for tensor in layer]
    return pytorch | {name: (lambda inputs, form=form: run(form, inputs), parameters) for name, form in forms.items()}


def rows(cell: str, units: int, layers: int, rounds: int) -> Iterator[Row]:
    """Time all forms of a cell at one size in turns, and yield a row of each."""
    draws = torch.Generator().manual_seed(1)
    inputs, out_grads = (torch.randn(WARM_UP + rounds, STEPS, STREAMS, units, generator=draws) for _ in range(2))

    def forward_and_backward(forward: Pass, parameters: list[Tensor], number: int) -> None:
        window = inputs[number].clone().requires_grad_()
        torch.autograd.grad(forward(window), [window, *parameters], out_grads[number])

    forms = passes(cell, units, layers)
    timed = {name: partial(forward_and_backward, forward, own) for name, (forward, own) in forms.items()}
    seconds = harness.time_in_turns(timed, rounds)
    for name, times in seconds.items():
        relative = harness.ratio(times, next(iter(seconds.values())))
        values = (cell, units, layers, STEPS, STREAMS, rounds, name)
        yield harness.row(COLUMNS, *values, f"{median(times):.5f}", f"{min(times):.5f}", f"{relative:.3f}")


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, append."""
    parser = harness.parser_of(__doc__, "layers.csv", rounds=10)
    parser.add_argument("--cells", nargs="+", choices=list(FORMS), default=list(FORMS), help="default: all three")
    parser.add_argument("--units", nargs="+", type=harness.positive, help="other numbers of units than the paper's")
    options = parser.parse_args(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    harness.open_csv(options.output, COLUMNS)
    for cell in options.cells:
        for units, layers in [(units, SIZES[cell][0][1]) for units in options.units or ()] or SIZES[cell]:
            harness.write_rows(options.output, rows(cell, units, layers, options.rounds))


if __name__ == "__main__":
    main()
