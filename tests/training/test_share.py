"""A rank's share of the streams; `test_several_processes` trains with several."""

from __future__ import annotations

import pytest
import torch

from tiedlm.errors import ConfigError
from tiedlm.native.ranks import SINGLE, Ranks
from tiedlm.nn.config import LSTMConfig
from tiedlm.nn.model import LanguageModel
from tiedlm.training.share import Share, sum_gradients

SHARES = [Share(Ranks(None, rank, 3), 6) for rank in range(3)]


def test_the_shares_side_by_side_are_the_whole() -> None:
    words = torch.arange(5 * 6).view(5, 6)
    assert torch.equal(torch.cat([share.window(words) for share in SHARES], 1), words)
    state = (torch.arange(2 * 6 * 3).view(2, 6, 3), torch.rand(1, 6, 2))
    for number, part in enumerate(state):
        parts = [share.carried(state)[number] for share in SHARES]
        assert torch.equal(torch.cat(parts, 1), part)
        assert all(one.is_contiguous() for one in parts)


def test_masks_are_those_that_one_process_draws_for_the_same_streams() -> None:
    model = LanguageModel(LSTMConfig(units=5, tied=True, keep_hidden=0.5), 7)

    def masks(share: Share) -> list[torch.Tensor | None]:
        return share.masks(model, torch.Generator().manual_seed(3)) or []

    whole, parts = masks(Share(SINGLE, 6)), [masks(share) for share in SHARES]
    assert [mask is None for mask in whole] == [True, False, False]
    for number in (1, 2):
        mask = whole[number]
        assert mask is not None
        assert 0 < float((mask == 0).float().mean()) < 1
        assert torch.equal(torch.cat([own for part in parts if (own := part[number]) is not None]), mask)


def test_a_model_that_drops_nothing_has_no_masks() -> None:
    model = LanguageModel(LSTMConfig(units=5, tied=True), 7)
    assert SHARES[1].masks(model, torch.Generator()) is None


@pytest.mark.parametrize(("streams", "count", "allowed"), [(20, 3, "1, 2, 4, 5, 10, 20"), (4, 8, "1, 2, 4")])
def test_streams_that_do_not_divide_are_refused(streams: int, count: int, allowed: str) -> None:
    with pytest.raises(ConfigError) as raised:
        Share(Ranks(None, 1, count), streams)
    assert str(raised.value) == (
        f"training.streams is {streams}, which does not divide over {count} processes: each must train as many. "
        f"Start {allowed} of them, or train with another number of streams."
    )


def test_the_gradients_of_one_process_stay_as_they_are() -> None:
    parameter = torch.nn.Parameter(torch.ones(3))
    parameter.grad = torch.arange(3.0)
    sum_gradients([parameter, torch.nn.Parameter(torch.ones(2))], SINGLE)
    assert parameter.grad.tolist() == [0, 1, 2]
