"""Triton's backend beside the plain ones: run by `test_triton` in processes of their own.

On a CPU where Triton interprets, else on a GPU.
"""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from support.compare import assert_close
from support.gpu import DEVICE
from tiedlm.losses.augmented import linear_augmented_cross_entropy
from tiedlm.losses.plain import ElementwiseBackend, GradRequest, PlainBackend, Student, Teacher
from tiedlm.losses.triton import TritonBackend, triton_unavailable

TEMPERATURE, GAMMA = 3.0, 0.7


class Shape(NamedTuple):
    """Words, the number of rows of each distinct target, columns at one time, and the largest logits."""

    V: int
    rows: tuple[int, ...]
    block: int
    scale: float = 3.0
    masked: int = 0
    """Words from the first one on that no soft target may name."""


SHAPES = {
    "less than one block": Shape(7, (2, 1, 3), 8),
    "one block": Shape(8, (1, 2), 8),
    "three blocks, the last one cut": Shape(21, (3, 1), 8),
    "one row": Shape(11, (1,), 4),
    "every row its own target": Shape(9, (1, 1, 1), 4),
    "one target": Shape(9, (3,), 4),
    "more rows than the bias sums at a time": Shape(3, (9, 8), 4),
    "one word": Shape(1, (2,), 8),
    "one column at a time": Shape(3, (1, 1), 1),
    "a first block without allowed words": Shape(13, (2, 1), 4, masked=6),
    "logits of 10,000": Shape(13, (2, 1), 4, scale=1e4),
}
FEW = ("three blocks, the last one cut", "logits of 10,000")
BIASED = [(name, True) for name in SHAPES]
BOTH = [(name, biased) for name in FEW for biased in (False, True)]


@pytest.fixture(autouse=True)
def on_device() -> Iterator[None]:
    with torch.device(DEVICE):
        yield


class Inputs(NamedTuple):
    """What a backend reads of one chunk."""

    logits: Tensor
    """The student's rows, and below them the teacher's [C + U, V]."""
    bias: Tensor | None
    words: Tensor
    of_row: Tensor
    mask: Tensor | None
    weights: Tensor

    def chunk(self) -> tuple[Student, Tensor]:
        """The student and the teacher's logits, in a place of their own that is not a number around them."""
        place = inside(self.logits)
        return Student(place[: len(self.words)], self.bias, self.words, self.weights.dtype), place[len(self.words) :]


def drawn(seed: int, *shape: int) -> Tensor:
    generator = torch.Generator("cpu").manual_seed(seed)
    return torch.randn(*shape, dtype=torch.float64, generator=generator, device="cpu").to(DEVICE)


def inside(values: Tensor) -> Tensor:
    """The values in a view of a larger array that is not a number elsewhere: the rows lie apart."""
    rows, columns = values.shape
    return values.new_full((rows + 2, columns + 5), math.nan)[1:-1, 3:-2].copy_(values)


def made(shape: Shape, biased: bool, narrow: torch.dtype, wide: torch.dtype) -> Inputs:
    C, U, V = sum(shape.rows), len(shape.rows), shape.V
    of_row = torch.arange(U).repeat_interleave(torch.tensor(shape.rows))
    words = ((5 * torch.arange(U) + 2) % V).sort().values[of_row]
    bias = drawn(2, V).to(narrow) if biased else None
    mask = torch.arange(V) >= shape.masked if shape.masked else None
    logits = (shape.scale * drawn(1, C + U, V)).to(narrow)
    return Inputs(logits, bias, words, of_row, mask, torch.linspace(0.5, 2.0, C, dtype=wide))


def computed(backend: ElementwiseBackend, given: Inputs) -> dict[str, Tensor]:
    """Everything that a backend computes."""
    weights, wide = given.weights, given.weights.dtype

    def request(through: bool = False) -> GradRequest:
        return GradRequest(weights, None if given.bias is None else torch.ones_like(given.bias, dtype=wide), through)

    student, at_hard = given.chunk()[0], request()
    found = {"hard loss": backend.cross_entropy(student, at_hard), "hard G": student.logits}
    (student, logits), place = given.chunk(), request(through=True)
    teacher = Teacher(logits, given.of_row, given.mask)
    found["loss"], found["divergence"] = backend.augmented(student, teacher, TEMPERATURE, GAMMA, place)
    around = logits._base
    assert around is not None
    assert int(around.isnan().sum()) == around.numel() - given.logits.numel(), "written beside the place"
    found |= {"G": student.logits, "R": logits}
    if at_hard.bias_grad is not None and place.bias_grad is not None:
        found |= {"hard bias": at_hard.bias_grad, "bias": place.bias_grad}
    return found


