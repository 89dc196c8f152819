"""Variational masks: what they hold, how often, from which draws, and what is refused."""

import math

import pytest
import torch

from tiedlm.errors import ArgumentError
from tiedlm.nn.dropout import draw_mask


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("keep", [0.05, 0.35, 0.7, 0.999])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_mask_holds_zero_and_one_over_keep(keep: float, dtype: torch.dtype) -> None:
    mask = draw_mask(20, 500, keep, seeded(), dtype=dtype)
    assert mask.shape == (20, 500)
    assert mask.dtype == dtype
    assert set(mask.unique().tolist()) == {0.0, torch.tensor(1.0, dtype=dtype).div(keep).item()}


@pytest.mark.parametrize("keep", [0.05, 0.35, 0.7])
def test_the_expectation_is_preserved_for_every_unit_and_stream(keep: float) -> None:
    draws = torch.stack([draw_mask(4, 5, keep, seeded(seed), dtype=torch.float64) for seed in range(4000)])
    deviation = math.sqrt((1 - keep) / keep / 4000)
    assert ((draws.mean(0) - 1).abs() < 4.5 * deviation).all()
    assert (draws.mean() - 1).abs() < 4.5 * deviation / math.sqrt(20)


def test_units_and_streams_are_drawn_independently() -> None:
    kept = (draw_mask(200, 200, 0.5, seeded()) != 0).double() - 0.5
    for left, right in ((kept[:, 1:], kept[:, :-1]), (kept[1:], kept[:-1]), (kept, kept.T)):
        assert (left * right).mean().abs() < 4.5 * 0.25 / math.sqrt(left.numel() / 2)


def test_the_draw_is_the_generators_and_the_next_one_differs() -> None:
    generator = seeded(5)
    first, second = draw_mask(8, 50, 0.5, generator), draw_mask(8, 50, 0.5, generator)
    assert torch.equal(first, draw_mask(8, 50, 0.5, seeded(5)))
    assert not torch.equal(first, second)


def test_every_type_and_device_sees_the_same_units_dropped() -> None:
    single, double = (draw_mask(8, 50, 0.3, seeded(1), dtype=dtype) for dtype in (torch.float32, torch.float64))
    assert torch.equal(single == 0, double == 0)
    assert draw_mask(8, 50, 0.3, seeded(1), device="meta").device.type == "meta"


@pytest.mark.parametrize(
    ("streams", "width", "keep", "message"),
    [
        *((2, 3, keep, rf"keep is {keep}, but must lie in \(0, 1\]: it is the") for keep in (0.0, -0.1, 1.5, math.nan)),
        (0, 3, 0.5, "a mask of 0 streams x 3 units was asked for; both must be 1 or more"),
        (2, 0, 0.5, "a mask of 2 streams x 0 units was asked for; both must be 1 or more"),
    ],
)
def test_a_mask_that_cannot_be_is_refused(streams: int, width: int, keep: float, message: str) -> None:
    with pytest.raises(ArgumentError, match=f"^{message}"):
        draw_mask(streams, width, keep, seeded())
