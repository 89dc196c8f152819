"""The theory experiment as it is published, its sizes apart: small enough to be run in a moment."""

from __future__ import annotations

from dataclasses import replace

from tiedlm.paper.theory_schedule import APART, TOGETHER
from tiedlm.paper.theory_setting import TheoryConfig

AS_PUBLISHED = TheoryConfig(
    temperature=10.0,
    beta=1.0,
    text_words=300,
    units=6,
    apart=replace(APART, epochs=2),
    together=replace(TOGETHER, epochs=2),
    streams=5,
    init_range=0.5,
)
