"""The vocabulary-parallel loss: on one rank, two or three it is the definition's, and what cannot be is refused."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from oracles import augmented_loss
from oracles.augmented_loss import Problem
from support import loss_contract, loss_truth, ranks, shard_cases
from support.compare import assert_close, error
from support.loss_cases import make, problems, tensors
from tiedlm.errors import ArgumentError
from tiedlm.losses.augmented import linear_augmented_cross_entropy
from tiedlm.losses.functional import LossTerms
from tiedlm.losses.vocabulary_parallel import (
    shard_of,
    vocabulary_parallel_augmented_cross_entropy,
    vocabulary_parallel_augmented_terms,
)

CASES = shard_cases.cases()
definition = partial(linear_augmented_cross_entropy, implementation="functional")
Written = list[dict[str, np.ndarray]]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """What each of three ranks has written down."""
    folder = tmp_path_factory.mktemp("ranks")
    ranks.run(shard_cases.work, 3, folder)
    found = []
    for rank in range(3):
        with np.load(folder / f"{rank}.npz", allow_pickle=False) as results:
            found.append(dict(results))
    return found


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with ranks.alone(tmp_path_factory.mktemp("alone")):
        yield


def whole(features: Tensor, classifier: Tensor, targets: Tensor, **options: Any) -> Tensor:
    """The loss where this rank holds all words."""
    options = {"words": len(classifier), **options}
    return vocabulary_parallel_augmented_cross_entropy(features, classifier, targets, **options)


def parts(written: Written, key: str, world: str) -> list[np.ndarray]:
    return [written[rank][f"{world}/{key}"] for rank in shard_cases.RANKS[world]]


@pytest.mark.parametrize("reduction", shard_cases.REDUCTIONS)
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("world", shard_cases.RANKS)
def test_ranks_agree_with_the_oracle(written: Written, world: str, name: str, reduction: str) -> None:
    problem, options = CASES[name]
    none = reduction == "none"
    weights = shard_cases.arriving(problem) if none else augmented_loss.token_weights(problem, reduction)
    losses, own = augmented_loss.values(problem), 1.0 if problem.weights is None else problem.weights
    differentiated = weights * own if none else weights
    truth = augmented_loss.gradients(problem, differentiated, detach_target=options.get("detach_target", False))
    rounding = loss_truth.value_bits(problem) * max(1.0, float(np.abs(weights).sum()))
    for loss in parts(written, f"{name}/{reduction}/loss", world):
        assert_close(loss, own * losses if none else weights @ losses, 1e-12, "loss", rounding=rounding)
    bits = loss_truth.gradient_bits(problem, weights)
    for gradient in parts(written, f"{name}/{reduction}/features", world):
        assert_close(gradient, truth.features, 1e-12, "gradient of features", rounding=bits)
    for table in tensors(problem).leaves.keys() - {"features"}:
        gradient = np.concatenate(parts(written, f"{name}/{reduction}/{table}", world))
        assert_close(gradient, getattr(truth, table), 1e-12, f"gradient of {table}", rounding=bits)


@pytest.mark.parametrize("world", shard_cases.RANKS)
def test_loss_and_gradient_of_the_features_are_the_same_bits_on_all_ranks(written: Written, world: str) -> None:
    for name in CASES:
        for key in ("loss", "features"):
            first, *others = parts(written, f"{name}/mean/{key}", world)
            assert all(np.array_equal(first, other) for other in others)


def test_every_reduction_is_needed(written: Written) -> None:
    """Where any is left out, be it that of the largest logits, results are far off; the first compares the calls."""
    count = int(written[0]["reductions"])
    assert count == 5  # the calls, the targets' vectors, the largest logits, the sums, the gradients
    right = functional_results(shard_cases.THROUGH)
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


def test_a_shard_is_not_the_whole() -> None:
    """What a rank would get from its own rows alone: the comparison with the truth could tell."""
    problem = make(9, rows=8, words=11, targets=[0, 1, 2, 3, 0, 1, 2, 3])
    part = shard_cases.shard(problem, 0, 2)
    loss = definition(part.features, part.classifier, part.targets)
    assert error(loss, augmented_loss.reduced(problem, "mean")) > 0.05


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


@given(problem=problems(), detach_target=st.booleans(), chunk_rows=st.sampled_from([1, 3, None]))
@settings(max_examples=30)
@pytest.mark.usefixtures("alone")
def test_one_rank_agrees_with_the_oracle(problem: Problem, detach_target: bool, chunk_rows: int | None) -> None:
    loss_truth.check_oracle(partial(whole, chunk_rows=chunk_rows), problem, detach_target=detach_target)


@pytest.mark.usefixtures("alone")
def test_one_rank_keeps_the_contract() -> None:
    def terms(features: Tensor, classifier: Tensor, targets: Tensor, **options: Any) -> LossTerms:
        return vocabulary_parallel_augmented_terms(features, classifier, targets, words=len(classifier), **options)

    loss_contract.check_contract(partial(whole, chunk_rows=4))
    loss_contract.check_terms(terms)


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("tied", [True, False])
def test_narrow_types(tied: bool) -> None:
    problem = make(2, rows=40, words=60, width=24, table_width=16, tied=tied, biased=not tied, size=0.5)
    loss_truth.check_float32(partial(whole, chunk_rows=9), problem)
    loss_truth.check_low_precision_tables(partial(whole, chunk_rows=9), problem, torch.bfloat16)
    loss_truth.check_low_precision_tables(partial(whole, chunk_rows=9), problem, torch.float16)
    loss_truth.check_bfloat16_autocast(partial(whole, chunk_rows=9), problem)


@pytest.mark.usefixtures("alone")
def test_one_rank_takes_weights_of_16_bits() -> None:
    ours = tensors(make(3), torch.float32)
    weights = torch.tensor([0.5, 2, 0, 1, 3, 0.25], dtype=torch.bfloat16)
    loss = ours.loss(whole, token_weights=weights)
    assert_close(loss, ours.loss(definition, token_weights=weights.float()), 1e-6)


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("logit", [20.0, 300.0, 1e4])
def test_near_certain_and_extreme_logits(logit: float, dtype: torch.dtype) -> None:
    relative = 1e-12 if dtype == torch.float64 else 1e-5
    loss_truth.check_near_certain_and_extreme(partial(whole, chunk_rows=2), logit, dtype, relative)


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"words": 8}, "classifier holds 7 rows, but of 8 words in all, rank 0 of 1 must hold 8: .*words 0 ... 7"),
        ({"words": 0}, "words is 0, but each of 1 ranks must hold one or more"),
        ({"vocabulary_mask": torch.ones(6, dtype=torch.bool)}, r"vocabulary_mask is torch.bool \[6\]"),
        ({"token_weights": torch.full((6,), -1.0)}, "token_weights hold -1.0"),
        ({"temperature": 0.0}, "temperature is 0.0"),
        ({"gamma": -1.0}, "gamma is -1.0"),
        ({"reduction": "average"}, "reduction is 'average'"),
        ({"chunk_rows": 0}, "chunk_rows is 0"),
        ({"table": torch.zeros(6, 3, dtype=torch.float64)}, "table holds 6 words and classifier 7"),
        ({"bias": torch.zeros(6, dtype=torch.float64)}, r"bias has the shape \[6\]"),
        ({"bias": torch.zeros(7)}, "bias is torch.float32"),
        ({"targets": torch.full((6,), 7)}, "targets hold 7, but must lie in 0 ... 6"),
        ({"targets": torch.zeros(6, dtype=torch.int64, device="meta")}, "targets are on meta"),
        ({"features": torch.zeros(6, 4, dtype=torch.float64)}, "their last axes must be equal"),
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
