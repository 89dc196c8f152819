"""Seconds of one window through a recurrent highway layer, forward and backward: the definition and faster forms.

    python benchmarks/rhn.py --rounds 5 --threads 1

The sizes are those of `ptb-rhn-*` unless others are asked for. The forms take turns on the same inputs, in a new order
every round, and the ratio is the median of those within a round. Rows are appended to `benchmarks/results/rhn.csv`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch
from torch import Tensor

from command_line import Row, parser_of, positive, write_down
from machine import FACTS, begin_csv, facts
from step import WARM_UP, measure, ratios
from step_windows import STEPS, STREAMS
from tiedlm.layers.rhn import RHNWeights, rhn_loop
from tiedlm.layers.rhn_batched import rhn_batched, rhn_compiled
from tiedlm.layers.variational import draw_mask
from tiedlm.native.build import compiler_unavailable
from tiedlm.recipes.rhn import NETWORK

FORMS = {"loop": rhn_loop, "batched": rhn_batched, "compiled": rhn_compiled}
"""The first is the one that the others are compared with."""
RESULTS = Path(__file__).parent / "results" / "rhn.csv"
COLUMNS = (*FACTS, "steps", "streams", "units", "depth", "rounds", "form")
COLUMNS += ("median_seconds", "fastest_seconds", "ratio_to_loop")


@dataclass(frozen=True)
class Pass:
    """One form of the layer, at one size."""

    name: str
    units: int
    depth: int

    def make(self) -> Callable[[Tensor, Tensor], float]:
        """Return forward and backward pass, on inputs and arriving gradients [T, B, H], with weights alike for all."""
        generator = torch.Generator().manual_seed(0)
        shapes = [(2 * self.units, self.units), (self.depth, 2 * self.units, self.units), (self.depth, 2 * self.units)]
        drawn = [torch.rand(shape, generator=generator).mul_(0.08).sub_(0.04) for shape in shapes]
        drawn[2][:, self.units :] = NETWORK.transform_bias
        weights = RHNWeights(*(each.requires_grad_() for each in drawn))
        mask = draw_mask(STREAMS, self.units, NETWORK.keep_state, generator)
        state = torch.zeros(STREAMS, self.units)

        def run(inputs: Tensor, arriving: Tensor) -> float:
            outputs, _ = FORMS[self.name](inputs.requires_grad_(), state, weights, mask)
            gradients = torch.autograd.grad(outputs, [inputs, *weights], arriving)
            return float(gradients[0].sum())

        return run


def windows(count: int, units: int) -> list[tuple[Tensor, Tensor]]:
    """Return inputs and arriving gradients of `count` windows."""
    generator = torch.Generator().manual_seed(1)
    return [
        (
            torch.randn(STEPS, STREAMS, units, generator=generator),
            torch.randn(STEPS, STREAMS, units, generator=generator),
        )
        for _ in range(count)
    ]


def lacking(name: str) -> str | None:
    """Return why this machine cannot run a form, or None if it can."""
    return compiler_unavailable() if name == "compiled" else None


def rows(options: argparse.Namespace) -> list[Row]:
    """Measure all forms and return a row of the CSV for each."""
    passes = [Pass(name, options.units, options.depth) for name in FORMS if lacking(name) is None]
    seconds = measure(passes, windows(WARM_UP + options.rounds, options.units))
    relative = ratios(seconds, passes[0].name)
    sizes = {"steps": STEPS, "streams": STREAMS, "units": options.units, "depth": options.depth}
    return [
        {
            **facts(),
            **sizes,
            "rounds": options.rounds,
            "form": name,
            "median_seconds": f"{median(times):.5f}",
            "fastest_seconds": f"{min(times):.5f}",
            "ratio_to_loop": f"{relative[name]:.3f}",
        }
        for name, times in seconds.items()
    ]


def parsed(arguments: list[str] | None = None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = parser_of(__doc__, RESULTS)
    parser.add_argument("--rounds", type=positive, default=10, help="rounds that are counted (default: 10)")
    parser.add_argument("--units", type=positive, default=NETWORK.units, help=f"units (default: {NETWORK.units})")
    parser.add_argument("--depth", type=positive, default=NETWORK.depth, help=f"depth (default: {NETWORK.depth})")
    return parser.parse_args(arguments)


def line(row: Row) -> str:
    """Return a row of the CSV in short."""
    return f"{row['form']:<10}{row['median_seconds']} s  x {row['ratio_to_loop']}"


def main() -> None:
    """Measure, append, print."""
    options = parsed()
    if options.threads:
        torch.set_num_threads(options.threads)
    begin_csv(options.output, COLUMNS)
    write_down(options.output, rows(options), line)
    for name in FORMS:
        if (reason := lacking(name)) is not None:
            print(f"{name:<10}left out: {reason}")


if __name__ == "__main__":
    main()
