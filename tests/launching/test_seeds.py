"""Lists of seeds, and what is said of one that cannot be read."""

from __future__ import annotations

import pytest

from tiedlm.errors import ArgumentError
from tiedlm.launching.seeds import parse_seeds


@pytest.mark.parametrize(
    ("text", "seeds"),
    [
        ("3", [3]),
        ("0-4", [0, 1, 2, 3, 4]),
        ("0,2,5", [0, 2, 5]),
        ("5, 0-2", [5, 0, 1, 2]),
        ("7-7", [7]),
        ("0-999", list(range(1000))),
    ],
)
def test_a_list_is_read_in_its_order(text: str, seeds: list[int]) -> None:
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize(
    ("text", "fault", "nearest"),
    [
        ("", "'' is neither", None),
        ("a", "'a' is neither a seed nor a range", None),
        ("4-0", "the range 4-0 runs down", "0-4"),
        ("0..4", "'0..4' is neither", "0-4"),
        ("0:4", "'0:4' is neither", "0-4"),
        ("0 to 4", "'0to4' is neither", "0-4"),
        ("0–4", "'0–4' is neither", "0-4"),
        ("0-", "'0-' is neither", "0"),
        ("0,,2", "'' is neither", "0,2"),
        ("0;2;5", "'0;2;5' is neither", "0,2,5"),
        ("[0, 2]", "'[0' is neither", "0,2"),
        ("-1", "'-1' is neither", "1"),
        ("1.5", "'1.5' is neither", "1,5"),
        ("1,1,2", "the seed 1 stands there twice", "1,2"),
        ("0-3,2", "the seed 2 stands there twice", None),
        ("0-1000", "more than 1000 seeds", None),
        ("0-999,1000,1001", "more than 1000 seeds", None),
        ("0-999999999999999999", "more than 1000 seeds", None),
        ("9" * 5000, "is neither", None),
        ("٣", "'٣' is neither", None),
    ],
)
def test_a_mistake_is_told_with_the_nearest_list(text: str, fault: str, nearest: str | None) -> None:
    with pytest.raises(ArgumentError) as told:
        parse_seeds(text)
    assert fault in str(told.value)
    assert str(told.value).endswith(" Write seeds and ranges, as in 0-4 or 0,2,5.")
    assert (f"Did you mean {nearest}?" in str(told.value)) if nearest else ("Did you mean" not in str(told.value))
