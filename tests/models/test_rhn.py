"""The VD-RHN language model: the oracle's layers under the authors' four masks, state, tying, start."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from oracles import rhn as oracle
from support.compare import assert_close
from tiedlm.errors import ArgumentError
from tiedlm.models.config import RHNConfig
from tiedlm.models.rhn import RHNLanguageModel

WORDS = 11
TOKENS = torch.tensor([[3, 0, 7], [10, 3, 3], [1, 5, 0], [3, 2, 9]])
KEEPS: dict[str, Any] = {"keep_words": 0.7, "keep_input": 0.5, "keep_state": 0.6, "keep_output": 0.4}
SIZES: dict[str, dict[str, Any]] = {
    "tied": {"units": 5, "depth": 3, "tied": True},
    "untied, of depth 1": {"units": 5, "depth": 1},
    "two layers": {"units": 3, "depth": 2, "layers": 2},
    "of depth 10": {"units": 3, "depth": 10},
}


def model_of(**config: Any) -> RHNLanguageModel:
    model = RHNLanguageModel(RHNConfig(init_range=0.8, **config), WORDS).double()
    model.reset_parameters(torch.Generator().manual_seed(3))
    return model


def started(model: RHNLanguageModel) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(4)
    return tuple(torch.empty_like(part).uniform_(-1, 1, generator=generator) for part in model.initial_state(3))


def truth(model: RHNLanguageModel, state: np.ndarray, masks: Any) -> tuple[np.ndarray, np.ndarray]:
    """The oracle's features and state, from the model's parameters by name."""
    named = {name: parameter.detach().numpy() for name, parameter in model.named_parameters()}
    config, tokens = model.config, TOKENS.numpy()
    whole = np.ones((3, config.units))
    arrays = [None if mask is None else mask.numpy() for mask in masks or [None] * (2 + 2 * config.layers)]
    layers = []
    for k in range(config.layers):
        weights = (named[f"layers.{k}.{name}"] for name in ("weight_input", "weight_hidden", "bias"))
        pair = [whole if mask is None else mask for mask in arrays[1 + 2 * k : 3 + 2 * k]]
        layers.append(oracle.Layer(*weights, *pair))
    vectors = named["tables.weight" if config.tied else "tables.embedding"][tokens]
    if arrays[0] is not None:
        for t, b in np.ndindex(tokens.shape):
            vectors[t, b] *= arrays[0][b, tokens[t, b]]
    return oracle.network(layers, vectors, state, arrays[-1])


@pytest.mark.parametrize(
    "keeps", [{}, KEEPS, {"keep_words": 0.5}, {"keep_state": 0.5}], ids=lambda keeps: str([*keeps])
)
@pytest.mark.parametrize("sizes", SIZES.values(), ids=list(SIZES))
def test_agrees_with_the_oracle_over_two_windows(sizes: dict[str, Any], keeps: dict[str, float]) -> None:
    model = model_of(**sizes, **keeps)
    state = started(model)
    due_state = state[0].numpy()
    for window in range(2):
        masks = model.draw_masks(3, torch.Generator().manual_seed(window))
        assert (masks is None) == (not keeps)
        features, state = model(TOKENS, state, masks)
        due, due_state = truth(model, due_state, masks)
        assert_close(features, due, 1e-12, f"features of window {window}")
        assert_close(state[0], due_state, 1e-12, f"s after window {window}")
    assert (model.table is model.classifier) == model.config.tied
    assert (model.bias is None) == model.config.tied


def test_masks_are_as_configured() -> None:
    model = RHNLanguageModel(RHNConfig(units=300, depth=2, layers=2, **KEEPS), 400)
    masks = model.draw_masks(6, torch.Generator().manual_seed(0))
    assert masks is not None
    for mask, width, keep in zip(masks, (400, 300, 300, 300, 300, 300), (0.7, 0.5, 0.6, 0.5, 0.6, 0.4), strict=True):
        assert mask is not None
        assert mask.shape == (6, width)
        assert mask.unique().tolist() == pytest.approx([0.0, 1 / keep])
        assert (mask != 0).float().mean().item() == pytest.approx(keep, abs=0.05)
    single = RHNLanguageModel(RHNConfig(units=4, keep_output=0.5), WORDS).draw_masks(3, torch.Generator())
    assert single is not None
    assert [mask is not None for mask in single] == [False, False, False, True]


def test_a_dropped_word_is_dropped_wherever_it_stands_in_its_stream_and_in_no_other() -> None:
    model = model_of(units=5, depth=2)
    mask = torch.ones(3, WORDS, dtype=torch.float64)
    mask[0, 3] = 0.0
    masks = [mask, None, None, None]
    spoilt = model_of(units=5, depth=2)
    with torch.no_grad():
        dict(spoilt.named_parameters())["tables.embedding"][3] += 100.0
    state = started(model)
    one, other = (each(TOKENS, state, masks)[0] for each in (model, spoilt))
    assert_close(other[:, 0], one[:, 0], 1e-14)
    assert (other[1:, 1] - one[1:, 1]).abs().max() > 1e-3


@pytest.mark.parametrize("tied", [True, False])
def test_gradients_reach_every_parameter(tied: bool) -> None:
    model = model_of(units=5, depth=3, tied=tied, **KEEPS)
    features, _ = model(TOKENS, model.initial_state(3), model.draw_masks(3, torch.Generator().manual_seed(0)))
    model.logits(features).log_softmax(-1)[..., 0].sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_parameters_start_uniform_but_for_the_transform_gates_biases() -> None:
    model = RHNLanguageModel(RHNConfig(units=30, depth=3, layers=2, init_range=0.04, transform_bias=-2.5), 50)
    for name, parameter in model.named_parameters():
        values = parameter.detach()
        if name.endswith(".bias") and "layers" in name:
            assert (values[:, 30:] == -2.5).all()
            values = values[:, :30]
        assert 0.03 < values.abs().max() <= 0.04, name
    assert model.parameter_count() == 2 * 50 * 30 + 50 + 2 * (2 * 30 * 30 + 3 * 2 * 30 * (30 + 1))
    model.reset_parameters(torch.Generator().manual_seed(1))
    first = [parameter.detach().clone() for parameter in model.parameters()]
    model.reset_parameters(torch.Generator().manual_seed(1))
    assert all(torch.equal(old, new) for old, new in zip(first, model.parameters(), strict=True))


@pytest.mark.parametrize(
    ("tied", "depth", "units", "millions"),
    [(False, 10, 830, 31.78), (True, 10, 830, 23.47), (False, 8, 890, 32.08), (True, 9, 860, 23.41)],
)
def test_the_published_networks_have_the_published_size(tied: bool, depth: int, units: int, millions: float) -> None:
    with torch.device("meta"):
        model = RHNLanguageModel(RHNConfig(units=units, depth=depth, tied=tied), 10_000)
    assert round(model.parameter_count() / 1e6, 2) == millions


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"tokens": TOKENS.float()}, r"tokens are torch\.float32 \[4, 3\], but must be word ids"),
        (
            {"state": (torch.zeros(1, 2, 5),)},
            r"the state holds the shapes \[\[1, 2, 5\]\], but must be s of \[1, 3, 5\]",
        ),
        ({"masks": [None]}, r"1 masks arrived, but 4 are due: one on the words, one on the input of layer 1, one on"),
        ({"masks": [torch.ones(3, 5), None, None, None]}, r"the mask on the words .* \[3, 5\], but must be \[3, 11\]"),
        ({"masks": [None, None, torch.ones(3, 4), None]}, r"the mask on the state of layer 1 has the shape \[3, 4\]"),
    ],
)
def test_a_window_that_does_not_fit_is_refused(wrong: dict[str, Any], message: str) -> None:
    model = RHNLanguageModel(RHNConfig(units=5, depth=2), WORDS)
    with pytest.raises(ArgumentError, match=f"^{message}"):
        model(**{"tokens": TOKENS, "state": model.initial_state(3), **wrong})
