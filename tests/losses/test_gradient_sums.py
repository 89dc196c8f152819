"""Sums of gradients over chunks: what is kept, in which type and unit, and what centring adds."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tiedlm.losses import gradient_sums
from tiedlm.losses.gradient_sums import GradientSums, TableSum
from tiedlm.losses.problem import Problem

TIED = Problem(
    features=torch.zeros(3, 2),
    classifier=torch.zeros(4, 2),
    table=None,
    bias=None,
    rows=torch.arange(3),
    words=torch.arange(3),
    temperature=20.0,
    gamma=0.5,
    detach_target=False,
    chunk_rows=10,
    products=torch.float32,
)
UNTIED = replace(TIED, table=torch.zeros(4, 5), bias=torch.zeros(4))


def test_only_what_is_wanted_and_there_is_kept() -> None:
    found = GradientSums(UNTIED, (True, False, True, False)).gradients(UNTIED, None)
    assert [None if one is None else tuple(one.shape) for one in found] == [(3, 2), None, (4, 5), None]
    found = GradientSums(TIED, (True, True, True, True)).gradients(TIED, None)
    assert [None if one is None else tuple(one.shape) for one in found] == [(3, 2), (4, 2), None, None]


def test_a_tied_table_s_gradient_is_the_classifier_s() -> None:
    sums = GradientSums(TIED, (False, True, False, False))
    assert sums.table is sums.classifier


def test_the_unit_multiplies_each_sum_once() -> None:
    sums = GradientSums(TIED, (True, True, False, False))
    assert sums.features is not None
    assert sums.classifier is not None
    sums.features += 1
    sums.classifier.whole().add_(1)
    features, classifier, _, _ = sums.gradients(TIED, torch.tensor(3.0))
    assert features is not None
    assert classifier is not None
    assert float(features[0, 0]) == float(classifier[0, 0]) == 3.0


def test_each_word_has_its_part_in_the_mean() -> None:
    centred = replace(TIED, center_table=True)
    sums = GradientSums(centred, (False, True, False, False))
    sums.mean = torch.tensor([4.0, -8.0])
    classifier = sums.gradients(centred, None)[1]
    assert classifier is not None
    assert classifier.tolist() == [[1.0, -2.0]] * 4


@pytest.mark.parametrize("products", [torch.float32, torch.bfloat16])
def test_outer_products_and_rows_are_added_in_the_sum_s_type(products: torch.dtype) -> None:
    total = TableSum(torch.zeros(2, 3), torch.float32)
    left, right = torch.ones(4, 2, dtype=products), torch.ones(4, 3, dtype=products)
    for sums in (4.0, 8.0):
        total.add_outer(left, right)
        assert total.whole().dtype == torch.float32
        assert torch.equal(total.whole(), torch.full((2, 3), sums))
    total.add_rows(torch.tensor([1, 1]), torch.ones(2, 3))
    assert total.whole().tolist() == [[8.0] * 3, [10.0] * 3]


@pytest.mark.parametrize("products", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("most_bytes", [0, 2**20])
@pytest.mark.parametrize("rows", [3, 12])
def test_a_sum_is_exact_whichever_product_it_comes_from(
    products: torch.dtype, most_bytes: int, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Small whole numbers and their sums are exact in bfloat16, so each way must give the same."""
    monkeypatch.setattr(gradient_sums, "MOST_TURNED_BYTES", most_bytes)
    draw = torch.Generator().manual_seed(0)
    left, right = (torch.randint(-3, 4, (rows, width), generator=draw).double() for width in (7, 5))
    total = TableSum(torch.zeros(7, 5), torch.float32)
    for times in (1, 2):
        total.add_outer(left.to(products), right.to(products))
        assert torch.equal(total.whole().double(), times * left.T @ right)


def test_a_cpu_turns_the_smaller_factor_of_a_bfloat16_product(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes: list[tuple[int, ...]] = []
    product = torch.mm

    def recorded(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        shapes.append((*first.shape, *second.shape))
        return product(first, second)

    monkeypatch.setattr(torch, "mm", recorded)
    for rows, products in ((12, torch.bfloat16), (8, torch.bfloat16), (12, torch.float32)):
        total = TableSum(torch.zeros(7, 8), torch.float32)
        total.add_outer(torch.ones(rows, 7, dtype=products), torch.ones(rows, 8, dtype=products))
        assert total.whole().is_contiguous()
    assert shapes == [(8, 12, 12, 7), (7, 8, 8, 8), (7, 12, 12, 8)]


def test_a_sum_to_which_nothing_was_added_is_zero() -> None:
    assert TableSum(torch.ones(2, 3), torch.float32).whole().tolist() == [[0.0] * 3] * 2
