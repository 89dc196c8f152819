"""Every form of the loss: the truth's values and gradients; and of the fast ones a chunk's memory and work."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from oracles.augmented_loss import Problem
from support import losses, processes
from support.compare import Recorder, assert_close, operator_recorded
from support.gpu import needs_a_compiler
from support.losses import Loss, make, problems, tensors
from tiedlm.losses import chunked
from tiedlm.losses.augmented import Implementation, LossKeywords, linear_augmented_cross_entropy, linear_augmented_terms
from tiedlm.losses.functional import LossTerms
from tiedlm.losses.vocabulary_parallel import vocabulary_parallel_augmented_terms
from tiedlm.native.build import compiler_unavailable

FAST: tuple[Implementation, ...] = ("chunked",) if compiler_unavailable() else ("chunked", "compiled")
EACH = pytest.mark.parametrize("name", ["auto", "functional", *FAST])
"""The implementations that run on a CPU; Triton's kernels have tests of their own."""
EACH_FORM = pytest.mark.parametrize(
    "name", ["functional", "chunked", pytest.param("compiled", marks=needs_a_compiler), "vocabulary-parallel"]
)
definition = partial(linear_augmented_cross_entropy, implementation="functional")


@pytest.fixture(scope="module", autouse=True)
def group_of_one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with processes.alone(tmp_path_factory.mktemp("alone")):
        yield


def terms_of(name: str, rows: int | None = None) -> Any:
    """The terms by one form, over chunks of that many rows where it has chunks; the last form holds all words here."""
    if name != "vocabulary-parallel":
        chunks: Any = {"implementation": name, "chunk_rows": None if name == "functional" else rows}
        return partial(linear_augmented_terms, **chunks)

    def terms(*arguments: Any, **options: Any) -> LossTerms:
        rows_at_once = {} if rows is None else {"chunk_rows": rows}
        return vocabulary_parallel_augmented_terms(*arguments, words=len(arguments[1]), **rows_at_once, **options)

    return terms


def form(name: str, rows: int | None = None) -> Loss:
    return lambda *arguments, **options: terms_of(name, rows)(*arguments, **options).total


def in_chunks(rows: int | None) -> Loss:
    return form("chunked", rows)


@EACH_FORM
@given(problems(), st.booleans(), st.sampled_from([1, 2, 3, 5, 9, 100, None]))
@settings(max_examples=60)
def test_agrees_with_the_oracle(name: str, problem: Problem, detach_target: bool, rows: int | None) -> None:
    losses.check_oracle(form(name, rows), problem, detach_target=detach_target)


@EACH_FORM
@pytest.mark.parametrize("targets", [[2] * 4, [5, 0, 3, 1], [-100, 4, -100, 4], [-100] * 4])
@pytest.mark.parametrize("tied", [True, False])
def test_gradients_are_the_finite_differences(targets: list[int], tied: bool, name: str) -> None:
    problem = make(1, rows=4, words=6, tied=tied, biased=True, targets=targets, temperature=2.0)
    losses.check_gradcheck(form(name, 3), problem)


@EACH_FORM
@pytest.mark.parametrize("rows", [1, 4, None])
def test_contract(rows: int | None, name: str) -> None:
    losses.check_contract(form(name, rows))
    losses.check_terms(terms_of(name, rows))


@EACH_FORM
@pytest.mark.parametrize("temperature", [2.0, 20.0, 1000.0])
@pytest.mark.parametrize("tied", [True, False])
def test_float32(tied: bool, temperature: float, name: str) -> None:
    problem = make(2, rows=24, words=150, width=16, tied=tied, biased=not tied, size=0.7, temperature=temperature)
    losses.check_float32(form(name, 7), problem)


@EACH_FORM
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("logit", [20.0, 300.0, 1e4])
def test_near_certain_and_extreme_logits(logit: float, dtype: torch.dtype, name: str) -> None:
    losses.check_near_certain_and_extreme(form(name, 2), logit, dtype, 1e-12 if dtype == torch.float64 else 1e-5)


@EACH_FORM
@pytest.mark.parametrize("tied", [True, False])
def test_16_bits(tied: bool, name: str) -> None:
    problem = make(2, rows=40, words=150, width=24, table_width=16, tied=tied, biased=not tied, size=0.5)
    losses.check_bfloat16_autocast(form(name, 9), problem)
    for dtype in (torch.bfloat16, torch.float16):
        if (name, dtype) != ("compiled", torch.float16):  # for which there are no loops
            losses.check_low_precision_tables(form(name, 9), problem, dtype)


