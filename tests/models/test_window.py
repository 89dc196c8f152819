"""What a model is called with for one window: masks that are drawn, and all three parts that are refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tiedlm.errors import ArgumentError
from tiedlm.models.window import Due, check_masks, check_state, check_tokens, draw_masks

DUE = [Due("the words", 9, 0.5), Due("the input", 4, 1.0), Due("the state", 6, 0.25)]
LIKE = torch.zeros(1, dtype=torch.float64)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_masks_are_drawn_where_something_is_dropped() -> None:
    masks = draw_masks(DUE, 3, seeded(), LIKE)
    assert masks is not None
    first, second, third = masks
    assert first is not None
    assert second is None
    assert third is not None
    assert (first.shape, third.shape) == ((3, 9), (3, 6))
    assert first.dtype == third.dtype == torch.float64
    assert set(first.unique().tolist()) <= {0.0, 2.0}
    assert set(third.unique().tolist()) <= {0.0, 4.0}


def test_where_nothing_is_dropped_there_are_no_masks_and_nothing_is_drawn() -> None:
    generator = seeded()
    before = generator.get_state()
    assert draw_masks([one._replace(keep=1.0) for one in DUE], 3, generator, LIKE) is None
    assert torch.equal(generator.get_state(), before)


def test_what_fits_passes() -> None:
    check_tokens(torch.zeros(4, 3, dtype=torch.int32))
    check_state((torch.zeros(2, 3, 6),), ("h",), 2, 3, 6)
    masks = draw_masks(DUE, 3, seeded(), LIKE)
    assert check_masks(masks, DUE, 3) is masks
    assert check_masks(None, DUE, 3) == [None, None, None]


@pytest.mark.parametrize("tokens", [torch.zeros(3, dtype=torch.int64), torch.zeros(4, 3)])
def test_tokens_that_are_none_are_refused(tokens: Any) -> None:
    with pytest.raises(ArgumentError, match=r"^tokens are torch\.\w+ \[.*\], but must be word ids \[steps, streams\]"):
        check_tokens(tokens)


@pytest.mark.parametrize("shapes", [[(2, 4, 6)], [(1, 3, 6)], [(2, 3, 5)], [(2, 3, 6), (2, 3, 6)], []])
def test_a_state_of_another_batch_size_depth_or_width_is_refused(shapes: list[tuple[int, ...]]) -> None:
    message = r"^the state holds the shapes .*, but must be s of \[2, 3, 6\] each: .* Start from initial_state"
    with pytest.raises(ArgumentError, match=message):
        check_state(tuple(torch.zeros(shape) for shape in shapes), ("s",), 2, 3, 6)


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        ([], "0 masks arrived, but 3 are due: one on the words, one on the input, one on the state; or None"),
        ([None, None, torch.ones(3, 5)], r"the mask on the state has the shape \[3, 5\], but must be \[3, 6\]"),
        ([torch.ones(2, 9), None, None], r"the mask on the words has the shape \[2, 9\], but must be \[3, 9\]"),
    ],
)
def test_masks_of_another_number_or_shape_are_refused(masks: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=f"^{message}"):
        check_masks(masks, DUE, 3)
