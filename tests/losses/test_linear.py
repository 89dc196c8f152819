"""The one function over all implementations: they agree, options reach them, and what is picked can be told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from support.compare import assert_close, error
from support.loss_cases import make, tensors
from support.native_code import needs_a_compiler
from tiedlm.errors import ArgumentError
from tiedlm.losses import chunked, functional, linear
from tiedlm.losses.functional import LossTerms
from tiedlm.losses.linear import (
    COMPILED_LOGITS,
    IMPLEMENTATIONS,
    Implementation,
    linear_augmented_cross_entropy,
    linear_augmented_terms,
    picked,
)

EACH = pytest.mark.parametrize(
    "implementation",
    [
        pytest.param(name, marks=needs_a_compiler) if name == "compiled" else name
        for name in IMPLEMENTATIONS
        if name != "triton"
    ],
)
"""The implementations that run on a CPU; Triton's kernels have tests of their own."""

OPTIONS: list[dict[str, Any]] = [
    {},
    {"temperature": 3.0},
    {"gamma": 1.25},
    {"gamma": 1.0},
    {"gamma": 0.0},
    {"detach_target": True},
    {"ignore_index": 2},
    {"reduction": "sum"},
    {"reduction": "none"},
    {"center_table": True},
    {"vocabulary_mask": torch.tensor([True, False, True, True, False, True, True])},
    {"token_weights": torch.tensor([0.5, 2.0, 0.0, 1.0, 3.0, 0.25])},
    {"token_weights": torch.tensor([0.5, 2.0, 0.0, 1.0, 3.0, 0.25]), "reduction": "none"},
]


@EACH
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("tied", [True, False])
def test_every_implementation_is_the_definition(implementation: str, options: dict[str, Any], tied: bool) -> None:
    problem = make(1, tied=tied, biased=not tied, targets=[2, 0, 5, 2, 6, 3])
    ours, definition = tensors(problem), tensors(problem)
    loss = ours.loss(linear_augmented_cross_entropy, implementation=implementation, **options)
    truth = definition.loss(functional.linear_augmented_cross_entropy, **options)
    assert_close(loss, truth, 1e-12)
    weights = torch.linspace(1, 2, 6, dtype=torch.float64) if loss.dim() else None
    right = definition.gradients(truth, weights)
    for name, gradient in ours.gradients(loss, weights).items():
        assert_close(gradient, right[name], 1e-12, name)


@pytest.mark.parametrize("options", [o for o in OPTIONS if o and o != {"detach_target": True}], ids=str)
def test_every_option_makes_a_difference(options: dict[str, Any]) -> None:
    ours = tensors(make(1, targets=[2, 0, 5, 2, 6, 3]))
    plain, other = (ours.loss(linear_augmented_cross_entropy, **each).sum() for each in ({}, options))
    assert error(other, plain) > 1e-3


def test_stopping_the_gradient_makes_a_difference_to_the_gradient_alone() -> None:
    ours = tensors(make(1))
    plain, stopped = (ours.loss(linear_augmented_cross_entropy, detach_target=stop) for stop in (False, True))
    assert torch.equal(plain, stopped)
    assert error(ours.gradients(stopped)["classifier"], ours.gradients(plain)["classifier"]) > 1e-4


@EACH
def test_the_terms_belong_to_the_loss(implementation: str) -> None:
    ours = tensors(make(2, biased=True, gamma=0.7, temperature=9.0))
    options = {**ours.options, "bias": ours.bias, "implementation": implementation}
    terms = linear_augmented_terms(ours.features, ours.classifier, ours.targets, **options)
    assert_close(terms.total, ours.loss(functional.linear_augmented_cross_entropy), 1e-13)
    assert_close(terms.total, terms.cross_entropy + 0.7 * 9 * terms.divergence, 1e-13)


@EACH
@pytest.mark.parametrize("gamma", [0.0, 0.5])
def test_float64_under_autocast_stays_float64(implementation: str, gamma: float) -> None:
    problem = make(3, rows=9, words=40, gamma=gamma)
    ours, alone = tensors(problem), tensors(problem)
    with torch.autocast("cpu", torch.bfloat16):
        loss = ours.loss(linear_augmented_cross_entropy, implementation=implementation)
    truth = alone.loss(functional.linear_augmented_cross_entropy)
    assert_close(loss, truth, 1e-12)
    right = alone.gradients(truth)
    for name, gradient in ours.gradients(loss).items():
        assert_close(gradient, right[name], 1e-12, name)


