"""One training step: its scale, clipping and decay, what a failed one leaves behind, and the same from a CUDA graph."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from support.compare import assert_close
from support.gpu import GPU, NoReading, rerun
from support.small_text import small_config
from tiedlm.errors import TrainingError
from tiedlm.losses.augmented import linear_augmented_terms
from tiedlm.native.cuda_graph import Captured, CudaGraph, Function
from tiedlm.nn.config import GRUConfig, LSTMConfig, RHNConfig
from tiedlm.nn.model import LanguageModel
from tiedlm.recipes import recipe
from tiedlm.runs.config import LossConfig, RunConfig
from tiedlm.seeding import generator
from tiedlm.training.step import (
    ForwardBackward,
    GraphedForwardBackward,
    WindowResult,
    clipped_sgd_step,
    forward_backward,
    training_step,
)

WORDS = 11


@pytest.fixture(params=[True, False], ids=["tied", "untied"])
def config(tmp_path: Path, request: pytest.FixtureRequest) -> RunConfig:
    small = small_config(tmp_path)
    training = replace(small.training, clip_norm=1e6)
    return replace(small, loss=LossConfig(), training=training, model=replace(small.model, tied=request.param))


def build(config: RunConfig) -> LanguageModel:
    model = LanguageModel(config.model, WORDS)
    model.reset_parameters(torch.Generator().manual_seed(0))
    return model


def window() -> tuple[Tensor, Tensor]:
    tokens = torch.randint(0, WORDS, (6, 4), generator=torch.Generator().manual_seed(1))
    return tokens[:-1], tokens[1:]


def moved(before: dict[str, Tensor], model: LanguageModel) -> Tensor:
    return torch.cat([(before[name] - value).flatten() for name, value in model.state_dict().items()])


def snapshot(model: LanguageModel) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def cross_entropy(model: LanguageModel, features: Tensor, targets: Tensor, **options: Any) -> Tensor:
    logits = model.logits(features).flatten(0, 1)
    return F.cross_entropy(logits, targets.flatten(), reduction="sum", **options)


def augmented(model: LanguageModel, features: Tensor, targets: Tensor, *, detach_target: bool = False) -> Tensor:
    tables: dict[str, Any] = {"table": model.table, "bias": model.bias, "detach_target": detach_target}
    options: dict[str, Any] = {"temperature": 2.0, "gamma": 0.5, "reduction": "sum"}
    return linear_augmented_terms(features, model.classifier, targets, **tables, **options).total


def smoothed(model: LanguageModel, features: Tensor, targets: Tensor) -> Tensor:
    hard = cross_entropy(model, features, targets)
    smooth = cross_entropy(model, features, targets, label_smoothing=0.3)
    return augmented(model, features, targets) - hard + smooth


def uniform(model: LanguageModel, features: Tensor, targets: Tensor) -> Tensor:
    softened = F.log_softmax(features @ model.classifier.T / 2.0, dim=-1)
    divergence = (-math.log(WORDS) - softened).mean(-1).sum()
    return cross_entropy(model, features, targets) + 0.5 * 2.0 * divergence


@pytest.mark.parametrize(
    ("options", "loss"),
    [
        ({}, cross_entropy),
        ({"label_smoothing": 0.3}, partial(cross_entropy, label_smoothing=0.3)),
        ({"gamma": 0.5, "temperature": 2.0}, augmented),
        ({"gamma": 0.5, "temperature": 2.0, "detach_target": True}, partial(augmented, detach_target=True)),
        ({"gamma": 0.5, "temperature": 2.0, "label_smoothing": 0.3}, smoothed),
        ({"gamma": 0.5, "temperature": 2.0, "target": "uniform"}, uniform),
    ],
    ids=["cross-entropy", "smoothed", "augmented", "detached", "both", "uniform"],
)
@pytest.mark.parametrize(
    "changes", [{}, {"weight_decay": 0.3, "table_decay": 0.2}, {"weight_decay": 0.3, "clip_norm": 0.5}]
)
def test_a_step_follows_the_loss_summed_over_steps_and_averaged_over_streams_and_decay_clipped_to_its_norm(
    config: RunConfig, options: dict[str, Any], loss: Callable[..., Tensor], changes: dict[str, Any]
) -> None:
    training = replace(config.training, **changes)
    config = replace(config, loss=LossConfig(**options), training=training)
    model, (inputs, targets) = build(config), window()
    features, _ = model(inputs, model.initial_state(4))
    total, parameters = loss(model, features, targets), list(model.parameters())
    decay = training.weight_decay / 2 * sum(parameter.square().sum() for parameter in parameters)
    decay = decay + training.table_decay / 2 * model.classifier.square().sum()
    expected = torch.cat([one.flatten() for one in torch.autograd.grad(total / 4 + decay, parameters)])
    expected = expected * min(1.0, training.clip_norm / float(expected.norm()))
    before, hard = snapshot(model), float(cross_entropy(model, features, targets).detach())
    result = training_step(model, 0.25, inputs, targets, model.initial_state(4), None, config)
    assert result.loss_sum == pytest.approx(float(total.detach()), rel=1e-6)
    assert result.cross_entropy_sum == pytest.approx(hard, rel=1e-6)
    torch.testing.assert_close(moved(before, model) / 0.25, expected, rtol=1e-4, atol=1e-5 * float(expected.norm()))
    assert not any(tensor.requires_grad for tensor in result.state)
    assert all(float(tensor.abs().sum()) > 0 for tensor in result.state)


@pytest.mark.parametrize(
    ("fault", "message"), [("loss", "loss is nan"), ("gradient", "norm of the gradient is (inf|nan)")]
)
def test_what_is_not_finite_changes_nothing(config: RunConfig, fault: str, message: str) -> None:
    model, (inputs, targets) = build(config), window()
    parameter = next(model.parameters())
    if fault == "loss":
        with torch.no_grad():
            parameter[0, 0] = float("nan")
    else:
        parameter.register_hook(lambda gradient: gradient * float("inf"))
    before = snapshot(model)
    with pytest.raises(TrainingError, match=message):
        training_step(model, 1.0, inputs, targets, model.initial_state(4), None, config)
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0, equal_nan=True)


def test_bfloat16_products_change_little_and_something(config: RunConfig) -> None:
    low = replace(config, runtime=replace(config.runtime, precision="bfloat16"))
    losses = []
    for each in (config, low):
        model, (inputs, targets) = build(each), window()
        losses.append(training_step(model, 0.1, inputs, targets, model.initial_state(4), None, each).loss_sum)
    assert losses[0] != losses[1]
    assert losses[1] == pytest.approx(losses[0], rel=1e-2)


def parameters() -> list[nn.Parameter]:
    """Two that have a gradient and one that has none, in float64."""
    draws = torch.Generator().manual_seed(0)
    made = [nn.Parameter(torch.randn(*shape, generator=draws, dtype=torch.float64)) for shape in ((4, 3), (5,), (2,))]
    for parameter in made[:2]:
        parameter.grad = torch.randn(parameter.shape, generator=draws, dtype=torch.float64)
    return made


@pytest.mark.parametrize("clip_norm", [1e6, 0.3], ids=["short", "long"])
@pytest.mark.parametrize("scale", [1.0, 0.25])
@pytest.mark.parametrize("kind", ["dense", "sparse", "coalesced"])
def test_the_update_is_clipping_and_then_sgd(clip_norm: float, scale: float, kind: str) -> None:
    ours, reference = parameters(), parameters()
    if kind != "dense":
        values = torch.tensor([[1.0, 2, 3], [-1, 0.5, 2], [4, 4, 4]], dtype=torch.float64)
        gradient = torch.sparse_coo_tensor(torch.tensor([[3, 1, 3]]), values, (4, 3), check_invariants=False)
        ours[0].grad = gradient.coalesce() if kind == "coalesced" else gradient
        reference[0].grad = gradient.to_dense()
    gradients = [parameter.grad.to_dense().clone() for parameter in ours if parameter.grad is not None]
    clipped_sgd_step(ours, 0.7, clip_norm, scale)
    assert ours[2].grad is None
    for parameter, gradient in zip(ours[:2], gradients, strict=True):
        assert parameter.grad is not None
        assert torch.equal(parameter.grad.to_dense(), gradient)  # gradients stay as they are
    for parameter in reference[:2]:
        assert parameter.grad is not None
        parameter.grad *= scale
    torch.nn.utils.clip_grad_norm_(reference, clip_norm)
    torch.optim.SGD(reference, lr=0.7).step()
    for actual, expected in zip(ours, reference, strict=True):
        torch.testing.assert_close(actual, expected, rtol=1e-14, atol=1e-14)
    assert not torch.equal(ours[0], parameters()[0])


VOCAB_SIZE, STREAMS, STEPS = 50, 4, 6
MODELS = {
    "tied": LSTMConfig(units=8, tied=True),
    "untied": LSTMConfig(units=8, tied=False),
    "without masks": LSTMConfig(units=8, tied=True, keep_input=1.0, keep_hidden=1.0),
    "one mask": LSTMConfig(units=8, tied=True, keep_input=1.0, keep_hidden=0.5),
    "gru": GRUConfig(units=8, tied=True, keep_hidden=0.5),
    "rhn": RHNConfig(units=8, depth=2, tied=True),
}
LENGTHS = (3, STEPS, STEPS, STEPS, 2)
"""An epoch: a shorter first window, whole ones, a rest."""


def config_of(model: str, loss: str, precision: str) -> RunConfig:
    config = recipe("ptb-small-real" if loss == "al" else "ptb-small-re")
    training = replace(config.training, steps=STEPS, streams=STREAMS)
    runtime = replace(config.runtime, precision=precision)
    return replace(config, model=MODELS[model], training=training, runtime=runtime)


def into_the_same_gradients(model: LanguageModel, function: Function, buffers: Sequence[Tensor]) -> Captured:
    """A graph writes gradients where they were when it was captured; this copies them there."""
    run, results = rerun(function, buffers)
    gradients = [parameter.grad for parameter in model.parameters()]

    def copied() -> None:
        run()
        for parameter, gradient in zip(model.parameters(), gradients, strict=True):
            assert gradient is not None
            assert parameter.grad is not None
            gradient.copy_(parameter.grad)
            parameter.grad = gradient

    return copied, results


def an_epoch(config: RunConfig, device: str, passes: ForwardBackward) -> list[Tensor]:
    """Loss, cross-entropy and state of every window, and the parameters in the end."""
    model = LanguageModel(config.model, VOCAB_SIZE)
    model.reset_parameters(generator(3, "parameters"))
    model = model.to(device)
    state, values, draws = model.initial_state(STREAMS), [], torch.Generator().manual_seed(1)
    for number, steps in enumerate(LENGTHS):
        words = torch.randint(VOCAB_SIZE, (steps + 1, STREAMS), generator=draws).to(device)
        masks = model.draw_masks(STREAMS, generator(3, "masks", number))
        result = training_step(model, 0.1, words[:-1], words[1:], state, masks, config, passes=passes)
        state = result.state
        values += [torch.tensor([result.loss_sum, result.cross_entropy_sum]), *state]
    return [*values, *(parameter.detach() for parameter in model.parameters())]


@pytest.mark.parametrize("loss", ["al", "ce"])
@pytest.mark.parametrize("model", MODELS)
def test_an_epoch_of_replays_is_an_epoch_of_passes(monkeypatch: pytest.MonkeyPatch, model: str, loss: str) -> None:
    config, graphed = config_of(model, loss, "float32"), GraphedForwardBackward()

    def passes(model: LanguageModel, *arguments: Any) -> WindowResult:
        capture = partial(into_the_same_gradients, model)
        monkeypatch.setattr("tiedlm.native.cuda_graph.CudaGraph", partial(CudaGraph, capture=capture))
        return graphed(model, *arguments)

    truth = an_epoch(config, "cpu", forward_backward)
    for actual, expected in zip(an_epoch(config, "cpu", passes), truth, strict=True):
        assert_close(actual, expected, 1e-5)


@pytest.mark.parametrize("device", [GPU])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("loss", ["al", "ce"])
@pytest.mark.parametrize("model", MODELS)
def test_a_graph_is_the_passes(model: str, loss: str, precision: str, device: str) -> None:
    config = config_of(model, loss, precision)
    truth = an_epoch(config, device, forward_backward)
    for actual, expected in zip(an_epoch(config, device, GraphedForwardBackward()), truth, strict=True):
        assert_close(actual.cpu(), expected.cpu(), 1e-4 if precision == "float32" else 1e-2)


@pytest.mark.parametrize("name", [name for name in MODELS if name != "untied"])  # its gradient is sparse on a CPU
def test_nothing_is_read_on_the_way_through_a_model(name: str) -> None:
    model = LanguageModel(MODELS[name], VOCAB_SIZE)
    masks, words = model.draw_masks(STREAMS, generator(3, "masks")), torch.randint(VOCAB_SIZE, (STEPS, STREAMS))
    with NoReading(), model.tables.fused_embedding_grad():
        features, _ = model(words, model.initial_state(STREAMS), masks)
        (features.sum() + model.classifier.square().sum()).backward()
