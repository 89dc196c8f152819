from __future__ import annotations

import pytest
import torch

from tiedlm.errors import ArgumentError
from tiedlm.evaluation import neighbours
from tiedlm.evaluation.neighbours import nearest_words


def test_words_on_a_circle():
    """Angles 0, 10, 30, 180 degrees at any length: nearness is a matter of direction."""
    angles = torch.deg2rad(torch.tensor([0.0, 10.0, 30.0, 180.0]))
    lengths = torch.tensor([1.0, 9.0, 0.1, 5.0])
    vectors = torch.stack([angles.cos(), angles.sin()], dim=1) * lengths[:, None]
    assert nearest_words(vectors, 2).tolist() == [[1, 2], [0, 2], [1, 0], [2, 1]]


def test_rows_are_the_same_however_many_at_once(monkeypatch):
    vectors = torch.randn(50, 6, generator=torch.Generator().manual_seed(2))
    whole = nearest_words(vectors, 5)
    monkeypatch.setattr(neighbours, "ROWS_AT_ONCE", 7)
    assert torch.equal(nearest_words(vectors, 5), whole)
    cosines = torch.nn.functional.cosine_similarity(vectors[:, None], vectors[None], dim=2).fill_diagonal_(-2)
    assert torch.equal(cosines.sort(descending=True).indices[:, :5], whole)


def test_a_word_without_direction_is_near_to_none_before_others():
    vectors = torch.tensor([[1.0, 0.0], [0.0, 0.0], [1.0, 0.1]])
    assert nearest_words(vectors, 1).tolist()[0] == [2]


@pytest.mark.parametrize("count", [0, 3])
def test_a_count_out_of_range_is_refused(count):
    with pytest.raises(ArgumentError, match=f"{count} neighbours were asked for, but a word has from 1 to 2"):
        nearest_words(torch.eye(3), count)
