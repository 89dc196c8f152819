"""Distances between column spaces against projectors and angles; how tables lie."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tiedlm.errors import ArgumentError
from tiedlm.evaluation.analysis import centred, spread, subspace_distance, table_geometry
from tiedlm.nn.config import LSTMConfig
from tiedlm.nn.model import LanguageModel

EYE = torch.eye(6, dtype=torch.float64)


def gaussian(words: int, width: int, seed: int) -> torch.Tensor:
    return torch.randn(words, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def oracle(first: torch.Tensor, second: torch.Tensor) -> float:
    """By the projectors P and P' onto the two spaces: |P - P'|_F^2 = 2 sum of sin^2 (another way, no QR)."""
    projectors = [x @ np.linalg.inv(x.T @ x) @ x.T for x in (first.numpy(), second.numpy())]
    return math.sqrt(((projectors[0] - projectors[1]) ** 2).sum() / (2 * first.shape[1]))


@settings(max_examples=10)
@given(seed=st.integers(0, 10**6), words=st.integers(2, 30), share=st.floats(0, 1))
def test_the_distance_is_that_of_the_projectors(seed, words, share):
    width = 1 + round(share * (words - 1))
    x, y = gaussian(words, width, seed), gaussian(words, width, seed + 1)
    expected = oracle(x, y)
    assert subspace_distance(x, y) == pytest.approx(expected, abs=1e-6)
    assert subspace_distance(y, x) == pytest.approx(subspace_distance(x, y), abs=1e-9)


def test_what_all_words_share_is_a_direction_that_centred_tables_do_not_lose():
    """W = L A but for one vector on every row: softmax of W h is that of L A h, and one direction of D is lost."""
    table, shared, other = gaussian(50, 7, 8), 10 * gaussian(1, 7, 9), gaussian(50, 7, 11)
    logits = (table @ gaussian(7, 7, 10)) @ gaussian(7, 3, 12)
    classifier = table @ gaussian(7, 7, 10)
    far = subspace_distance(table + shared, classifier)
    assert far == pytest.approx(math.sqrt(1 / 7), rel=0.02)
    assert subspace_distance(centred(table + shared), centred(classifier)) < 1e-12
    assert subspace_distance(centred(table), centred(other)) > 0.8
    assert torch.allclose(torch.softmax(centred(classifier) @ gaussian(7, 3, 12), dim=0), torch.softmax(logits, dim=0))


def test_a_small_distance_is_told_from_none():
    x = EYE[:, :2].clone()
    y = x.clone()
    y[5, 0] = 1e-11
    assert subspace_distance(x, y) == pytest.approx(1e-11 / math.sqrt(2), rel=1e-6)


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (EYE[:, :2], torch.zeros(6, 2), "second table spans 0 directions, but has 2"),
        (EYE[:, [1, 1]], EYE[:, :2], "first table spans 1 directions, but has 2"),
        (EYE[:, :1] * math.nan, EYE[:, :1], "not finite"),
    ],
)
def test_tables_without_a_distance_are_refused(first, second, message):
    with pytest.raises(ArgumentError, match=message):
        subspace_distance(first, second)


def test_rows_along_the_axes_use_every_direction():
    rows = spread(torch.cat([torch.eye(5), -torch.eye(5)]) * 3)
    assert rows.mean_norm == pytest.approx(3)
    assert rows.effective_directions == pytest.approx(5)
    cosines = -5 * 2 / (10 * 9)  # each row has one opposite, and is orthogonal to the others
    assert rows.mean_cosine == pytest.approx(cosines)


def model(words=40, **options):
    made = LanguageModel(LSTMConfig(units=6, layers=1, **options), words)
    made.reset_parameters(torch.Generator().manual_seed(1))
    return made


def test_untied_tables_are_set_against_each_other():
    untied = model()
    geometry = table_geometry(untied)
    assert geometry.subspaces is not None
    assert geometry.subspaces.distance == subspace_distance(untied.table, untied.classifier)
    assert geometry.subspaces.chance == pytest.approx((1 - 6 / 40) ** 0.5)
    cosines = geometry.subspaces.cosine_deciles
    assert len(cosines) == 11
    assert list(cosines) == sorted(cosines, reverse=True)
    bases = [np.linalg.qr(x.detach().double().numpy())[0] for x in (untied.table, untied.classifier)]
    angles = np.linalg.svd(bases[0].T @ bases[1], compute_uv=False)
    assert cosines == pytest.approx(np.quantile(angles, np.linspace(1, 0, 11)).tolist())
    assert geometry.classifier == spread(untied.classifier)


@pytest.mark.parametrize(("options", "words"), [({"tied": True}, 40), ({"embedding_width": 3}, 40), ({}, 6)])
def test_tables_that_cannot_be_compared_have_no_distance(options, words):
    geometry = table_geometry(model(words, **options))
    assert geometry.subspaces is None
    assert (geometry.classifier is None) == options.get("tied", False)
