"""Sums of gradients over chunks: what is kept, in which type and unit, and what centring adds."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

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


def test_a_sum_to_which_nothing_was_added_is_zero() -> None:
    assert TableSum(torch.ones(2, 3), torch.float32).whole().tolist() == [[0.0] * 3] * 2
