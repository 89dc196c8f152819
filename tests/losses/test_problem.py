"""A problem's types and the rows that a chunk takes."""

from __future__ import annotations

import pytest
import torch

from tiedlm.losses.problem import Problem


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
