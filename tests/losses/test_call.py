"""The operator's arguments and its schema are one list."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from support.loss_cases import make, tensors
from tiedlm.losses.call import DIFFERENTIABLE, SCHEMA, TENSORS, Call, call_of
from tiedlm.losses.inputs import LossInputs


def test_schema_and_fields_agree() -> None:
    assert [part.split()[-1] for part in SCHEMA.split(", ")] == list(Call._fields)
    assert set(DIFFERENTIABLE) < set(TENSORS)
    assert [part.split()[-1] for part in SCHEMA.split(", ") if part.startswith("Tensor")] == list(TENSORS)


def test_only_what_learns_is_wanted() -> None:
    ours = tensors(make(tied=False, biased=True))
    ours.classifier.requires_grad_(False)
    inputs = LossInputs(ours.features, ours.classifier, ours.targets, ours.table, ours.bias)
    assert call_of(inputs, 8, "plain").wanted == [True, False, True, True]
    with torch.no_grad():
        assert call_of(inputs, 8, "plain").wanted == [False] * 4


def test_a_table_that_is_not_read_or_not_learned_from_has_no_gradient() -> None:
    ours = tensors(make(tied=False))
    given = LossInputs(ours.features, ours.classifier, ours.targets, ours.table, gamma=0.0)
    assert call_of(given, 8, "plain").table is None
    assert call_of(given, 8, "plain").wanted == [True, True, False, False]
    detached = call_of(replace(given, gamma=0.5, detach_target=True), 8, "plain")
    assert detached.table is not None
    assert detached.wanted == [True, True, False, False]


@pytest.mark.parametrize("shape", [(6,), (2, 3), (1, 2, 3)])
def test_rows_are_flattened(shape: tuple[int, ...]) -> None:
    ours = tensors(make())
    inputs = LossInputs(ours.features.reshape(*shape, 3), ours.classifier, ours.targets.reshape(shape))
    call = call_of(inputs, 8, "plain")
    assert call.features.shape == (6, 3)
    assert call.targets.shape == (6,)
