"""The VD-LSTM language model against the paper's words: masks, state, tying, projection."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from oracles import lstm as oracle
from support.compare import assert_close
from tiedlm.errors import ArgumentError
from tiedlm.models.config import LSTMConfig
from tiedlm.models.lstm import LSTMLanguageModel

WORDS = 11
TOKENS = torch.tensor([[3, 0, 7], [10, 3, 3], [1, 5, 0], [2, 2, 9]])
SIZES: dict[str, dict[str, Any]] = {
    "tied": {"units": 5, "tied": True},
    "untied": {"units": 5},
    "untied, narrow vectors": {"units": 5, "embedding_width": 3},
    "projected": {"units": 5, "embedding_width": 3, "tied": True, "project": True},
    "one layer": {"units": 4, "layers": 1, "tied": True},
    "four layers": {"units": 3, "layers": 4},
}


def model_of(keep: float = 1.0, **config: Any) -> LSTMLanguageModel:
    """A model in float64 with weights far from 0, and its state too."""
    settings = LSTMConfig(keep_input=keep, keep_hidden=keep, init_range=0.8, **config)
    model = LSTMLanguageModel(settings, WORDS).double()
    model.reset_parameters(torch.Generator().manual_seed(3))
    return model


def started(model: LSTMLanguageModel, streams: int = 3) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(4)
    return tuple(torch.empty_like(part).uniform_(-1, 1, generator=generator) for part in model.initial_state(streams))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def truth(model: LSTMLanguageModel, tokens: torch.Tensor, state: Any, masks: Any) -> tuple[np.ndarray, Any]:
    """The oracle's features and state, from the model's parameters by name."""
    named = {name: parameter.detach().numpy() for name, parameter in model.named_parameters()}
    layers = []
    for k in range(model.config.layers):
        names = ("weight_input", "weight_hidden", "bias")
        mask = np.ones((tokens.shape[1], model.config.units)) if masks is None else masks[1 + k].numpy()
        weight_input, weight_hidden, bias = (named[f"layers.{k}.{name}"] for name in names)
        layers.append(oracle.Layer(weight_input, weight_hidden, bias, mask))
    vectors = named["tables.weight" if model.config.tied else "tables.embedding"][tokens.numpy()]
    first = None if masks is None else masks[0].numpy()
    features, state = oracle.network(layers, vectors, tuple(part.detach().numpy() for part in state), first)
    return features @ named["projection.weight"].T if model.config.project else features, state


@pytest.mark.parametrize("keep", [1.0, 0.6])
@pytest.mark.parametrize("sizes", SIZES.values(), ids=list(SIZES))
def test_agrees_with_the_oracle_over_two_windows(sizes: dict[str, Any], keep: float) -> None:
    model = model_of(keep, **sizes)
    state = due_state = started(model)
    for window in range(2):
        masks = model.draw_masks(3, seeded(window))
        features, state = model(TOKENS, state, masks)
        due, due_state = truth(model, TOKENS, [torch.as_tensor(part) for part in due_state], masks)
        assert_close(features, due, 1e-12, f"features of window {window}")
        for name, part, right in zip(("raw h", "c"), state, due_state, strict=True):
            assert_close(part, right, 1e-12, f"{name} after window {window}")


@pytest.mark.parametrize("sizes", SIZES.values(), ids=list(SIZES))
def test_features_state_and_tables_have_the_shapes_of_the_contract(sizes: dict[str, Any]) -> None:
    model = model_of(**sizes)
    config = model.config
    state = model.initial_state(3)
    assert all((part == 0).all() for part in state)
    features, after = model(TOKENS, state)
    assert features.shape == (4, 3, model.classifier.shape[1])
    assert [part.shape for part in after] == [(config.layers, 3, config.units)] * 2
    assert model.classifier.shape[0] == WORDS
    assert model.table.shape == (WORDS, config.width)
    assert (model.table is model.classifier) == config.tied
    assert (model.bias is None) == config.tied
    logits = features @ model.classifier.T + (0 if model.bias is None else model.bias)
    assert_close(model.logits(features), logits, 1e-14)


def test_without_masks_it_is_a_stack_of_stock_lstms() -> None:
    model = model_of(units=5, layers=2)
    stock = torch.nn.LSTM(5, 5, 2, dtype=torch.float64)
    named = dict(model.named_parameters())
    with torch.no_grad():
        for k in range(2):
            getattr(stock, f"weight_ih_l{k}").copy_(named[f"layers.{k}.weight_input"])
            getattr(stock, f"weight_hh_l{k}").copy_(named[f"layers.{k}.weight_hidden"])
            getattr(stock, f"bias_ih_l{k}").copy_(named[f"layers.{k}.bias"])
            getattr(stock, f"bias_hh_l{k}").zero_()
    state = started(model)
    features, (h, c) = model(TOKENS, state)
    vectors = model.table.detach()[TOKENS]
    due, (due_h, due_c) = stock(vectors, state)
    assert_close(features, due, 1e-13)
    assert_close(h, due_h, 1e-13)
    assert_close(c, due_c, 1e-13)
    features.square().sum().backward()
    due.square().sum().backward()
    for k in range(2):
        for ours, theirs in (("weight_input", "weight_ih"), ("weight_hidden", "weight_hh"), ("bias", "bias_ih")):
            assert_close(named[f"layers.{k}.{ours}"].grad, getattr(stock, f"{theirs}_l{k}").grad, 1e-12)


def test_masks_are_those_of_x_and_of_every_layer_as_configured() -> None:
    model = LSTMLanguageModel(LSTMConfig(units=400, embedding_width=300, keep_input=0.9, keep_hidden=0.4), WORDS)
    masks = model.draw_masks(6, seeded())
    assert masks is not None
    assert [mask.shape for mask in masks if mask is not None] == [(6, 300), (6, 400), (6, 400)]
    for mask, keep in zip(masks, (0.9, 0.4, 0.4), strict=True):
        assert mask is not None
        assert mask.unique().tolist() == pytest.approx([0.0, 1 / keep])
        assert (mask != 0).float().mean().item() == pytest.approx(keep, abs=0.05)
    assert not torch.equal(masks[1], masks[2])  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("keep_input", "keep_hidden", "drawn"),
    [(1.0, 1.0, None), (0.5, 1.0, [True, False, False]), (1.0, 0.5, [False, True, True])],
)
def test_what_is_kept_for_certain_has_no_mask(keep_input: float, keep_hidden: float, drawn: list[bool] | None) -> None:
    model = LSTMLanguageModel(LSTMConfig(units=4, keep_input=keep_input, keep_hidden=keep_hidden), WORDS)
    masks = model.draw_masks(3, seeded())
    assert (None if masks is None else [mask is not None for mask in masks]) == drawn
    features, _ = model(TOKENS, model.initial_state(3), masks)
    assert torch.isfinite(features).all()


def test_masks_have_the_type_of_the_model_and_the_draws_of_the_generator() -> None:
    model = model_of(0.5, units=40)
    masks, again, other = (model.draw_masks(3, seeded(seed)) for seed in (1, 1, 2))
    for mask, same, different in zip(masks or [], again or [], other or [], strict=True):
        assert mask is not None
        assert mask.dtype == torch.float64
        assert torch.equal(mask, same)  # pyright: ignore[reportArgumentType]
        assert not torch.equal(mask, different)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("layer", [0, 1])
def test_one_mask_serves_time_and_depth_at_every_step(layer: int) -> None:
    """Whatever the weights are that read a dropped unit, in its own layer or the next, nothing moves at any step."""
    model = model_of(0.5, units=6)
    masks = model.draw_masks(3, seeded(5))
    assert masks is not None
    mask = masks[1 + layer]
    assert mask is not None
    state = started(model)
    features, (h, _) = model(TOKENS, state, masks)
    for stream in range(3):
        dropped = mask[stream] == 0
        assert dropped.any()
        assert not dropped.all()
        spoilt = model_of(0.5, units=6)
        with torch.no_grad():
            for name, parameter in spoilt.named_parameters():
                reads = {f"layers.{layer}.weight_hidden", f"layers.{layer + 1}.weight_input"}
                if name in reads or (layer == 1 and name == "tables.weight"):
                    parameter[:, dropped] += 100.0
        other, (other_h, _) = spoilt(TOKENS, state, masks)
        assert_close(other[:, stream], features[:, stream], 1e-14)
        assert_close(spoilt.logits(other)[:, stream], model.logits(features)[:, stream], 1e-13)
        assert_close(other_h[:, stream], h[:, stream], 1e-14)


def test_the_mask_on_x_is_held_for_all_steps() -> None:
    model = model_of(0.5, units=6)
    masks = model.draw_masks(3, seeded(6))
    assert masks is not None
    assert masks[0] is not None
    features, _ = model(TOKENS, started(model), masks)
    for stream in range(3):
        spoilt = model_of(0.5, units=6)
        with torch.no_grad():
            vectors = dict(spoilt.named_parameters())["tables.embedding"]
            vectors[:, masks[0][stream] == 0] += 100.0
        other, _ = spoilt(TOKENS, started(model), masks)
        assert_close(other[:, stream], features[:, stream], 1e-14)


def test_the_state_carries_everything_from_window_to_window() -> None:
    model = model_of(units=5)
    whole, state = model(TOKENS, started(model))
    first, between = model(TOKENS[:1], started(model))
    second, after = model(TOKENS[1:], between)
    assert_close(torch.cat([first, second]), whole, 1e-14)
    for part, due in zip(after, state, strict=True):
        assert_close(part, due, 1e-14)


def test_a_state_carried_raw_is_masked_by_the_window_it_enters() -> None:
    model = model_of(0.5, units=8, layers=1)
    first, second = (model.draw_masks(3, seeded(seed)) for seed in (1, 2))
    assert first is not None
    assert second is not None
    _, state = model(TOKENS, started(model), first)
    assert (state[0] != 0).all()
    dropped_now = second[1] == 0
    moved = (state[0] + 5.0 * dropped_now, state[1])
    one, two = (model(TOKENS, each, second)[0] for each in (state, moved))
    assert_close(one, two, 1e-14)
    kept_now = state[0] + 5.0 * ~dropped_now, state[1]
    assert (model(TOKENS, kept_now, second)[0] - one).abs().max() > 1e-3


@pytest.mark.parametrize("tied", [True, False])
def test_gradients_reach_every_parameter(tied: bool) -> None:
    model = model_of(0.5, units=5, tied=tied)
    features, _ = model(TOKENS, model.initial_state(3), model.draw_masks(3, seeded()))
    model.logits(features).log_softmax(-1)[..., 0].sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_parameters_start_uniform_in_their_range_and_by_the_generator() -> None:
    model = LSTMLanguageModel(LSTMConfig(units=30, init_range=0.04), 500)
    model.reset_parameters(seeded(1))
    first = torch.cat([parameter.detach().flatten() for parameter in model.parameters()])
    assert first.abs().max() <= 0.04
    for name, parameter in model.named_parameters():
        assert parameter.detach().abs().max() > 0.03, name
        assert parameter.detach().mean().abs() < 4.5 * 0.04 / (3 * parameter.numel()) ** 0.5, name
    model.reset_parameters(seeded(2))
    other = torch.cat([parameter.detach().flatten() for parameter in model.parameters()])
    model.reset_parameters(seeded(1))
    again = torch.cat([parameter.detach().flatten() for parameter in model.parameters()])
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


WINDOW = {"tokens": TOKENS, "state": (torch.zeros(2, 3, 5), torch.zeros(2, 3, 5)), "masks": None}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"tokens": TOKENS[0]}, r"tokens are torch\.int64 \[3\], but must be word ids \[steps, streams\]"),
        ({"tokens": TOKENS.float()}, r"tokens are torch\.float32 \[4, 3\], but must be word ids"),
        ({"tokens": TOKENS[:0]}, r"inputs have the shape \[0, 3, 5\], but .* at least one step"),
        ({"tokens": TOKENS[:, :2]}, r"the state holds the shapes \[\[2, 3, 5\], \[2, 3, 5\]\], .* of \[2, 2, 5\] each"),
        ({"state": (torch.zeros(1, 3, 5), torch.zeros(2, 3, 5))}, r"the state holds .* Start from initial_state"),
        ({"state": (torch.zeros(2, 3, 5),)}, r"the state holds the shapes \[\[2, 3, 5\]\], but must be h and c"),
        (
            {"masks": []},
            r"0 masks arrived, but 3 are due: one on the word vectors, one on layer 1, one on layer 2; or None",
        ),
        ({"masks": [None, None]}, r"2 masks arrived, but 3 are due"),
        ({"masks": [torch.ones(1, 5), None, None]}, r"the mask on the word vectors .* \[1, 5\], but must be \[3, 5\]"),
        (
            {"masks": [None, torch.ones(1, 5), None]},
            r"the mask on layer 1 has the shape \[1, 5\], but must be \[3, 5\]",
        ),
    ],
)
def test_a_window_that_does_not_fit_is_refused(wrong: dict[str, Any], message: str) -> None:
    model = LSTMLanguageModel(LSTMConfig(units=5), WORDS)
    with pytest.raises(ArgumentError, match=f"^{message}"):
        model(**{**WINDOW, **wrong})
