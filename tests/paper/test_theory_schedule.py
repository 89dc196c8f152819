from __future__ import annotations

from dataclasses import replace

import pytest

from tiedlm.paper.theory_schedule import APART, TOGETHER, rate_share
from tiedlm.paper.theory_setting import TheoryConfig


def test_rates_fall_in_the_second_half():
    assert [rate_share(epoch, 5) for epoch in range(1, 6)] == pytest.approx([1, 1, 1, 4 / 6, 2 / 6])
    assert rate_share(1, 1) == 1


def test_each_phase_begins_with_full_rates_and_ends_with_low_ones():
    config = TheoryConfig(
        temperature=10.0, beta=1.0, apart=replace(APART, epochs=5), together=replace(TOGETHER, epochs=3)
    )
    assert config.epochs == 8
    found = [config.phase(epoch) for epoch in range(1, 9)]
    assert [phase for phase, _ in found] == [config.apart] * 5 + [config.together] * 3
    assert [share for _, share in found] == pytest.approx([1, 1, 1, 4 / 6, 2 / 6, 1, 1, 2 / 4])