def compare(found: dict[str, Tensor], truth: dict[str, Tensor], relative: float) -> None:
    assert found.keys() == truth.keys()
    for name, value in found.items():
        # a divergence or R is what is left of terms that may be as large as log V, whose difference it is
        rounding = relative * (math.log(truth["G"].shape[1]) + 1) if name in ("divergence", "R") else 0
        assert_close(value, truth[name], relative, name, rounding=rounding)


@pytest.mark.parametrize(("name", "biased"), [*BIASED, *((name, False) for name in FEW)])
def test_double_precision(name: str, biased: bool) -> None:
    shape = SHAPES[name]
    given = made(shape, biased, torch.float64, torch.float64)
    compare(computed(TritonBackend(shape.block), given), computed(PlainBackend(), given), 1e-12)


@pytest.mark.parametrize(("name", "biased"), BOTH)
def test_single_precision(name: str, biased: bool) -> None:
    shape = SHAPES[name]
    given = made(shape, biased, torch.float32, torch.float32)
    exact = given._replace(logits=given.logits.double(), bias=_double(given.bias), weights=given.weights.double())
    compare(computed(TritonBackend(shape.block), given), computed(PlainBackend(), exact), 1e-5)


def _double(values: Tensor | None) -> Tensor | None:
    return None if values is None else values.double()


def cut(values: Tensor) -> Tensor:
    """The upper half of the bits: the interpreter cuts where a GPU rounds."""
    return (values.contiguous().view(torch.int32) >> 16).to(torch.int16).view(torch.bfloat16)


@pytest.mark.parametrize("narrow", [torch.float16, torch.bfloat16])
def test_gradients_of_16_bits_are_those_of_32_rounded_once(narrow: torch.dtype) -> None:
    shape = SHAPES["one row"]
    given = made(shape, True, narrow, torch.float32)
    found = computed(TritonBackend(shape.block), given)
    exact = computed(TritonBackend(shape.block), given._replace(logits=given.logits.float()))
    for name in ("hard G", "G", "R"):
        allowed = [exact[name].to(narrow)] + [cut(exact[name])] * (narrow == torch.bfloat16 and DEVICE == "cpu")
        assert any(torch.equal(found[name], one) for one in allowed), name
    for name in found.keys() - {"hard G", "G", "R"}:
        assert torch.equal(found[name], exact[name]), name


def test_losses_alone_are_the_same_losses() -> None:
    given = made(SHAPES["one row"], True, torch.float32, torch.float32)
    backend = TritonBackend(4)
    found = computed(backend, given)
    student, logits = given.chunk()
    teacher = Teacher(logits, given.of_row)
    assert torch.equal(backend.cross_entropy(student, None), found["hard loss"])
    alone = backend.augmented(student, teacher, TEMPERATURE, GAMMA, None)
    assert torch.equal(torch.stack(alone), torch.stack([found["loss"], found["divergence"]]))
    assert torch.equal(torch.cat([student.logits, logits]), given.logits), "without a request the logits stay"


@pytest.mark.parametrize("gap", [5.0, 20.0, 60.0])
def test_near_certain_targets_keep_their_bits(gap: float) -> None:
    """y is 1 in float32 from a gap of 17 on; J and y - 1 are exact all the same, be the target first or last."""
    logits = torch.tensor([[gap, 0.0, 1.0], [0.0, 1.0, gap]])
    student = Student(logits, None, torch.tensor([0, 2]), torch.float32)
    losses = TritonBackend(2).cross_entropy(student, GradRequest(torch.ones(2), None))
    loss = math.log1p(math.exp(-gap) + math.exp(1 - gap))
    # a GPU's exponential of -60 is as exact as its product with log2(e)
    assert_close(losses, torch.full((2,), loss, dtype=torch.float64), 1e-5)
    assert_close(logits[[0, 1], [0, 2]], torch.full((2,), math.expm1(-loss), dtype=torch.float64), 1e-5)


@pytest.mark.parametrize("gamma", [0.0, GAMMA])
def test_a_loss_over_chunks(gamma: float) -> None:
    """The algorithm gives the backend slices of its buffers."""
    found = []
    for name in ("triton", "functional"):
        leaves = [drawn(seed, *size).requires_grad_() for seed, size in ((3, (7, 5)), (4, (11, 5)), (5, (11,)))]
        features, classifier, bias = leaves
        rows: Any = {"chunk_rows": 6} if name == "triton" else {}
        loss = linear_augmented_cross_entropy(
            features,
            classifier,
            torch.tensor([0, 0, 2, 4, 4, 4, 7]),
            bias=bias,
            gamma=gamma,
            implementation=name,
            **rows,
        )
        found.append([loss, *torch.autograd.grad(loss, leaves)])
    for one, other in zip(*found, strict=True):
        assert_close(one, other, 1e-12)


def test_it_runs_here() -> None:
    assert triton_unavailable(DEVICE) is None
