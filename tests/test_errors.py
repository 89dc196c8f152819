"""The family of errors."""

from __future__ import annotations

import pytest

from tiedlm import errors
from tiedlm.errors import TiedlmError, suggestion


def test_suggests_the_nearest_word_and_only_a_near_one() -> None:
    assert suggestion("scor", ["score", "train"]) == " Did you mean 'score'?"
    assert suggestion("zzz", ["score", "train"]) == ""
    assert suggestion("score", []) == ""


@pytest.mark.parametrize(
    ("name", "builtin"),
    [
        ("ArgumentError", ValueError),
        ("ConfigError", ValueError),
        ("CorpusError", ValueError),
        ("RunError", Exception),
        ("TrainingError", ArithmeticError),
        ("RanksError", RuntimeError),
    ],
)
def test_each_is_of_the_family_and_the_exception_a_caller_would_expect(name: str, builtin: type[Exception]) -> None:
    kind = getattr(errors, name)
    assert issubclass(kind, TiedlmError)
    assert issubclass(kind, builtin)
