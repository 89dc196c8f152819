"""The errors that a user can cause, and how their messages are written.

Every message says what was asked, what arrived, what is allowed and what to do next. The command line prints a
`TiedlmError` on its own, without a traceback, and ends with status 2; from Python each is also the built-in exception
that a caller would expect (`ValueError` for a wrong argument, for example).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


class TiedlmError(Exception):
    """Anything a user can cause and mend: the base of all errors of this package."""


class ArgumentError(TiedlmError, ValueError):
    """A function was given a value, shape, dtype or device that it does not take."""


class ConfigError(TiedlmError, ValueError):
    """A recipe, field or combination of fields that does not exist or has no effect."""


class CorpusError(TiedlmError, ValueError):
    """Text or encoded data that is missing, damaged or unusable."""


class RunError(TiedlmError):
    """A run folder that is missing, foreign, damaged, too new or in use."""


class TrainingError(TiedlmError, ArithmeticError):
    """A training that cannot go on, for example because the loss is no longer finite."""


class RanksError(TiedlmError, RuntimeError):
    """Processes that work together have lost one of them."""


class OutOfMemoryError(TiedlmError, MemoryError):
    """Less memory than the work needs, on this machine or on its accelerator."""


MEMORY_WORDS = ("allocate memory", "enough memory", "out of memory", "bad_alloc", "alloc_failed")
"""What PyTorch says, in small letters, where memory has run out; most of those errors are plain RuntimeErrors."""


@contextmanager
def translate_oom(more: str = "") -> Iterator[None]:
    """Raise an `OutOfMemoryError` in the place of Python's or PyTorch's own, with `more` to say at its end."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        reason = str(error).strip().partition("\n")[0].rstrip(".")
        out_of_memory = isinstance(error, MemoryError) or any(words in reason.lower() for words in MEMORY_WORDS)
        if isinstance(error, TiedlmError) or not out_of_memory:
            raise
        raise OutOfMemoryError(
            f"Memory ran out{reason and f' ({reason})'}. Make the model smaller (--model.units), train on fewer "
            "streams or in shorter windows (--training.streams, --training.steps), or compute on a device that has "
            f"more memory (--device; of a training --runtime.device). {more}".rstrip()
        ) from error


def refuse_double_backward(by: str, instead: str) -> None:
    """Refuse a backward pass that autograd records (create_graph=True): its parts would count as constants.

    `by` is what refuses, such as "the loss gives", `instead` what to use for it.
    """
    import torch  # here, as the command line's help loads none

    if torch.is_grad_enabled():
        raise ArgumentError(
            f"A gradient of the gradient was asked for (create_graph=True), but {by} first derivatives only: use "
            f"{instead}."
        )


def refuse_transforms(by: str, instead: str, *tensors: Tensor | None) -> None:
    """Refuse a transform of torch.func, and tensors with a tangent: the derivative would be lost as 0."""
    from torch.autograd import forward_ad

    if in_transform() or any(forward_ad.unpack_dual(one).tangent is not None for one in tensors if one is not None):
        raise ArgumentError(
            f"Forward mode or a transform of torch.func (grad, jvp, jacrev, vmap ...) was asked for, but {by} "
            f"derivatives by backward() and torch.autograd.grad only: use {instead}."
        )


def in_transform() -> bool:
    """Return whether a transform of torch.func is active; `torch.compile` can trace the question."""
    import torch

    return torch._C._are_functorch_transforms_active()


def suggestion(word: str, allowed: Iterable[str]) -> str:
    """Return `" Did you mean 'x'?"` for the nearest allowed word, or an empty string where none is near."""
    near = difflib.get_close_matches(word, list(allowed), n=1, cutoff=0.6)
    return f" Did you mean {near[0]!r}?" if near else ""


UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # control characters of ASCII and C1
    "\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"  # zero-width, direction, line ends
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e007f\ud800-\udfff]"  # format, tags, half characters
)


def printable(text: str, keep: str = "") -> str:
    r"""Return text that is safe on a terminal: characters that would act on it or hide become `\u001b` or `\U000e0001`.

    Those in `keep` stay (a line feed between lines, say), and letters of every script.
    """

    def escape(match: re.Match[str]) -> str:
        code = ord(match[0])
        return match[0] if match[0] in keep else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"

    return UNPRINTABLE.sub(escape, text)
