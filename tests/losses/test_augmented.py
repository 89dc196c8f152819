"""The front door: what it refuses and in which words, the module, and which implementation is selected."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, get_type_hints

import pytest
import torch
from torch import Tensor

from support.compare import assert_close
from support.gpu import needs_a_compiler
from support.losses import Loss, make, tensors
from tiedlm.errors import ArgumentError
from tiedlm.losses import augmented
from tiedlm.losses.augmented import (
    COMPILED_LOGITS,
    OPTION_NAMES,
    AugmentedLoss,
    Implementation,
    LossKeywords,
    LossOptions,
    augmented_cross_entropy,
    linear_augmented_cross_entropy,
    select_implementation,
)

LINEAR = [partial(linear_augmented_cross_entropy, implementation=name) for name in ("functional", "chunked")]


def zeros(*shape: int, dtype: torch.dtype = torch.float32, device: str = "cpu") -> Tensor:
    return torch.zeros(*shape, dtype=dtype, device=device)


NUMBERS = [
    ({"temperature": 0.0}, r"temperature is 0\.0, but must lie in \[1e-3, 1e6\] \(the paper uses 20\)\."),
    ({"temperature": math.nan}, r"temperature is nan, but must lie in \[1e-3, 1e6\]"),
    ({"temperature": torch.tensor(2.0)}, r"temperature is tensor\(2\.\), but must be a number, and counts as a const"),
    ({"gamma": -0.5}, r"gamma is -0\.5, but must lie in \[0, 1e6\]; 0 is plain cross-entropy\."),
    ({"gamma": math.inf}, r"gamma is inf, but must lie in \[0, 1e6\]"),
    ({"gamma": torch.ones((), requires_grad=True)}, r"gamma is tensor\(1\..*: use float\(gamma\)\."),
    ({"reduction": None}, r"reduction is None, but must be one of mean, sum, none\."),
    ({"reduction": "men"}, r"reduction is 'men', .* Did you mean 'mean'\?"),
    ({"targets": torch.tensor([0, 4, 1])}, r"targets hold 4, but must lie in 0 \.\.\. 3, or be ignore_index"),
    ({"targets": torch.tensor([0, -100, 1]), "ignore_index": -1}, r"targets hold -100, but must lie in"),
    ({"targets": zeros(3, 1, dtype=torch.int64)}, r"targets have the shape \[3, 1\], but the .* for \[3\]\."),
    ({"targets": zeros(3)}, r"targets are torch\.float32, but must be torch\.int64: use targets\.long\(\)\."),
    (
        {"targets": zeros(3, dtype=torch.int64, device="meta")},
        r"targets are on meta, .* on cpu: move one of them\.",
    ),
    ({"bias": zeros(1, 4)}, r"bias has the shape \[1, 4\], but must be \[4\]: one number a word\."),
]

ARRAYS = [
    ({"features": zeros(3, 5)}, r"features have the shape \[3, 5\] and the classifier \[4, 2\]: .* Put a linear map"),
    ({"features": torch.zeros(())}, r"features have the shape \[\] and the classifier \[4, 2\]"),
    ({"features": zeros(3, 2, dtype=torch.float64)}, r"features is torch\.float64 .* classifier is torch\.float32"),
    ({"features": zeros(3, 2, dtype=torch.int64)}, r"features is torch\.int64 on cpu, but the classifier is torch"),
    ({"features": zeros(3, 2, device="meta")}, r"features is torch\.float32 on meta, but the classifier is .* on cpu"),
    ({"classifier": zeros(4)}, r"classifier is torch\.float32 \[4\], but must be a floating matrix \[words, width\]\."),
    ({"classifier": zeros(0, 2)}, r"classifier is torch\.float32 \[0, 2\], but must be a floating matrix"),
    ({"classifier": zeros(4, 2, dtype=torch.int64)}, r"classifier is torch\.int64 \[4, 2\], but must be a floating"),
    ({"table": zeros(4)}, r"table is torch\.float32 \[4\], but must be a floating matrix \[words, width\]\."),
    ({"table": zeros(5, 2)}, r"table holds 5 words and classifier 4: both must hold the same words\."),
    ({"table": zeros(4, 2, dtype=torch.float64)}, r"table is torch\.float64 .* classifier is torch\.float32"),
    ({"bias": zeros(4, dtype=torch.float64)}, r"bias is torch\.float64 .* classifier is torch\.float32"),
    ({"vocabulary_mask": zeros(4)}, r"vocabulary_mask is torch\.float32 \[4\] on cpu, but must be torch\.bool \[4\]"),
    ({"vocabulary_mask": torch.ones(3, dtype=torch.bool)}, r"vocabulary_mask is torch\.bool \[3\] .* \[4\] on cpu"),
    ({"vocabulary_mask": torch.arange(4) != 3}, r"vocabulary_mask forbids the word 3, which is a target: allow it"),
    ({"token_weights": zeros(2)}, r"token_weights are torch\.float32 \[2\] on cpu, but must be floating \[3\] on cpu"),
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
    ({"teacher_logits": zeros(1, 4)}, r"teacher_logits have the shape \[1, 4\], .* of the logits, \[3, 4\]: one row"),
    ({"teacher_logits": zeros(3, 4, dtype=torch.int64)}, r"teacher_logits is torch\.int64 on cpu, but must be"),
    ({"teacher_logits": zeros(3, 4, device="meta")}, r"teacher_logits is .* on meta, .* floating and on cpu, as"),
    ({"bias": zeros(4, dtype=torch.int64)}, r"bias is torch\.int64 on cpu, but must be floating and on cpu, as"),
    (
        {"logits": zeros(2, 3, 4)},
        r"logits are torch\.float32 \[2, 3, 4\], .* \[predictions, words\].* use flatten\(0",
    ),
    (
        {"logits": zeros(3, 0), "teacher_logits": zeros(3, 0)},
        r"logits are torch\.float32 \[3, 0\], .* one word",
    ),
    ({"logits": zeros(3, 4, dtype=torch.int64)}, r"logits are torch\.int64 \[3, 4\], but must be floating"),
]


@pytest.mark.parametrize(("wrong", "message"), NUMBERS + LOGITS)
def test_the_form_from_logits_refuses(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=f"^{message}"):
        augmented_cross_entropy(**{**GOOD_LOGITS, **wrong})


def test_the_form_from_logits_takes_what_is_right() -> None:
    assert augmented_cross_entropy(**GOOD_LOGITS).item() == pytest.approx(math.log(4))
    assert augmented_cross_entropy(**{name: one[:0] for name, one in GOOD_LOGITS.items()}) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gamma": -1.0}, "gamma is -1.0"),
        ({"implementation": None}, "implementation is None, but must be one of auto, functional"),
        ({"implementation": "chunk"}, r"but must be one of auto, functional, chunked.* Did you mean 'chunked'\?"),
        ({"implementation": "functional", "chunk_rows": 4}, "chunk_rows is 4, but has no effect .* leave it out"),
        ({"implementation": "compiled", "host_sync": False}, "host_sync is False, but implementation 'compiled'"),
        *(({"chunk_rows": rows}, f"chunk_rows is {rows!r}, but must be an integer, 1 or") for rows in (0, 1.5, "2")),
    ],
)
def test_options_are_refused_by_the_function_and_when_a_module_is_made(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        AugmentedLoss(**options)
    with pytest.raises(ArgumentError, match=message):
        linear_augmented_cross_entropy(**GOOD_LINEAR, **options)


def test_the_keywords_are_the_options() -> None:
    assert set(LossKeywords.__annotations__) == set(OPTION_NAMES)
    assert get_type_hints(LossOptions) == get_type_hints(LossKeywords)


OPTIONS: list[dict[str, Any]] = [
    {},
    {"gamma": 1.5, "temperature": 4.0},
    {"gamma": 0.0},
    {"detach_target": True},
    {"ignore_index": 2, "reduction": "sum"},
    {"reduction": "none", "implementation": "functional"},
    {"implementation": "chunked", "chunk_rows": 2, "host_sync": False},
    {"center_table": True},
    {"vocabulary_mask": torch.tensor([True, False, True, True, False, True, True])},
]
TOKEN_WEIGHTS = torch.tensor([0.5, 2.0, 0.0, 1.0, 3.0, 0.25], dtype=torch.float64)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("tied", [True, False])
def test_it_is_the_function_with_its_options_bound(options: dict[str, Any], tied: bool) -> None:
    ours = tensors(make(1, tied=tied, biased=not tied, targets=[2, 0, 5, 2, 6, 3]))
    arguments = (ours.features, ours.classifier, ours.targets)
    loss = AugmentedLoss(**options)(*arguments, ours.table, ours.bias, TOKEN_WEIGHTS)
    given = {"table": ours.table, "bias": ours.bias, "token_weights": TOKEN_WEIGHTS}
    truth = linear_augmented_cross_entropy(*arguments, **given, **options)
    assert torch.equal(loss, truth)
    weights = torch.ones_like(loss)
    right = ours.gradients(truth, weights)
    for name, gradient in ours.gradients(loss, weights).items():
        assert torch.equal(gradient, right[name])


def test_without_options_it_is_the_loss_in_full_uncentred_the_mean_over_targets_that_count() -> None:
    ours = tensors(make(1, tied=False, biased=True, targets=[2, -100, 5, 2, 6, 3]))
    arguments: Any = {"table": ours.table, "bias": ours.bias}
    loss = linear_augmented_cross_entropy(ours.features, ours.classifier, ours.targets, **arguments)
    stated = {"gamma": 0.5, "temperature": 20.0, "detach_target": False, "center_table": False, "reduction": "mean"}
    truth = ours.loss(linear_augmented_cross_entropy, **stated, ignore_index=-100)
    assert torch.equal(loss, truth)
    right = ours.gradients(truth)
    assert all(torch.equal(gradient, right[name]) for name, gradient in ours.gradients(loss).items())


def test_it_holds_no_parameters_and_tells_its_options() -> None:
    module = AugmentedLoss(gamma=0.65, temperature=20.0)
    assert list(module.parameters()) == []
    assert module.state_dict() == {}
    assert "gamma=0.65, temperature=20.0, detach_target=False" in repr(module)


def test_an_option_may_be_set_between_calls() -> None:
    ours = tensors(make(3))
    module: Any = AugmentedLoss(gamma=0.8)
    module.gamma = 0.2
    arguments = (ours.features, ours.classifier, ours.targets)
    assert torch.equal(module(*arguments), AugmentedLoss(gamma=0.2)(*arguments))
    module.gamma = -1.0
    with pytest.raises(ArgumentError, match=r"gamma is -1\.0"):
        module(*arguments)


def test_many_logits_are_worth_compiling_where_there_is_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(augmented, "_unavailable", lambda name, device: None if name == "compiled" else "no Triton")
    assert select_implementation("auto")[0] == "compiled"
    assert select_implementation("auto", host_sync=False)[0] == "chunked"
    assert select_implementation("auto", logits=COMPILED_LOGITS - 1)[0] == "chunked"
    assert select_implementation("auto", logits=COMPILED_LOGITS, device="cuda")[0] == "chunked"
    monkeypatch.setattr(augmented, "_unavailable", lambda name, device: "no g++")
    name, reason = select_implementation("auto")
    assert name == "chunked"
    assert "no g++" in reason
    with pytest.raises(ArgumentError, match=r"'compiled' cannot run here \(no g\+\+\): install a C.*use 'chunked'"):
        select_implementation("compiled")


def test_kernels_are_picked_where_they_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(augmented, "_unavailable", lambda name, device: None)
    assert (
        select_implementation("auto", device="cuda")[0] == select_implementation("triton", device="cuda")[0] == "triton"
    )
    monkeypatch.setattr(augmented, "_unavailable", lambda name, device: f"no kernels for {device}")
    assert select_implementation("auto", device="cuda") == (
        "chunked",
        "there are no kernels for it here (no kernels for cuda)",
    )
    with pytest.raises(ArgumentError, match=r"'triton' cannot run here \(no kernels for cpu\): use a GPU with Triton"):
        select_implementation("triton")


def test_compiled_loops_are_for_the_cpu() -> None:
    with pytest.raises(ArgumentError, match=r"'compiled' is for the CPU .* the tensors are on cuda .*: use 'chunked'"):
        select_implementation("compiled", device="cuda")


def test_there_are_no_compiled_loops_for_float16_and_none_are_said_to_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(augmented, "_unavailable", lambda name, device: None)
    name, reason = select_implementation("auto", matmul_dtype=torch.float16)
    assert (name, reason) == ("chunked", "there are no compiled loops for products of torch.float16")
    ours = tensors(make(), torch.float32)
    message = r"products of torch\.float32, .* and products of torch\.float16: use 'chunked'"
    with torch.autocast("cpu", torch.float16), pytest.raises(ArgumentError, match=message):
        ours.loss(linear_augmented_cross_entropy, implementation="compiled")


@pytest.mark.parametrize("implementation", ["auto", "chunked", pytest.param("compiled", marks=needs_a_compiler)])
def test_one_graph_for_a_compiler_where_compiled_loops_pay(implementation: Implementation) -> None:
    ours = tensors(make(rows=COMPILED_LOGITS // 1000, words=1000), torch.float32)

    def step(features: Tensor, classifier: Tensor, targets: Tensor) -> Tensor:
        return 2 * linear_augmented_cross_entropy(features, classifier, targets, implementation=implementation)

    compiled: Callable[..., Tensor] = torch.compile(step, fullgraph=True, backend="eager")
    for rows in (500, 4, 5):  # other rows than at first make their number a variable
        given = ours.features.detach()[:rows], ours.classifier, ours.targets[:rows]
        assert_close(compiled(*given), step(*given), 1e-6)