@EACH
def test_what_is_picked_is_what_runs(implementation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []
    definition, chunks = functional.linear_augmented_terms, chunked.linear_augmented_terms
    names = {"plain": "chunked", "compiled": "compiled"}

    def counted(*arguments: Any, **options: Any) -> LossTerms:
        ran.append(names[arguments[4]])
        return chunks(*arguments, **options)

    monkeypatch.setattr(
        functional, "linear_augmented_terms", lambda *a, **k: ran.append("functional") or definition(*a, **k)
    )
    monkeypatch.setattr(chunked, "linear_augmented_terms", counted)
    tensors(make()).loss(linear_augmented_cross_entropy, implementation=implementation)
    assert ran == [picked(implementation, logits=42)[0]]


def test_many_logits_are_worth_compiling_where_there_is_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear, "compiler_unavailable", lambda: None)
    assert picked("auto", COMPILED_LOGITS)[0] == "compiled"
    assert picked("auto", COMPILED_LOGITS - 1)[0] == "chunked"
    assert picked("auto", COMPILED_LOGITS, "cuda")[0] == "chunked"
    monkeypatch.setattr(linear, "compiler_unavailable", lambda: "no g++")
    name, reason = picked("auto", COMPILED_LOGITS)
    assert name == "chunked"
    assert "no g++" in reason
    with pytest.raises(ArgumentError, match=r"'compiled' cannot run here \(no g\+\+\): install a C.*use 'chunked'"):
        picked("compiled")


def test_kernels_are_picked_where_they_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear, "missing_triton", lambda device: None)
    assert picked("auto", device="cuda")[0] == picked("triton", device="cuda")[0] == "triton"
    monkeypatch.setattr(linear, "missing_triton", lambda device: f"no kernels for {device}")
    assert picked("auto", device="cuda") == ("chunked", "there are no kernels for it here (no kernels for cuda)")
    with pytest.raises(ArgumentError, match=r"'triton' cannot run here \(no kernels for cpu\): use a GPU with Triton"):
        picked("triton")


def test_compiled_loops_are_for_the_cpu() -> None:
    with pytest.raises(ArgumentError, match=r"'compiled' is for the CPU .* the tensors are on cuda .*: use 'chunked'"):
        picked("compiled", device="cuda")


def test_there_are_no_compiled_loops_for_float16_and_none_are_said_to_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear, "compiler_unavailable", lambda: None)
    name, reason = picked("auto", COMPILED_LOGITS, products=torch.float16)
    assert (name, reason) == ("chunked", "there are no compiled passes for products of torch.float16")
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


@EACH
def test_what_is_picked_comes_with_a_reason(implementation: str) -> None:
    name, reason = picked(implementation)
    assert name in IMPLEMENTATIONS[1:]
    assert len(reason.split()) > 2


def test_an_unknown_implementation_is_refused_with_the_nearest_one() -> None:
    message = r"^implementation is 'chunk', but must be one of auto, functional, chunked.* Did you mean 'chunked'\?"
    with pytest.raises(ArgumentError, match=message):
        tensors(make()).loss(linear_augmented_cross_entropy, implementation="chunk")


def test_a_chunk_for_the_definition_is_an_option_without_effect_and_refused() -> None:
    message = r"^chunk_rows is 4, but has no effect with implementation 'functional'.* leave it out, or use 'chunked'"
    with pytest.raises(ArgumentError, match=message):
        tensors(make()).loss(linear_augmented_cross_entropy, implementation="functional", chunk_rows=4)


@EACH
@pytest.mark.parametrize(("gamma", "detach", "learned"), [(0.0, False, False), (0.5, True, False), (0.5, False, True)])
def test_a_table_has_a_gradient_where_something_goes_back_to_it(
    implementation: Implementation, gamma: float, detach: bool, learned: bool
) -> None:
    features, classifier, table = (torch.ones(size, requires_grad=True) for size in ((4, 3), (5, 3), (5, 2)))
    loss = linear_augmented_cross_entropy(
        features,
        classifier,
        torch.arange(4),
        table=table,
        gamma=gamma,
        detach_target=detach,
        temperature=2.0,
        implementation=implementation,
    )
    loss.backward()
    assert (table.grad is not None) == learned
    assert classifier.grad is not None