@EACH_FORM
@pytest.mark.parametrize("wrong", [torch.nan, torch.inf])
def test_rows_that_do_not_count_may_hold_anything(wrong: float, name: str) -> None:
    results = []
    for content in (0.0, wrong):
        ours = tensors(make(3, biased=True, targets=[2, -100, 5, 2, -100, 3]))
        with torch.no_grad():
            ours.features[[1, 4]] = content
        loss = ours.loss(form(name))
        results.append([loss, *ours.gradients(loss).values()])
    for clean, other in zip(*results, strict=True):
        assert torch.equal(clean, other)


@EACH_FORM
@pytest.mark.parametrize(("dtype", "weight"), [(torch.bfloat16, 0.3), (torch.float16, 100.0)])
def test_weights_of_16_bits_are_summed_in_the_losses_type(dtype: torch.dtype, weight: float, name: str) -> None:
    """700 weights of 100 are more than float16 holds, and a bfloat16 sum of 700 has three digits."""
    ours = tensors(make(4, rows=700))
    equal = torch.full((700,), weight, dtype=dtype)
    assert_close(ours.loss(form(name), token_weights=equal), ours.loss(form(name)), 1e-12)


@pytest.fixture
def nothing_cached(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that memory of an earlier call hides nothing."""
    monkeypatch.setattr(chunked, "_cached", chunked._Cached())


def at_lines(words: int, dtype: torch.dtype) -> int:
    """Numbers from one row of logits to the next, which begins at a cache line of 64 bytes."""
    in_line = 64 // dtype.itemsize
    return -(-words // in_line) * in_line


@pytest.mark.usefixtures("nothing_cached")
@pytest.mark.parametrize("reduction", ["mean", "none"])
@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_never_holds_more_than_a_chunk_of_logits(reduction: str, tied: bool, dtype: torch.dtype) -> None:
    rows, words, width, chunk_rows = 90, 211, 5, 10
    ours = tensors(make(4, rows=rows, words=words, width=width, table_width=5, tied=tied, biased=True), dtype)
    with operator_recorded() as recorder:
        loss = ours.loss(in_chunks(chunk_rows), reduction=reduction)
        ours.gradients(loss, torch.ones_like(loss))
    assert recorder.largest == chunk_rows * at_lines(words, dtype)
    assert recorder.largest > max(words, rows) * width  # so the bound is about logits, not about a gradient
    with Recorder() as whole:
        ours.gradients(ours.loss(definition))
    assert whole.largest >= rows * words  # the recorder does see such an array where there is one


@pytest.mark.usefixtures("nothing_cached")
def test_a_chunk_of_cross_entropy_has_no_place_for_soft_targets_and_autocasts_type() -> None:
    for gamma, dtype in ((0.0, torch.float64), (0.5, torch.bfloat16)):
        low = dtype == torch.bfloat16
        ours = tensors(make(4, rows=90, words=211, width=5, gamma=gamma), torch.float32 if low else dtype)
        with torch.autocast("cpu", torch.bfloat16, enabled=low), operator_recorded() as recorder:
            ours.gradients(ours.loss(in_chunks(10)))
        assert recorder.largest == 10 * at_lines(211, dtype)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_keeps_nothing_over_the_vocabulary_between_forward_and_backward(reduction: str) -> None:
    ours = tensors(make(6, rows=90, words=211, width=5))
    kept: list[int] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.numel()) or t, lambda t: t):
        ours.loss(in_chunks(10), reduction=reduction)
    assert kept
    assert max(kept) <= 211 * 5


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("chunk_rows", [16, None])
def test_without_the_augmented_term_it_is_cross_entropy(
    reduction: str, dtype: torch.dtype, chunk_rows: int | None
) -> None:
    problem = make(7, rows=40, words=300, width=8, size=0.8, gamma=0.0, biased=True)
    ours, stock = tensors(problem, dtype), tensors(problem, dtype)
    loss = ours.loss(in_chunks(chunk_rows), reduction=reduction)
    truth = F.cross_entropy(F.linear(stock.features, stock.classifier, stock.bias), stock.targets, reduction=reduction)
    last_bits = 8 * torch.finfo(dtype).eps
    assert loss.dtype == dtype
    assert_close(loss, truth, last_bits)
    weights = torch.linspace(0.5, 1.5, 40, dtype=dtype) if reduction == "none" else None
    right = stock.gradients(truth, weights)
    for name, gradient in ours.gradients(loss, weights).items():
        assert_close(gradient, right[name], last_bits, name)


def test_without_the_augmented_term_the_table_plays_no_part() -> None:
    problem = make(8, tied=False, gamma=0.0)
    assert problem.table is not None
    problem.table[:] = float("nan")
    ours = tensors(problem)
    loss = ours.loss(in_chunks(2))
    assert torch.isfinite(loss)
    assert (ours.gradients(loss)["table"] == 0).all()


def test_a_near_certain_prediction_loses_nothing_to_large_logits() -> None:
    """A loss of about e^-10 beside logits of about 1,000: as exact as stock cross-entropy in the same type."""
    features = torch.tensor([[1000.0, 990.0, 0.0]])
    ours = in_chunks(None)(features, torch.eye(3), torch.tensor([0]), gamma=0.0)
    truth = F.cross_entropy(features.double(), torch.tensor([0]))
    assert_close(ours, truth, 5e-3)  # one last bit of 1 is 2.6e-3 of e^-10


def test_tables_changed_between_forward_and_backward_are_noticed() -> None:
    ours = tensors(make(9))
    losses = ours.loss(in_chunks(2), reduction="none")
    with torch.no_grad():
        ours.classifier.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        losses.sum().backward()


def test_an_empty_batch_is_a_batch_without_targets() -> None:
    problem = make(rows=0)
    for loss in (in_chunks(3), definition):
        ours = tensors(problem)
        value = ours.loss(loss)
        assert value == 0
        assert (ours.gradients(value)["classifier"] == 0).all()


def test_only_the_gradients_asked_for_are_computed() -> None:
    """With frozen tables, neither the classifier's product nor the table's is made."""
    problem = make(11, rows=20, words=50, width=6, tied=False, table_width=4)
    products = {}
    for frozen in (False, True):
        ours = tensors(problem)
        for leaf in (ours.classifier, ours.leaves["table"]):
            leaf.requires_grad_(not frozen)
        with operator_recorded() as recorder:
            ours.loss(in_chunks(None)).backward()
        products[frozen] = sum("mm" in call.name for call in recorder.calls)
    assert products[True] == products[False] - 3


@EACH
@pytest.mark.parametrize("gamma", [0.0, 0.5])
def test_float64_under_autocast_stays_float64(name: str, gamma: float) -> None:
    problem = make(3, rows=9, words=40, gamma=gamma)
    ours, alone = tensors(problem), tensors(problem)
    with torch.autocast("cpu", torch.bfloat16):
        loss = ours.loss(linear_augmented_cross_entropy, implementation=name)
    truth = alone.loss(definition)
    assert_close(loss, truth, 1e-12)
    right = alone.gradients(truth)
    for leaf, gradient in ours.gradients(loss).items():
        assert_close(gradient, right[leaf], 1e-12, leaf)


@EACH
@pytest.mark.parametrize(("gamma", "detach", "learned"), [(0.0, False, False), (0.5, True, False), (0.5, False, True)])
def test_a_table_has_a_gradient_where_something_goes_back_to_it(
    name: Implementation, gamma: float, detach: bool, learned: bool
) -> None:
    features, classifier, table = (torch.ones(size, requires_grad=True) for size in ((4, 3), (5, 3), (5, 2)))
    options: LossKeywords = {"gamma": gamma, "detach_target": detach, "temperature": 2.0, "implementation": name}
    linear_augmented_cross_entropy(features, classifier, torch.arange(4), table=table, **options).backward()
    assert (table.grad is not None) == learned
    assert classifier.grad is not None


ROWS, WORDS, WIDTH, DISTINCT = 12, 50, 8, [4, 9, 4, 4, 30, 9, 4, 4, 9, 30, 4, 4]


def multiplications(*, tied: bool = True, learn: bool = True, **options: Any) -> float:
    """Of all matrix products, in units of V x D: rows that were multiplied with a table."""
    ours = tensors(make(1, rows=ROWS, words=WORDS, width=WIDTH, table_width=WIDTH, tied=tied, targets=DISTINCT))
    with operator_recorded() as recorder, torch.set_grad_enabled(learn):
        loss = ours.loss(in_chunks(options.pop("chunk_rows", None)), **options)
        if learn:
            ours.gradients(loss)
    return sum(call.multiplications for call in recorder.calls) / (WORDS * WIDTH)


@pytest.mark.parametrize("tied", [True, False])
def test_the_work_is_that_of_the_arithmetic_and_no_more(tied: bool) -> None:
    """6 N V d for cross-entropy, 2 U V d more with y~ constant, 6 (N + U) V d through it."""
    assert multiplications(gamma=0.0, tied=tied) == 3 * ROWS
    assert multiplications(detach_target=True, tied=tied) == 3 * ROWS + 3
    assert multiplications(tied=tied) == 3 * (ROWS + 3)
    assert multiplications(learn=False) == ROWS + 3
    assert multiplications(learn=False, gamma=0.0) == ROWS


def test_a_chunk_computes_only_its_own_targets() -> None:
    """Sorted by target, four chunks of three rows hold 4 4 4 | 4 4 4 | 4 9 9 | 9 30 30, with as many for targets."""
    assert multiplications(chunk_rows=6) == 3 * (ROWS + 1 + 1 + 2 + 2)
