from __future__ import annotations

import pytest
import torch

from tiedlm.errors import ArgumentError
from tiedlm.evaluation.geometry import table_geometry
from tiedlm.nn.config import LSTMConfig
from tiedlm.nn.model import LanguageModel
from tiedlm.theory.collapse import spread
from tiedlm.theory.distance import subspace_distance


def model(words=40, **options):
    made = LanguageModel(LSTMConfig(units=6, layers=1, **options), words)
    made.reset_parameters(torch.Generator().manual_seed(1))
    return made


def test_untied_tables_are_set_against_each_other():
    untied = model()
    found = table_geometry(untied)
    assert found.subspaces is not None
    assert found.subspaces.distance == subspace_distance(untied.table, untied.classifier)
    assert found.subspaces.chance == pytest.approx((1 - 6 / 40) ** 0.5)
    cosines = found.subspaces.cosine_deciles
    assert len(cosines) == 11
    assert list(cosines) == sorted(cosines, reverse=True)
    assert found.classifier == spread(untied.classifier)


def test_a_classifier_that_is_the_vectors_in_another_basis_is_at_no_distance():
    untied = model()
    untied.classifier.data = untied.table.data @ torch.randn(6, 6, generator=torch.Generator().manual_seed(2))
    found = table_geometry(untied).subspaces
    assert found is not None
    assert found.distance < 1e-5
    assert min(found.cosine_deciles) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize(("options", "words"), [({"tied": True}, 40), ({"embedding_width": 3}, 40), ({}, 6)])
def test_tables_that_cannot_be_compared_have_no_distance(options, words):
    found = table_geometry(model(words, **options))
    assert found.subspaces is None
    assert found.to_json()["subspaces"] is None
    assert (found.classifier is None) == options.get("tied", False)


def test_a_damaged_table_is_refused():
    untied = model()
    untied.classifier.data[3, 2] = torch.nan
    with pytest.raises(ArgumentError, match="second table has entries that are not finite"):
        table_geometry(untied)
