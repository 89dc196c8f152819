"""The sweep on a rank: how often the ranks meet, and that nothing is worked out in vain."""

from __future__ import annotations

from collections.abc import Iterator
from unittest import mock

import pytest
import torch
import torch.distributed as dist

from support import ranks
from support.dispatch import Recorder
from support.loss_cases import make, tensors
from tiedlm.losses.gradient_sums import Gradients
from tiedlm.losses.problem import Problem
from tiedlm.losses.shard_sweep import sweep
from tiedlm.losses.shards import Shard
from tiedlm.native.ranks import Ranks

ROWS, WORDS, WIDTH, DISTINCT = 12, 50, 8, 3
ALL, NOTHING = (True,) * 4, (False,) * 4


@pytest.fixture(scope="module", autouse=True)
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with ranks.alone(tmp_path_factory.mktemp("alone")):
        yield


def swept(wanted: tuple[bool, ...], *, chunk_rows: int = 512, gamma: float = 0.5, detach: bool = False) -> Gradients:
    ours = tensors(make(1, rows=ROWS, words=WORDS, width=WIDTH, biased=True, targets=[4, 9, 30] * 4))
    rows = ours.targets.argsort(stable=True)
    features, classifier, bias = (one.detach() for one in (ours.features, ours.classifier, ours.leaves["bias"]))
    options = (2.0, gamma, detach, chunk_rows, torch.float64)
    problem = Problem(features, classifier, None, bias, rows, ours.targets[rows], *options)
    weights = torch.ones(ROWS, dtype=torch.float64) if any(wanted) else None
    return sweep(problem, weights, wanted, Shard.of(Ranks.from_group(None), WORDS))[2]


@pytest.mark.parametrize(
    ("wanted", "gamma", "detach", "reductions"),
    [
        (ALL, 0.5, False, 1 + 2 * 3 + 1),  # word vectors, two a chunk, gradients
        (ALL, 0.0, False, 2 * 2 + 1),  # without soft targets a chunk takes twice the rows
        (NOTHING, 0.5, False, 1 + 2 * 3),
        ((False, True, False, True), 0.5, True, 1 + 2 * 3),  # the gradients of tables stay where they are
        ((False, True, False, True), 0.5, False, 1 + 2 * 3 + 1),
    ],
)
def test_ranks_meet_no_more_often_than_they_must(
    wanted: tuple[bool, ...], gamma: float, detach: bool, reductions: int
) -> None:
    with mock.patch.object(dist, "all_reduce", side_effect=dist.all_reduce) as counted:
        swept(wanted, chunk_rows=8, gamma=gamma, detach=detach)
    assert counted.call_count == reductions


@pytest.mark.parametrize(
    ("wanted", "detach", "products"),
    [
        (ALL, False, 3 * (ROWS + DISTINCT)),
        (ALL, True, 3 * ROWS + DISTINCT),
        (NOTHING, False, ROWS + DISTINCT),
        ((True, False, False, False), False, 2 * ROWS + DISTINCT),
    ],
)
def test_rows_of_one_target_share_a_soft_target_and_only_what_is_wanted_is_made(
    wanted: tuple[bool, ...], detach: bool, products: int
) -> None:
    with Recorder() as recorder:
        gradients = swept(wanted, detach=detach)
    assert sum(call.multiplications for call in recorder.calls) == products * WORDS * WIDTH
    present = tuple(gradient is not None for gradient in gradients)
    assert present == (wanted[0], wanted[1], False, wanted[3])
