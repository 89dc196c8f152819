from __future__ import annotations

import math

import pytest

from tiedlm.errors import ArgumentError
from tiedlm.theory.weights import check_weights


@pytest.mark.parametrize(("temperature", "beta"), [(1e-3, 0.0), (10.0, 0.5), (1e6, 1.0)])
def test_weights_in_range_pass(temperature, beta):
    check_weights(temperature, beta)


@pytest.mark.parametrize(
    ("temperature", "beta", "told"),
    [
        (0.0, 0.5, "temperature is 0.0"),
        (-1.0, 0.5, "temperature is -1.0"),
        (math.nan, 0.5, "temperature is nan"),
        (1.0, -0.1, "beta is -0.1"),
        (1.0, 1.1, "beta is 1.1"),
        (1.0, math.nan, "beta is nan"),
    ],
)
def test_weights_out_of_range_are_refused(temperature, beta, told):
    with pytest.raises(ArgumentError, match=told):
        check_weights(temperature, beta)
