"""The vocabulary-parallel loss: on one rank, two or three it is the definition's, and what cannot be is refused."""

import re
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from oracles import augmented_loss
from oracles.augmented_loss import Problem
from support import processes
from support.compare import assert_close, error
from support.losses import gradient_bits, make, tensors, value_bits
from tiedlm.errors import ArgumentError
from tiedlm.losses.augmented import linear_augmented_cross_entropy
from tiedlm.losses.vocabulary_parallel import (
    shard_of,
    vocabulary_parallel_augmented_cross_entropy,
)

CASES = processes.cases()
definition = partial(linear_augmented_cross_entropy, implementation="functional")
Written = list[dict[str, np.ndarray]]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """What each of three ranks has written down."""
    folder = tmp_path_factory.mktemp("ranks")
    processes.run(processes.work, 3, folder)
    found = []
    for rank in range(3):
        with np.load(folder / f"{rank}.npz", allow_pickle=False) as results:
            found.append(dict(results))
    return found


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with processes.alone(tmp_path_factory.mktemp("alone")):
        yield


def parts(written: Written, key: str, world: str) -> list[np.ndarray]:
    return [written[rank][f"{world}/{key}"] for rank in processes.RANKS[world]]


@pytest.mark.parametrize("reduction", processes.REDUCTIONS)
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("world", processes.RANKS)
def test_ranks_agree_with_the_oracle(written: Written, world: str, name: str, reduction: str) -> None:
    problem, options = CASES[name]
    none = reduction == "none"
    weights = processes.arriving(problem) if none else augmented_loss.token_weights(problem, reduction)
    losses, own = augmented_loss.values(problem), 1.0 if problem.weights is None else problem.weights
    differentiated = weights * own if none else weights
    truth = augmented_loss.gradients(problem, differentiated, detach_target=options.get("detach_target", False))
    rounding = value_bits(problem) * max(1.0, float(np.abs(weights).sum()))
    for loss in parts(written, f"{name}/{reduction}/loss", world):
        assert_close(loss, own * losses if none else weights @ losses, 1e-12, "loss", rounding=rounding)
    bits = gradient_bits(problem, weights)
    for gradient in parts(written, f"{name}/{reduction}/features", world):
        assert_close(gradient, truth.features, 1e-12, "gradient of features", rounding=bits)
    for table in tensors(problem).leaves.keys() - {"features"}:
        gradient = np.concatenate(parts(written, f"{name}/{reduction}/{table}", world))
        assert_close(gradient, getattr(truth, table), 1e-12, f"gradient of {table}", rounding=bits)


@pytest.mark.parametrize("world", processes.RANKS)
def test_loss_and_gradient_of_the_features_are_the_same_bits_on_all_ranks(written: Written, world: str) -> None:
    for name in CASES:
        for key in ("loss", "features"):
            first, *others = parts(written, f"{name}/mean/{key}", world)
            assert all(np.array_equal(first, other) for other in others)


def test_every_reduction_is_needed(written: Written) -> None:
    """Where any is left out, be it that of the largest logits, results are far off; the first compares the calls."""
    count = int(written[0]["reductions"])
    assert count == 5  # the calls, the targets' vectors, the largest logits, the sums, the gradients
    right = functional_results(processes.THROUGH)
    for left_out in range(count):
        errors = [max(_errors(rank, f"left out/{left_out}", right)) for rank in written]
        assert (min(errors) > 1e-3) if left_out else (max(errors) < 1e-12), (left_out, errors)


def functional_results(problem: Problem) -> dict[str, Tensor]:
    ours = tensors(problem)
    loss = ours.loss(definition)
    return {"loss": loss, **ours.gradients(loss)}


def _errors(results: dict[str, np.ndarray], place: str, right: dict[str, Tensor]) -> list[float]:
    """How far off one rank's loss and gradient of the features are."""
    return [error(results[f"{place}/{key}"], right[key]) for key in ("loss", "features")]


def test_a_rank_makes_no_array_larger_than_a_chunk_of_its_own_words(written: Written) -> None:
    for rank, results in enumerate(written):
        columns = -(-len(shard_of(211, rank, 3)) // 8) * 8  # rows of float64 begin at cache lines
        assert int(results["largest"]) == 40 * columns


@pytest.mark.parametrize(
    ("name", "last", "others"),
    [
        ("another's rows", "ArgumentError: classifier holds 4 rows.* rank 2 of 3 must hold 3: .* words 8 ... 10", ""),
        ("another temperature", "ArgumentError: Rank 2 of 3 was not asked .*temperature=3.0.*", "temperature=2.0"),
        ("other targets", "ArgumentError: Rank 2 of 3 was not asked for the same.*targets_checksum", "not asked"),
        ("other weights", "ArgumentError: Rank 2 of 3 was not asked for the same.*weights_checksum", "not asked"),
        ("a forbidden target", "ArgumentError: vocabulary_mask forbids the word 10, which is a target", ""),
        ("another reduction", "ArgumentError: Rank 2 of 3 was not asked .*reduction='sum'", "reduction='mean'"),
        ("fewer gradients", r"ArgumentError: Rank 2 .*needs_grad=\(False, True", r"needs_grad=\(True, True"),
        ("no number of words", "TypeError", ""),
    ],
)
def test_what_one_rank_refuses_all_refuse(written: Written, name: str, last: str, others: str) -> None:
    others = others or "stops, as another rank refuses its arguments"
    for rank, results in enumerate(written):
        expected = last if rank == 2 else f"ArgumentError: Rank {rank} of 3 .*{others}"
        assert re.match(expected, str(results[f"refused/{name}"])), results[f"refused/{name}"]


def test_a_process_outside_the_group_is_refused(written: Written) -> None:
    assert "not in the group" in str(written[0]["outside"])


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"words": 8}, "classifier holds 7 rows, but of 8 words in all, rank 0 of 1 must hold 8: .*words 0 ... 7"),
        ({"words": 0}, "words is 0, but each of 1 ranks must hold one or more"),
        ({"token_weights": torch.full((6,), -1.0)}, "token_weights hold -1.0"),
        ({"gamma": -1.0}, "gamma is -1.0"),
        ({"targets": torch.full((6,), 7)}, "targets hold 7, but must lie in 0 ... 6"),
    ],
)
def test_arguments_that_are_refused(wrong: dict[str, Any], message: str) -> None:
    ours = tensors(make())
    given = {"features": ours.features, "classifier": ours.classifier, "targets": ours.targets, "words": 7}
    with pytest.raises(ArgumentError, match=message):
        vocabulary_parallel_augmented_cross_entropy(**given | wrong)


@given(st.integers(1, 9), st.integers(0, 40))
def test_every_word_is_held_once_and_evenly(count: int, more: int) -> None:
    words = count + more
    shards = [shard_of(words, rank, count) for rank in range(count)]
    assert [word for held in shards for word in held] == list(range(words))
    sizes = [len(held) for held in shards]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] - sizes[-1] <= 1


@pytest.mark.parametrize(
    ("words", "rank", "count", "message"),
    [
        (2, 0, 3, "words is 2, but each of 3 ranks must hold one or more: use fewer ranks"),
        (5, 2, 2, "rank is 2 of 2 ranks"),
        (5, -1, 2, "rank is -1 of 2 ranks"),
        (5, 0, 0, "rank is 0 of 0 ranks, but there must be one or more"),
    ],
)
def test_shards_that_cannot_be_are_refused(words: int, rank: int, count: int, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        shard_of(words, rank, count)
