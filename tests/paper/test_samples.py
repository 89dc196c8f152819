from __future__ import annotations

import pytest

from tiedlm.errors import ArgumentError
from tiedlm.paper.samples import Sample


def test_mean_and_sample_standard_deviation() -> None:
    sample = Sample({0: 2.0, 1: 4.0, 5: 9.0})
    assert (sample.n, sample.mean) == (3, 5.0)
    assert sample.sd == pytest.approx(13**0.5, rel=1e-15)  # (9 + 1 + 16) / 2
    assert sample.told() == "5.00 ± 3.61"


def test_one_run_has_no_spread() -> None:
    assert Sample({7: 87.333}).sd is None
    assert Sample({7: 87.333}).told() == "87.33"


def test_no_run_is_no_sample() -> None:
    with pytest.raises(ArgumentError, match="one run or more"):
        Sample({})
