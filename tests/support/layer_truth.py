"""What a fast form of any layer is held to: the definition, its loop, in results and every gradient."""

from __future__ import annotations

from typing import Any

import torch

from support.compare import assert_close, error


def check(found: dict[str, torch.Tensor], truth: dict[str, torch.Tensor], relative: float) -> None:
    """All that was found is the truth, each relative to its own scale."""
    for name, value in found.items():
        assert_close(value, truth[name], relative, name)


def check_in_float32(layer: Any, loop: Any, single: Any) -> None:
    """To 1e-5, or to 20 times the loop's own error where float32 holds no more of the truth than that."""
    truth, own = single.to(torch.float64).everything(loop), single.everything(loop)
    for name, value in single.everything(layer).items():
        assert_close(value, truth[name], max(1e-5, 20 * error(own[name], truth[name])), name)
