"""Bad input: each is refused before any work, by every form of the loss, in words that name what came and what may."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from support.loss_cases import Loss
from tiedlm.errors import ArgumentError
from tiedlm.losses import chunked, functional, linear
from tiedlm.losses.functional import augmented_cross_entropy

LINEAR = [
    functional.linear_augmented_cross_entropy,
    chunked.linear_augmented_cross_entropy,
    linear.linear_augmented_cross_entropy,
]


def zeros(*shape: int, dtype: torch.dtype = torch.float32, device: str = "cpu") -> Tensor:
    return torch.zeros(*shape, dtype=dtype, device=device)


NUMBERS = [
    ({"temperature": 0.0}, r"temperature is 0\.0, but must lie in \[1e-3, 1e6\] \(the paper uses 20\)\."),
    ({"temperature": -3.0}, r"temperature is -3\.0, but must lie in \[1e-3, 1e6\]"),
    ({"temperature": 5e-324}, r"temperature is 5e-324, but must lie in"),
    ({"temperature": 1e300}, r"temperature is 1e\+300, but must lie in"),
    ({"temperature": math.nan}, r"temperature is nan, but must lie in \[1e-3, 1e6\]"),
    ({"temperature": math.inf}, r"temperature is inf, but must lie in \[1e-3, 1e6\]"),
    ({"gamma": -0.5}, r"gamma is -0\.5, but must lie in \[0, 1e6\]; 0 is plain cross-entropy\."),
    ({"gamma": math.nan}, r"gamma is nan, but must lie in \[0, 1e6\]"),
    ({"gamma": math.inf}, r"gamma is inf, but must lie in \[0, 1e6\]"),
    (
        {"temperature": torch.tensor(2.0)},
        r"temperature is tensor\(2\.\), but must be a number, and counts as a constant",
    ),
    ({"gamma": torch.ones((), requires_grad=True)}, r"gamma is tensor\(1\..*: use float\(gamma\)\."),
    ({"gamma": "0.5"}, r"gamma is '0\.5', but must be a number"),
    ({"reduction": None}, r"reduction is None, but must be one of mean, sum, none\."),
    ({"reduction": "avg"}, r"reduction is 'avg', but must be one of mean, sum, none\."),
    ({"reduction": "men"}, r"reduction is 'men', .* Did you mean 'mean'\?"),
    ({"targets": torch.tensor([0, 4, 1])}, r"targets hold 4, but must lie in 0 \.\.\. 3, or be -100 \(ignore_index\)"),
    ({"targets": torch.tensor([0, -1, 1])}, r"targets hold -1, but must lie in 0 \.\.\. 3, or be -100"),
    ({"targets": torch.tensor([0, -100, 1]), "ignore_index": -1}, r"targets hold -100, .* or be -1 \(ignore_index\)"),
    ({"targets": zeros(2, dtype=torch.int64)}, r"targets have the shape \[2\], but the predictions ask for \[3\]\."),
    ({"targets": zeros(3, 1, dtype=torch.int64)}, r"targets have the shape \[3, 1\], but the .* for \[3\]\."),
    ({"targets": zeros(3)}, r"targets are torch\.float32, but must be torch\.int64: use targets\.long\(\)\."),
    ({"targets": zeros(3, dtype=torch.int32)}, r"targets are torch\.int32, but must be torch\.int64"),
    (
        {"targets": zeros(3, dtype=torch.int64, device="meta")},
        r"targets are on meta, but the predictions are on cpu: move one of them\.",
    ),
    ({"bias": zeros(3)}, r"bias has the shape \[3\], but must be \[4\]: one number a word\."),
    ({"bias": zeros(1, 4)}, r"bias has the shape \[1, 4\], but must be \[4\]"),
]

ARRAYS = [
    ({"features": zeros(3, 5)}, r"features have the shape \[3, 5\] and the classifier \[4, 2\]: .* Put a linear map"),
    ({"features": torch.zeros(())}, r"features have the shape \[\] and the classifier \[4, 2\]"),
    ({"features": zeros(3, 2, dtype=torch.float64)}, r"features is torch\.float64 .* classifier is torch\.float32"),
    (
        {"features": zeros(3, 2, dtype=torch.int64)},
        r"features is torch\.int64 on cpu, but the classifier is torch",
    ),
    ({"features": zeros(3, 2, device="meta")}, r"features is torch\.float32 on meta, but the classifier is .* on cpu"),
    ({"classifier": zeros(4)}, r"classifier is torch\.float32 \[4\], but must be a floating matrix \[words, width\]\."),
    ({"classifier": torch.zeros(())}, r"classifier is torch\.float32 \[\], but must be a floating matrix"),
    ({"classifier": zeros(0, 2)}, r"classifier is torch\.float32 \[0, 2\], but must be a floating matrix"),
    ({"classifier": zeros(4, 2, dtype=torch.int64)}, r"classifier is torch\.int64 \[4, 2\], but must be a floating"),
    ({"table": zeros(4)}, r"table is torch\.float32 \[4\], but must be a floating matrix \[words, width\]\."),
    ({"table": zeros(5, 2)}, r"table holds 5 words and classifier 4: both must hold the same words\."),
    (
        {"table": zeros(4, 2, dtype=torch.float64)},
        r"table is torch\.float64 .* classifier is torch\.float32",
    ),
    ({"bias": zeros(4, dtype=torch.float64)}, r"bias is torch\.float64 .* classifier is torch\.float32"),
    ({"vocabulary_mask": zeros(4)}, r"vocabulary_mask is torch\.float32 \[4\] on cpu, but must be torch\.bool \[4\]"),
    ({"vocabulary_mask": torch.ones(3, dtype=torch.bool)}, r"vocabulary_mask is torch\.bool \[3\] .* \[4\] on cpu"),
    ({"vocabulary_mask": torch.arange(4) != 3}, r"vocabulary_mask forbids the word 3, which is a target: allow it"),
    ({"token_weights": zeros(2)}, r"token_weights are torch\.float32 \[2\] on cpu, but must be floating \[3\] on cpu"),
    ({"token_weights": torch.ones(3, dtype=torch.int64)}, r"token_weights are torch\.int64 \[3\]"),
    ({"token_weights": torch.ones(3).requires_grad_()}, r"token_weights ask for a gradient, but count as constants"),
    ({"token_weights": torch.tensor([1, -1.0, 1])}, r"token_weights hold -1\.0, but must be finite and 0 or more"),
    ({"token_weights": torch.tensor([1, math.nan, 1])}, r"token_weights hold nan, but must be finite and 0 or more"),
]

GOOD_LINEAR: dict[str, Any] = {
    "features": zeros(3, 2),
    "classifier": zeros(4, 2),
    "targets": torch.tensor([0, 3, -100]),
}


@pytest.mark.parametrize("loss", LINEAR)
@pytest.mark.parametrize(("wrong", "message"), NUMBERS + ARRAYS)
def test_the_linear_forms_refuse(loss: Loss, wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=f"^{message}"):
        loss(**{**GOOD_LINEAR, **wrong})


@pytest.mark.parametrize("loss", LINEAR)
def test_the_linear_forms_take_what_is_right(loss: Loss) -> None:
    assert loss(**GOOD_LINEAR).item() == pytest.approx(math.log(4))


GOOD_LOGITS: dict[str, Any] = {
    "logits": zeros(3, 4),
    "teacher_logits": zeros(3, 4),
    "targets": torch.tensor([0, 3, -100]),
}

LOGITS = [
    ({"teacher_logits": zeros(3, 5)}, r"teacher_logits have the shape \[3, 5\], .* of the logits, \[3, 4\]: one row"),
    ({"teacher_logits": zeros(1, 4)}, r"teacher_logits have the shape \[1, 4\], .* of the logits, \[3, 4\]"),
    (
        {"teacher_logits": zeros(3, 4, dtype=torch.int64)},
        r"teacher_logits is torch\.int64 on cpu, but must be",
    ),
    (
        {"teacher_logits": zeros(3, 4, device="meta")},
        r"teacher_logits is .* on meta, .* floating and on cpu, as",
    ),
    (
        {"bias": zeros(4, dtype=torch.int64)},
        r"bias is torch\.int64 on cpu, but must be floating and on cpu, as",
    ),
    ({"logits": zeros(4)}, r"logits are torch\.float32 \[4\], but must be floating \[predictions, words\], with one"),
    (
        {"logits": zeros(2, 3, 4)},
        r"logits are torch\.float32 \[2, 3, 4\], .* use flatten\(0, -2\) where they have more",
    ),
    (
        {"logits": zeros(3, 0), "teacher_logits": zeros(3, 0)},
        r"logits are torch\.float32 \[3, 0\], .* one word or more",
    ),
    ({"logits": zeros(3, 4, dtype=torch.int64)}, r"logits are torch\.int64 \[3, 4\], but must be floating"),
]


@pytest.mark.parametrize(("wrong", "message"), NUMBERS + LOGITS)
def test_the_form_from_logits_refuses(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=f"^{message}"):
        augmented_cross_entropy(**{**GOOD_LOGITS, **wrong})


def test_the_form_from_logits_takes_what_is_right() -> None:
    assert augmented_cross_entropy(**GOOD_LOGITS).item() == pytest.approx(math.log(4))


def test_an_empty_batch_of_logits_has_the_loss_0() -> None:
    assert augmented_cross_entropy(**{name: one[:0] for name, one in GOOD_LOGITS.items()}) == 0


@pytest.mark.parametrize("chunk_rows", [0, -5, 1.5, "2"])
@pytest.mark.parametrize("loss", LINEAR[1:])
def test_a_chunk_of_no_whole_rows_is_refused(loss: Loss, chunk_rows: Any) -> None:
    message = f"^chunk_rows is {chunk_rows!r}, but must be a whole number, 1 or more, or None"
    with pytest.raises(ArgumentError, match=message):
        loss(**GOOD_LINEAR, chunk_rows=chunk_rows)


def test_unknown_passes_are_refused_with_the_nearest_ones() -> None:
    message = r"^passes is 'compield', but must be one of plain, compiled, triton\. Did you mean 'compiled'\?"
    with pytest.raises(ArgumentError, match=message):
        chunked.linear_augmented_cross_entropy(**GOOD_LINEAR, passes="compield")  # pyright: ignore


def test_an_implementation_of_none_is_refused() -> None:
    with pytest.raises(ArgumentError, match=r"^implementation is None, but must be one of auto, functional"):
        linear.linear_augmented_cross_entropy(**GOOD_LINEAR, implementation=None)  # pyright: ignore


def test_every_refusal_is_a_value_error() -> None:
    assert issubclass(ArgumentError, ValueError)
