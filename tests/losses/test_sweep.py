"""The sweep itself: how much work it does, in which pieces, and that it gives only what it is asked for."""

from __future__ import annotations

import pytest
import torch

from oracles import augmented_loss
from support.compare import assert_close
from support.dispatch import Recorder
from support.loss_cases import make
from tiedlm.losses.problem import Problem
from tiedlm.losses.sweep import sweep

ROWS, WORDS, WIDTH, TARGETS = 12, 50, 8, [4, 9, 4, 4, 30, 9, 4, 4, 9, 30, 4, 4]
DISTINCT = 3


def problem(chunk_rows: int = 100, gamma: float = 0.5, *, detach_target: bool = False, tied: bool = True) -> Problem:
    source = make(1, rows=ROWS, words=WORDS, width=WIDTH, table_width=WIDTH, tied=tied, targets=TARGETS)
    targets = torch.tensor(source.targets)
    rows = targets.argsort(stable=True)
    return Problem(
        features=torch.tensor(source.features),
        classifier=torch.tensor(source.classifier),
        table=None if source.table is None else torch.tensor(source.table),
        bias=None,
        rows=rows,
        words=targets[rows],
        temperature=20.0,
        gamma=gamma,
        detach_target=detach_target,
        chunk_rows=chunk_rows,
        products=torch.float64,
    )


def products(one: Problem, wanted: tuple[bool, ...] = (True, True, True, False)) -> float:
    """Multiplications of all matrix products, in units of V x D: rows that were multiplied with a table."""
    weights = torch.ones(ROWS, dtype=torch.float64) if any(wanted) else None
    with Recorder() as recorder:
        sweep(one, weights, wanted)
    return sum(call.multiplications for call in recorder.calls) / (WORDS * WIDTH)


@pytest.mark.parametrize("tied", [True, False])
def test_the_work_is_that_of_the_arithmetic_and_no_more(tied: bool) -> None:
    """6 N V d for cross-entropy, 2 U V d more with y~ constant, 6 (N + U) V d through it."""
    assert products(problem(gamma=0.0, tied=tied)) == 3 * ROWS
    assert products(problem(detach_target=True, tied=tied)) == 3 * ROWS + DISTINCT
    assert products(problem(tied=tied)) == 3 * (ROWS + DISTINCT)


def test_values_alone_cost_the_forward_products() -> None:
    nothing = (False,) * 4
    assert products(problem(), nothing) == ROWS + DISTINCT
    assert products(problem(gamma=0.0), nothing) == ROWS


def test_a_chunk_works_out_only_its_own_targets() -> None:
    """Sorted by target, four chunks of three rows hold 4 4 4 | 4 4 4 | 4 9 9 | 9 30 30, with as many for targets."""
    assert products(problem(chunk_rows=6)) == 3 * (ROWS + 1 + 1 + 2 + 2)


@pytest.mark.parametrize("chunk_rows", [1, 5, 100])
def test_losses_come_in_the_order_of_the_rows_it_was_given(chunk_rows: int) -> None:
    source = make(1, rows=ROWS, words=WORDS, width=WIDTH, table_width=WIDTH, targets=TARGETS)
    one = problem(chunk_rows)
    cross_entropy, divergence, gradients = sweep(one, None, (False,) * 4)
    assert gradients == (None,) * 4
    truth = augmented_loss.values(source)[one.rows.numpy()]
    assert_close(cross_entropy + 0.5 * 20.0 * divergence, truth, 1e-12)


@pytest.mark.parametrize("tied", [True, False])
def test_it_gives_the_gradients_that_are_wanted_and_no_other(tied: bool) -> None:
    one = problem(5, tied=tied)
    weights = torch.linspace(0.5, 1.5, ROWS, dtype=torch.float64)
    everything = sweep(one, weights, (True, True, True, False))[2]
    for place in range(3):
        found = sweep(one, weights, tuple(index == place for index in range(4)))[2]
        for index, gradient in enumerate(found):
            right = everything[index]
            if index != place or right is None:
                assert gradient is None
            else:
                assert_close(gradient, right, 1e-14)


def test_it_changes_nothing_it_is_given() -> None:
    one, untouched = problem(5), problem(5)
    sweep(one, torch.ones(ROWS, dtype=torch.float64), (True, True, True, False))
    for name in ("features", "classifier", "rows", "words"):
        assert torch.equal(getattr(one, name), getattr(untouched, name))
