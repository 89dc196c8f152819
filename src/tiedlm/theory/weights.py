"""The two numbers of equation 6.1 and what they may be. Imports no torch."""

from __future__ import annotations

from tiedlm.errors import ArgumentError


def check_weights(temperature: float, beta: float) -> None:
    """Refuse a temperature or a share out of range.

    Raises:
        ArgumentError: temperature not above 0, beta outside [0, 1].
    """
    if not temperature > 0:
        raise ArgumentError(f"temperature is {temperature}, but must be above 0.")
    if not 0 <= beta <= 1:
        raise ArgumentError(f"beta is {beta}, but must lie in [0, 1]: 0 is cross-entropy alone, 1 the augmented term.")
