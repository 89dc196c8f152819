from __future__ import annotations

from tiedlm.evaluation.measures import FREQUENT_WORDS, TARGET, everywhere


def test_every_measure_has_a_name_of_its_own():
    names = [*FREQUENT_WORDS, *map(everywhere, FREQUENT_WORDS), TARGET]
    assert len(set(names)) == 9
    assert all(" " in everywhere(word) for word in FREQUENT_WORDS)  # as no word of a text has
