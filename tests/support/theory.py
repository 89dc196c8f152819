"""Stretches of text and settings of the theory experiment that are small enough to be run in a moment."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tiedlm.paper.figure1 import ALIGN_PHASE, MEMORISE_PHASE, TheoryConfig
from tiedlm.paper.theory import Stretch

AS_PUBLISHED = TheoryConfig(
    temperature=10.0,
    beta=1.0,
    text_words=300,
    units=6,
    apart=replace(MEMORISE_PHASE, epochs=2),
    together=replace(ALIGN_PHASE, epochs=2),
    streams=5,
    init_range=0.5,
)
"""The experiment as it is published, its sizes aside."""


def stretch_of(length: int, words: int) -> Stretch:
    """Random words, the frequent ones more often, `<eos>` now and then."""
    return Stretch((np.random.default_rng(5).random(length) ** 2 * words).astype(np.int64), words, 3)
