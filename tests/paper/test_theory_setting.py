from __future__ import annotations

from dataclasses import replace

import pytest

from tiedlm.config import from_json, to_json
from tiedlm.errors import ArgumentError
from tiedlm.paper.theory_setting import TheoryConfig

POINT = TheoryConfig(temperature=10.0, beta=0.4)


def test_the_papers_figures_are_the_defaults():
    assert (POINT.text_words, POINT.units, POINT.layers) == (20_000, 300, 2)


def test_a_setting_survives_as_json():
    assert from_json(TheoryConfig, to_json(POINT)) == POINT


@pytest.mark.parametrize(
    ("change", "told"), [({"beta": 1.5}, "beta is 1.5"), ({"temperature": 0.0}, "temperature is 0")]
)
def test_weights_out_of_range_are_refused(change, told):
    with pytest.raises(ArgumentError, match=told):
        replace(POINT, **change)
