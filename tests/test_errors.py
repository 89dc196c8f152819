"""The family of errors."""

from collections.abc import Callable

import pytest
import torch

from tiedlm import errors
from tiedlm.errors import OutOfMemoryError, RanksError, TiedlmError, printable, translate_oom


@pytest.mark.parametrize(
    ("name", "builtin"),
    [
        ("ArgumentError", ValueError),
        ("ConfigError", ValueError),
        ("CorpusError", ValueError),
        ("RunError", Exception),
        ("TrainingError", ArithmeticError),
        ("RanksError", RuntimeError),
        ("OutOfMemoryError", MemoryError),
    ],
)
def test_each_is_of_the_family_and_the_exception_a_caller_would_expect(name: str, builtin: type[Exception]) -> None:
    kind = getattr(errors, name)
    assert issubclass(kind, TiedlmError)
    assert issubclass(kind, builtin)


def allocate_too_much() -> None:
    torch.empty(10**17, dtype=torch.uint8)


def raising(error: Exception) -> None:
    raise error


@pytest.mark.parametrize(
    "work",
    [
        allocate_too_much,
        lambda: raising(MemoryError()),
        lambda: raising(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")),
        lambda: raising(RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`")),
    ],
)
def test_a_lack_of_memory_is_told_with_what_makes_less_of_it_do(work: Callable[[], None]) -> None:
    with (
        pytest.raises(OutOfMemoryError, match=r"^Memory ran out.* --runtime\.device\)\. Go on\.$") as raised,
        translate_oom("Go on."),
    ):
        work()
    for option in ("--model.units", "--training.streams", "--training.steps", "--device"):
        assert option in str(raised.value)


@pytest.mark.parametrize("error", [RuntimeError("shapes differ"), RanksError("A rank is out of memory.")])
def test_other_errors_and_those_of_this_family_stay_as_they_are(error: Exception) -> None:
    with pytest.raises(type(error)) as raised, translate_oom():
        raise error
    assert raised.value is error


def test_what_acts_on_a_terminal_or_hides_is_escaped_and_letters_stay() -> None:
    hostile = "\x1b]52;c;YQ==\x07 \x9b2J \u202e\u2066\u200b\ufeff\U000e0041 \x85\u2028 \udcff\n"
    assert printable(hostile) == (
        r"\u001b]52;c;YQ==\u0007 \u009b2J \u202e\u2066\u200b\ufeff\U000e0041 \u0085\u2028 \udcff\u000a"
    )
    assert printable("one\ntwo\x1b", keep="\n") == "one\ntwo\\u001b"
    letters = "naïve שלום مرحبا 日本 \U0001f389 \\u202e"
    assert printable(letters) == letters
