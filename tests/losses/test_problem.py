"""A problem's types and the rows that a chunk takes."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tiedlm.losses.problem import MOST_WEIGHT, Problem


def problem(dtype: torch.dtype, gamma: float = 0.5, chunk_rows: int = 10) -> Problem:
    return Problem(
        features=torch.zeros(3, 2, dtype=dtype),
        classifier=torch.zeros(4, 2, dtype=dtype),
        table=None,
        bias=None,
        rows=torch.arange(3),
        words=torch.arange(3),
        temperature=20.0,
        gamma=gamma,
        detach_target=False,
        chunk_rows=chunk_rows,
        products=dtype,
    )


@pytest.mark.parametrize(
    ("dtype", "wide", "kept"),
    [
        (torch.float64, torch.float64, torch.float64),
        (torch.float32, torch.float32, torch.float32),
        (torch.bfloat16, torch.float32, torch.bfloat16),
        (torch.float16, torch.float32, torch.float32),
    ],
)
def test_types(dtype: torch.dtype, wide: torch.dtype, kept: torch.dtype) -> None:
    assert (problem(dtype).wide, problem(dtype).kept) == (wide, kept)


def test_soft_targets_take_half_of_a_chunk() -> None:
    assert problem(torch.float32).rows_at_once == 5
    assert problem(torch.float32, gamma=0.0).rows_at_once == 10
    assert problem(torch.float32, chunk_rows=1).rows_at_once == 1


@given(rows=st.integers(0, 40), chunk_rows=st.integers(1, 12))
def test_chunks_are_equal_and_cover_every_row_once(rows: int, chunk_rows: int) -> None:
    one = replace(problem(torch.float32, gamma=0.0, chunk_rows=chunk_rows), rows=torch.arange(rows))
    sizes = [chunk.stop - chunk.start for chunk in one.chunks()]
    assert [row for chunk in one.chunks() for row in range(rows)[chunk]] == list(range(rows))
    assert len(sizes) == -(-rows // chunk_rows)
    assert not sizes or max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize(("chunk_rows", "heaviest"), [(10, 5e-6), (2, 4e-6)])
def test_weights_of_float16_products_are_told_in_a_unit_of_the_heaviest_chunk(chunk_rows: int, heaviest: float) -> None:
    weights = torch.tensor([1e-6, 4e-6, 0.0])
    scaled, unit = problem(torch.float16, chunk_rows=chunk_rows).in_range(weights)
    assert scaled is not None
    assert unit is not None
    assert float(unit) == pytest.approx(heaviest / MOST_WEIGHT)
    assert torch.allclose(scaled * unit, weights)


def test_weights_of_nothing_have_a_unit_too() -> None:
    nothing, unit = problem(torch.float16).in_range(torch.zeros(3))
    assert (nothing is not None and nothing.tolist(), unit) == ([0, 0, 0], 1)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_weights_of_other_products_stay_as_they_are(dtype: torch.dtype) -> None:
    weights = torch.tensor([1e-6])
    assert problem(dtype).in_range(weights) == (weights, None)
    assert problem(torch.float16).in_range(None) == (None, None)
