"""What every layer asks of the tensors it is called with: shapes, one type, one device."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tiedlm.errors import ArgumentError
from tiedlm.layers.shapes import check_gates, check_layer

FITTING: dict[str, Any] = {
    "inputs": torch.zeros(4, 3, 5),
    "state": {"h": torch.zeros(3, 6), "c": torch.zeros(3, 6)},
    "mask": torch.ones(3, 6),
    "weights": {"input": torch.zeros(24, 5), "hidden": torch.zeros(24, 6), "bias": torch.zeros(24)},
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


def of_weights(**changed: torch.Tensor) -> dict[str, Any]:
    return {"weights": {**FITTING["weights"], **changed}}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            {"state": {"h": torch.zeros(3, 6), "c": torch.zeros(3, 6).double()}},
            r"state c came as torch\.float64 on cpu, but must be torch\.float32 on cpu, as .* begins with a new state",
        ),
        ({"state": {"h": torch.zeros(3, 6).bfloat16()}}, r"state h came as torch\.bfloat16 on cpu"),
        ({"state": {"h": torch.zeros(3, 6, device="meta")}}, r"state h came as torch\.float32 on meta, .* on cpu, as"),
        ({"mask": torch.ones(3, 6).bool()}, r"mask came as torch\.bool on cpu"),
        ({"inputs": torch.zeros(4, 3, 5).bfloat16()}, r"inputs came as torch\.bfloat16 on cpu"),
        ({"inputs": torch.zeros(4, 3, 5, device="meta")}, r"inputs came as torch\.float32 on meta"),
        (of_weights(bias=torch.zeros(24).double()), r"weights bias came as torch\.float64 on cpu"),
        (of_weights(input=torch.zeros(24, 5).half()), r"weights input came as torch\.float16 on cpu"),
    ],
)
def test_another_type_or_device_than_the_weights_is_told(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=f"^{message}"):
        check_layer(**{**FITTING, **wrong})


def test_under_autocast_inputs_may_have_its_type_and_nothing_else_may() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        check_layer(**{**FITTING, "inputs": torch.zeros(4, 3, 5).bfloat16()})
        for wrong in ({"inputs": torch.zeros(4, 3, 5).half()}, {"mask": torch.ones(3, 6).bfloat16()}):
            with pytest.raises(ArgumentError, match=f"^{next(iter(wrong))} came as"):
                check_layer(**{**FITTING, **wrong})


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"input": torch.zeros(18, 5)}, r"weights input has the shape \[18, 5\], but must have 24 rows: .* 4 gates"),
        ({"bias": torch.zeros(18)}, r"weights bias has the shape \[18\]"),
        ({"hidden": torch.zeros(24, 8)}, r"weights input has the shape \[24, 5\], but must have 32 rows"),
    ],
)
def test_weights_of_other_rows_than_their_gates_are_told(wrong: dict[str, Any], message: str) -> None:
    check_gates(FITTING["weights"], gates=4)
    with pytest.raises(ArgumentError, match=f"^{message}"):
        check_gates(FITTING["weights"] | wrong, gates=4)
