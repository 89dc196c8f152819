"""Says before a training that its precision is the slow one on this processor."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from tiedlm.cli.output import say
from tiedlm.runs.config import RunConfig

WORTH_TELLING = 1.5
"""Times as long as in float32: less may be other work on the machine."""


def tell_slow_products(configs: Iterable[RunConfig], option: str) -> None:
    """Print to stderr, once, that trainings in bfloat16 are about to begin on a CPU that is slow at it; else nothing.

    Args:
        configs: the trainings that begin; those that go on keep what they have.
        option: the one that chooses the precision, such as `--precision`.
    """
    if not any(config.runtime.precision == "bfloat16" and config.runtime.device == "cpu" for config in configs):
        return
    import torch

    from tiedlm.native.device import matmul_slowdown

    times = matmul_slowdown(torch.bfloat16)
    if times > WORTH_TELLING:
        told = (
            f"tiedlm: bfloat16 products take about {times:.0f} times as long as float32 ones on this processor. "
            f"{option} float32 is the faster choice here."
        )
        say(told, file=sys.stderr)
