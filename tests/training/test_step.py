"""One training step: its scale, its clipping, and what a failed one leaves behind."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from support.small_text import small_config
from tiedlm.errors import TrainingError
from tiedlm.losses.augmented import linear_augmented_cross_entropy, linear_augmented_terms
from tiedlm.nn.model import LanguageModel
from tiedlm.runs.config import LossConfig, RunConfig
from tiedlm.training.step import train_window

WORDS = 11


@pytest.fixture(params=[True, False], ids=["tied", "untied"])
def config(tmp_path: Path, request: pytest.FixtureRequest) -> RunConfig:
    small = small_config(tmp_path)
    return replace(small, loss=LossConfig(), model=replace(small.model, tied=request.param))


def build(config: RunConfig) -> LanguageModel:
    model = LanguageModel(config.model, WORDS)
    model.reset_parameters(torch.Generator().manual_seed(0))
    return model


def window() -> tuple[torch.Tensor, torch.Tensor]:
    tokens = torch.randint(0, WORDS, (6, 4), generator=torch.Generator().manual_seed(1))
    return tokens[:-1], tokens[1:]


def gradient(loss: torch.Tensor, model: LanguageModel) -> torch.Tensor:
    return torch.cat([one.flatten() for one in torch.autograd.grad(loss, list(model.parameters()))])


def moved(before: dict[str, torch.Tensor], model: LanguageModel) -> torch.Tensor:
    return torch.cat([(before[name] - value).flatten() for name, value in model.state_dict().items()])


def snapshot(model: LanguageModel) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def test_update_is_the_gradient_of_the_loss_summed_over_steps_and_averaged_over_streams(config: RunConfig) -> None:
    config = replace(config, training=replace(config.training, clip_norm=1e6))
    model, (inputs, targets) = build(config), window()
    features, _ = model(inputs, model.initial_state(4))
    loss = F.cross_entropy(model.logits(features).flatten(0, 1), targets.flatten(), reduction="sum") / 4
    expected = gradient(loss, model)
    before = snapshot(model)
    result = train_window(model, 0.25, inputs, targets, model.initial_state(4), None, config)
    assert result.cross_entropy_sum == pytest.approx(4 * float(loss.detach()), rel=1e-6)
    assert result.loss_sum == pytest.approx(result.cross_entropy_sum, rel=1e-7)
    torch.testing.assert_close(moved(before, model) / 0.25, expected, rtol=1e-4, atol=1e-5 * float(expected.norm()))


def test_long_gradients_are_scaled_to_the_clipping_norm(config: RunConfig) -> None:
    config = replace(config, training=replace(config.training, clip_norm=0.01))
    model, (inputs, targets) = build(config), window()
    before = snapshot(model)
    train_window(model, 1.0, inputs, targets, model.initial_state(4), None, config)
    assert float(moved(before, model).norm()) == pytest.approx(0.01, rel=1e-3)


@pytest.mark.parametrize("clip_norm", [1e6, 0.5])
def test_weight_decay_is_added_to_the_gradient_of_every_parameter_before_it_is_clipped(
    config: RunConfig, clip_norm: float
) -> None:
    config = replace(config, training=replace(config.training, clip_norm=clip_norm, weight_decay=0.3))
    model, (inputs, targets) = build(config), window()
    features, _ = model(inputs, model.initial_state(4))
    loss = F.cross_entropy(model.logits(features).flatten(0, 1), targets.flatten(), reduction="sum") / 4
    loss = loss + 0.3 / 2 * sum(parameter.square().sum() for parameter in model.parameters())
    expected = gradient(loss, model)
    expected = expected * min(1.0, clip_norm / float(expected.norm()))
    before = snapshot(model)
    result = train_window(model, 0.25, inputs, targets, model.initial_state(4), None, config)
    assert result.loss_sum == pytest.approx(result.cross_entropy_sum, rel=1e-7)
    torch.testing.assert_close(moved(before, model) / 0.25, expected, rtol=1e-4, atol=1e-5 * float(expected.norm()))


@pytest.mark.parametrize("detach_target", [False, True])
def test_augmented_loss_is_taught_by_the_word_vectors_through_a_target_that_may_be_detached(
    config: RunConfig, detach_target: bool
) -> None:
    options = LossConfig(gamma=0.5, temperature=2.0, detach_target=detach_target)
    config = replace(config, loss=options, training=replace(config.training, clip_norm=1e6))
    model, (inputs, targets) = build(config), window()
    features, _ = model(inputs, model.initial_state(4))
    loss = linear_augmented_cross_entropy(
        features,
        model.classifier,
        targets,
        table=model.table,
        bias=model.bias,
        temperature=2.0,
        gamma=0.5,
        detach_target=detach_target,
        reduction="sum",
    )
    expected, before = gradient(loss / 4, model), snapshot(model)
    result = train_window(model, 0.25, inputs, targets, model.initial_state(4), None, config)
    assert result.loss_sum == pytest.approx(float(loss.detach()), rel=1e-6)
    assert result.loss_sum > result.cross_entropy_sum
    torch.testing.assert_close(moved(before, model) / 0.25, expected, rtol=1e-4, atol=1e-5 * float(expected.norm()))


@pytest.mark.parametrize("clip_norm", [1e6, 0.5])
def test_table_decay_is_added_to_the_gradient_of_the_classifiers_table_alone(
    config: RunConfig, clip_norm: float
) -> None:
    config = replace(config, training=replace(config.training, clip_norm=clip_norm, table_decay=0.3))
    model, (inputs, targets) = build(config), window()
    features, _ = model(inputs, model.initial_state(4))
    loss = F.cross_entropy(model.logits(features).flatten(0, 1), targets.flatten(), reduction="sum") / 4
    expected = gradient(loss + 0.3 / 2 * model.classifier.square().sum(), model)
    expected = expected * min(1.0, clip_norm / float(expected.norm()))
    before = snapshot(model)
    train_window(model, 0.25, inputs, targets, model.initial_state(4), None, config)
    torch.testing.assert_close(moved(before, model) / 0.25, expected, rtol=1e-4, atol=1e-5 * float(expected.norm()))


@pytest.mark.parametrize("gamma", [0.0, 0.5])
def test_label_smoothing_is_pytorchs_on_the_hard_part(config: RunConfig, gamma: float) -> None:
    options = LossConfig(label_smoothing=0.3, gamma=gamma, temperature=2.0 if gamma else None)
    config = replace(config, loss=options, training=replace(config.training, clip_norm=1e6))
    model, (inputs, targets) = build(config), window()
    features, _ = model(inputs, model.initial_state(4))
    logits = model.logits(features).flatten(0, 1)
    loss = F.cross_entropy(logits, targets.flatten(), reduction="sum", label_smoothing=0.3)
    tables = {"table": model.table, "temperature": 2.0, "gamma": 0.5, "reduction": "sum"}
    terms = linear_augmented_terms(features, model.classifier, targets, bias=model.bias, **tables)  # pyright: ignore[reportArgumentType]
    if gamma:
        hard = F.cross_entropy(logits, targets.flatten(), reduction="sum")
        loss = loss + terms.total - hard
    expected, before = gradient(loss / 4, model), snapshot(model)
    result = train_window(model, 0.25, inputs, targets, model.initial_state(4), None, config)
    assert result.loss_sum == pytest.approx(float(loss.detach()), rel=1e-6)
    assert result.cross_entropy_sum == pytest.approx(float(terms.cross_entropy), rel=1e-6)
    torch.testing.assert_close(moved(before, model) / 0.25, expected, rtol=1e-4, atol=1e-5 * float(expected.norm()))


def test_a_uniform_target_teaches_every_word_alike(config: RunConfig) -> None:
    options = LossConfig(gamma=0.5, temperature=2.0, target="uniform")
    config = replace(config, loss=options, training=replace(config.training, clip_norm=1e6))
    model, (inputs, targets) = build(config), window()
    features, _ = model(inputs, model.initial_state(4))
    hard = F.cross_entropy(model.logits(features).flatten(0, 1), targets.flatten(), reduction="sum")
    softened = F.log_softmax(features @ model.classifier.T / 2.0, dim=-1)
    divergence = (-math.log(WORDS) - softened).mean(-1).sum()
    loss = hard + 0.5 * 2.0 * divergence
    expected, before = gradient(loss / 4, model), snapshot(model)
    result = train_window(model, 0.25, inputs, targets, model.initial_state(4), None, config)
    assert result.loss_sum == pytest.approx(float(loss.detach()), rel=1e-6)
    torch.testing.assert_close(moved(before, model) / 0.25, expected, rtol=1e-4, atol=1e-5 * float(expected.norm()))


def test_carried_state_has_no_history(config: RunConfig) -> None:
    model, (inputs, targets) = build(config), window()
    result = train_window(model, 0.1, inputs, targets, model.initial_state(4), None, config)
    assert not any(tensor.requires_grad for tensor in result.carried)
    assert all(float(tensor.abs().sum()) > 0 for tensor in result.carried)


def test_loss_that_is_not_finite_changes_nothing(config: RunConfig) -> None:
    model, (inputs, targets) = build(config), window()
    with torch.no_grad():
        next(model.parameters())[0, 0] = float("nan")
    before = snapshot(model)
    with pytest.raises(TrainingError, match="loss is nan"):
        train_window(model, 1.0, inputs, targets, model.initial_state(4), None, config)
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0, equal_nan=True)


def test_gradient_that_is_not_finite_changes_nothing(config: RunConfig) -> None:
    model, (inputs, targets) = build(config), window()
    parameter = next(model.parameters())
    parameter.register_hook(lambda gradient: gradient * float("inf"))
    before = snapshot(model)
    with pytest.raises(TrainingError, match="norm of the gradient"):
        train_window(model, 1.0, inputs, targets, model.initial_state(4), None, config)
    assert float(moved(before, model).abs().max()) == 0


def test_bfloat16_products_change_little_and_something(config: RunConfig) -> None:
    low = replace(config, runtime=replace(config.runtime, precision="bfloat16"))
    losses = []
    for each in (config, low):
        model, (inputs, targets) = build(each), window()
        losses.append(train_window(model, 0.1, inputs, targets, model.initial_state(4), None, each).loss_sum)
    assert losses[0] != losses[1]
    assert losses[1] == pytest.approx(losses[0], rel=1e-2)
