"""What every layer asks of the shapes it is called with."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tiedlm.errors import ArgumentError
from tiedlm.layers.shapes import check_layer

FITTING: dict[str, Any] = {
    "inputs": torch.zeros(4, 3, 5),
    "width": 5,
    "state": {"h": torch.zeros(3, 6), "c": torch.zeros(3, 6)},
    "mask": torch.ones(3, 6),
    "units": 6,
}


def test_what_fits_passes() -> None:
    check_layer(**FITTING)
    check_layer(**{**FITTING, "mask": None})


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            {"inputs": torch.zeros(4, 3, 6)},
            r"inputs have the shape \[4, 3, 6\], but must be \[steps, streams, 5\]",
        ),
        ({"inputs": torch.zeros(0, 3, 5)}, r"inputs have the shape \[0, 3, 5\]"),
        ({"inputs": torch.zeros(3, 5)}, r"inputs have the shape \[3, 5\]"),
        ({"state": {"h": torch.zeros(3, 6), "c": torch.zeros(2, 6)}}, r"state c has the shape \[2, 6\], but must be"),
        ({"mask": torch.ones(3, 5)}, r"mask has the shape \[3, 5\], but must be \[3, 6\]: \[streams, units\]"),
    ],
)
def test_what_does_not_is_told_with_the_shape_that_is_due(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=f"^{message}"):
        check_layer(**{**FITTING, **wrong})
