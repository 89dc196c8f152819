from __future__ import annotations

import numpy as np
import pytest

from tiedlm.errors import CorpusError
from tiedlm.paper.theory_stretch import choose_stretch


def test_a_stretch_is_contiguous_and_has_its_own_ids():
    text = np.arange(1000) % 97 + 10
    found = choose_stretch(text, 50, 0, run=1)
    distinct = np.unique([0, *found_words(text, found)])
    assert found.words == len(distinct)
    assert found.end_id == 0  # `<eos>` is among them even where the stretch lacks it
    assert distinct[found.ids].tolist() in [text[first : first + 50].tolist() for first in range(951)]


def found_words(text, found):
    """The words of the stretch, by their order: ids are given in the order of the text's ids."""
    start = next(s for s in range(951) if np.array_equal(np.argsort(text[s : s + 50]), np.argsort(found.ids)))
    return text[start : start + 50]


def test_every_run_has_a_stretch_of_its_own_and_always_the_same():
    text = np.random.default_rng(1).integers(0, 9, 5000)
    stretches = [choose_stretch(text, 40, 0, run).ids.tolist() for run in (0, 1, 2, 0)]
    assert stretches[0] == stretches[3]
    assert stretches[0] != stretches[1] != stretches[2]


def test_a_text_may_be_the_whole_stretch_but_not_shorter():
    assert choose_stretch(np.array([1, 2]), 2, 1, 0).ids.tolist() == [0, 1]
    with pytest.raises(CorpusError, match=r"has 2 words, but a stretch of 3"):
        choose_stretch(np.array([1, 2]), 3, 1, 0)
