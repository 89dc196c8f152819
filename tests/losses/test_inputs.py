"""The inputs of a loss: what is checked when they are put together, and in which type products will be."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields

import pytest
import torch

from tiedlm.errors import ArgumentError
from tiedlm.losses.inputs import LossInputs, LossOptions


def given(**options: object) -> LossInputs:
    return LossInputs(torch.zeros(3, 2), torch.zeros(4, 2), torch.zeros(3, dtype=torch.int64), **options)  # pyright: ignore


def test_every_option_has_its_field_and_every_field_its_option() -> None:
    assert [field.name for field in fields(LossInputs)][3:] == list(LossOptions.__annotations__)


def test_products_are_of_the_tables_type_or_what_autocast_asks() -> None:
    assert given().products == torch.float32
    with torch.autocast("cpu", torch.bfloat16):
        assert given().products == torch.bfloat16


def test_autocast_leaves_tables_of_float64_alone() -> None:
    features, tables = torch.zeros(3, 2), torch.zeros(4, 2, dtype=torch.float64)
    targets = torch.zeros(3, dtype=torch.int64)
    with torch.autocast("cpu", torch.bfloat16):
        assert LossInputs(features.double(), tables, targets).products == torch.float64
        with pytest.raises(ArgumentError, match=r"features is torch\.float32 .* but the classifier is torch\.float64"):
            LossInputs(features, tables, targets)


def test_shapes_are_checked_at_once_and_values_are_not_read() -> None:
    with pytest.raises(ArgumentError, match=r"token_weights are torch\.float32 \[2\] on cpu"):
        given(token_weights=torch.zeros(2))
    assert given(token_weights=torch.full((3,), -1.0)).token_weights is not None


def test_what_was_checked_cannot_be_changed_afterwards() -> None:
    with pytest.raises(FrozenInstanceError):
        given().temperature = -1.0  # pyright: ignore[reportAttributeAccessIssue]
