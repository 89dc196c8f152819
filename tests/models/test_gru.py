"""The GRU language model: the oracle's layers under the VD-LSTM's masks, state, tying, projection."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from oracles import gru as oracle
from support.compare import assert_close
from tiedlm.errors import ArgumentError
from tiedlm.models.config import GRUConfig
from tiedlm.models.gru import GRULanguageModel

WORDS = 11
TOKENS = torch.tensor([[3, 0, 7], [10, 3, 3], [1, 5, 0], [2, 2, 9]])
SIZES: dict[str, dict[str, Any]] = {
    "tied": {"units": 5, "tied": True},
    "untied, narrow vectors": {"units": 5, "embedding_width": 3},
    "projected": {"units": 5, "embedding_width": 3, "tied": True, "project": True},
    "three layers": {"units": 3, "layers": 3},
}


def model_of(keep: float = 1.0, **config: Any) -> GRULanguageModel:
    settings = GRUConfig(keep_input=keep, keep_hidden=keep, init_range=0.8, **config)
    model = GRULanguageModel(settings, WORDS).double()
    model.reset_parameters(torch.Generator().manual_seed(3))
    return model


def started(model: GRULanguageModel) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(4)
    return tuple(torch.empty_like(part).uniform_(-1, 1, generator=generator) for part in model.initial_state(3))


def truth(model: GRULanguageModel, state: np.ndarray, masks: Any) -> tuple[np.ndarray, np.ndarray]:
    """The oracle's features and state, from the model's parameters by name."""
    named = {name: parameter.detach().numpy() for name, parameter in model.named_parameters()}
    layers = []
    for k in range(model.config.layers):
        mask = np.ones((3, model.config.units)) if masks is None else masks[1 + k].numpy()
        names = ("weight_input", "weight_hidden", "bias_input", "bias_hidden")
        layers.append(oracle.Layer(*(named[f"layers.{k}.{name}"] for name in names), mask=mask))
    vectors = named["tables.weight" if model.config.tied else "tables.embedding"][TOKENS.numpy()]
    features, after = oracle.network(layers, vectors, state, None if masks is None else masks[0].numpy())
    return features @ named["projection.weight"].T if model.config.project else features, after


@pytest.mark.parametrize("keep", [1.0, 0.6])
@pytest.mark.parametrize("sizes", SIZES.values(), ids=list(SIZES))
def test_agrees_with_the_oracle_over_two_windows(sizes: dict[str, Any], keep: float) -> None:
    model = model_of(keep, **sizes)
    state = started(model)
    due_state = state[0].numpy()
    for window in range(2):
        masks = model.draw_masks(3, torch.Generator().manual_seed(window))
        features, state = model(TOKENS, state, masks)
        due, due_state = truth(model, due_state, masks)
        assert_close(features, due, 1e-12, f"features of window {window}")
        assert_close(state[0], due_state, 1e-12, f"raw h after window {window}")


def test_without_masks_it_is_a_stack_of_stock_grus() -> None:
    model = model_of(units=5, layers=2)
    stock = torch.nn.GRU(5, 5, 2, dtype=torch.float64)
    named = dict(model.named_parameters())
    places = {
        "weight_input": "weight_ih",
        "weight_hidden": "weight_hh",
        "bias_input": "bias_ih",
        "bias_hidden": "bias_hh",
    }
    with torch.no_grad():
        for k in range(2):
            for ours, theirs in places.items():
                getattr(stock, f"{theirs}_l{k}").copy_(named[f"layers.{k}.{ours}"])
    state = started(model)
    features, (h,) = model(TOKENS, state)
    due, due_h = stock(model.table.detach()[TOKENS], state[0])
    assert_close(features, due, 1e-13)
    assert_close(h, due_h, 1e-13)


@pytest.mark.parametrize("tied", [True, False])
def test_gradients_reach_every_parameter(tied: bool) -> None:
    model = model_of(0.5, units=5, tied=tied)
    features, _ = model(TOKENS, model.initial_state(3), model.draw_masks(3, torch.Generator().manual_seed(0)))
    model.logits(features).log_softmax(-1)[..., 0].sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_parameters_start_uniform_in_their_range_and_are_as_many_as_the_equations_have() -> None:
    model = GRULanguageModel(GRUConfig(units=20, layers=2, tied=True, init_range=0.04), WORDS)
    assert model.parameter_count() == WORDS * 20 + 2 * 3 * 20 * (20 + 20 + 2)
    for name, parameter in model.named_parameters():
        assert 0.03 < parameter.detach().abs().max() <= 0.04, name


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"tokens": TOKENS[0]}, r"tokens are torch\.int64 \[3\], but must be word ids"),
        (
            {"state": (torch.zeros(2, 4, 5),)},
            r"the state holds the shapes \[\[2, 4, 5\]\], but must be h of \[2, 3, 5\]",
        ),
        ({"masks": [None]}, r"1 masks arrived, but 3 are due: one on the word vectors, one on layer 1, one on layer 2"),
        (
            {"masks": [None, None, torch.ones(3, 4)]},
            r"the mask on layer 2 has the shape \[3, 4\], but must be \[3, 5\]",
        ),
    ],
)
def test_a_window_that_does_not_fit_is_refused(wrong: dict[str, Any], message: str) -> None:
    model = GRULanguageModel(GRUConfig(units=5), WORDS)
    with pytest.raises(ArgumentError, match=f"^{message}"):
        model(**{"tokens": TOKENS, "state": model.initial_state(3), **wrong})
