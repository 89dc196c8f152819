"""Processes of a group, where there is only one; `losses` and `training` have tests with several."""

from collections.abc import Iterator
from unittest import mock

import pytest
import torch
import torch.distributed as dist

from support import processes
from tiedlm.errors import ArgumentError, RanksError
from tiedlm.native.ranks import SINGLE, Ranks


@pytest.fixture(params=["a group of one", "no group"])
def group(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ranks]:
    if request.param == "no group":
        yield SINGLE
        return
    with processes.alone(tmp_path_factory.mktemp("alone")):
        yield Ranks.from_group(None)


def failing() -> str:
    raise ArgumentError("too long")


def test_without_processes_the_next_step_is_told() -> None:
    assert not dist.is_initialized()
    with pytest.raises(ArgumentError, match=r"call torch.distributed.init_process_group first, or work in one process"):
        Ranks.from_group(None)


def test_parts_are_joined(group: Ranks) -> None:
    part = torch.arange(6.0).view(2, 3).T
    assert torch.equal(group.all_gather(part, dim=1), part)


def test_the_first_rank_acts_for_all_and_an_error_is_everyones(group: Ranks) -> None:
    done: list[int] = []
    group.on_rank0(lambda: done.append(1))
    assert (done, group.broadcast_scalar(lambda: 0.1 + 0.2)) == ([1], 0.1 + 0.2)
    for act in (group.check_same, group.on_rank0, group.broadcast_scalar):
        with pytest.raises(ArgumentError, match="too long"):
            act(failing)  # pyright: ignore[reportArgumentType] - it returns nothing at all


@pytest.mark.parametrize("collective", ["all_reduce", "all_gather"])
def test_a_rank_that_is_lost_is_told(tmp_path_factory: pytest.TempPathFactory, collective: str) -> None:
    lost = mock.patch.object(dist, collective, side_effect=RuntimeError("Connection closed by peer\nat a.cc:3"))
    message = r"^Rank 0 of 1 has lost another rank \(Connection closed by peer\)\.$"
    with processes.alone(tmp_path_factory.mktemp("alone")):
        group = Ranks.from_group(None)
        with lost, pytest.raises(RanksError, match=message):
            _ = group.any(True) if collective == "all_reduce" else group.all_gather(torch.ones(1), 0)
