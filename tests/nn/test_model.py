"""The language model over all configs: the oracles' layers under the paper's masks, state, tying, projection, start."""

import warnings
from typing import Any

import numpy as np
import pytest
import torch

from oracles import gru as gru_oracle
from oracles import lstm as lstm_oracle
from oracles import rhn as rhn_oracle
from support.compare import assert_close
from tiedlm.errors import ArgumentError
from tiedlm.nn import cells
from tiedlm.nn.config import GRUConfig, LSTMConfig, ModelConfig, RHNConfig
from tiedlm.nn.model import LanguageModel, State

WORDS = 11
TOKENS = torch.tensor([[3, 0, 7], [10, 3, 3], [1, 5, 0], [3, 2, 9]])
START: dict[str, Any] = {"init_range": 0.8}
GATED_SIZES: dict[str, dict[str, Any]] = {
    "tied": {"units": 5, "tied": True},
    "untied": {"units": 5},
    "untied, narrow vectors": {"units": 5, "embedding_width": 3},
    "projected": {"units": 5, "embedding_width": 3, "tied": True, "project": True},
    "one layer": {"units": 4, "layers": 1, "tied": True, "tied_bias": True},
    "four layers": {"units": 3, "layers": 4},
}
RHN_SIZES: dict[str, dict[str, Any]] = {
    "tied": {"units": 5, "depth": 3, "tied": True},
    "untied, of depth 1": {"units": 5, "depth": 1},
    "two layers": {"units": 3, "depth": 2, "layers": 2, "tied": True, "tied_bias": True},
    "of depth 10": {"units": 3, "depth": 10},
}
KEEPS: dict[str, Any] = {"keep_words": 0.7, "keep_input": 0.5, "keep_state": 0.6, "keep_output": 0.4}


def with_masks(config: ModelConfig, keep: float) -> ModelConfig:
    """The same config with every mask that it can have, at this probability."""
    names = [name for name in vars(config) if name.startswith("keep_")]
    changes: dict[str, Any] = {**vars(config), **dict.fromkeys(names, keep)}
    return type(config)(**changes)


CONFIGS: dict[str, ModelConfig] = {
    **{f"lstm, {name}": LSTMConfig(**START, **sizes) for name, sizes in GATED_SIZES.items()},
    **{f"gru, {name}": GRUConfig(**START, **sizes) for name, sizes in GATED_SIZES.items()},
    **{f"rhn, {name}": RHNConfig(**START, **sizes) for name, sizes in RHN_SIZES.items()},
}
every_config = pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def model_of(config: ModelConfig) -> LanguageModel:
    """A model in float64 with seeded weights far from 0."""
    model = LanguageModel(config, WORDS).double()
    model.reset_parameters(seeded(3))
    return model


def started(model: LanguageModel, streams: int = 3) -> State:
    """A state that is not 0."""
    generator = seeded(4)
    return tuple(torch.empty_like(part).uniform_(-1, 1, generator=generator) for part in model.initial_state(streams))


def truth(model: LanguageModel, state: list[np.ndarray], masks: Any) -> tuple[np.ndarray, list[np.ndarray]]:
    """The oracle's features and state, from the model's parameters by name."""
    named = {name: parameter.detach().numpy() for name, parameter in model.named_parameters()}
    config, tokens, streams = model.config, TOKENS.numpy(), TOKENS.shape[1]
    arrays = [None if mask is None else mask.numpy() for mask in masks or [None] * len(model.masks)]
    full = [
        np.ones((streams, spec.width)) if array is None else array
        for array, spec in zip(arrays, model.masks, strict=True)
    ]
    vectors = named["tables.weight" if config.tied else "tables.embedding"][tokens]

    def weights(k: int, *names: str) -> Any:
        return [named[f"layers.{k}.{name}"] for name in names]

    if isinstance(config, RHNConfig):
        of_rhn = [
            rhn_oracle.Layer(
                *weights(k, "weight_input", "weight_hidden", "bias"),
                input_mask=full[1 + 2 * k],
                state_mask=full[2 + 2 * k],
            )
            for k in range(config.layers)
        ]
        for t, b in np.ndindex(tokens.shape):
            vectors[t, b] *= full[0][b, tokens[t, b]]
        features, after = rhn_oracle.network(of_rhn, vectors, state[0], arrays[-1])
        return features, [after]
    if isinstance(config, GRUConfig):
        names = ("weight_input", "weight_hidden", "bias_input", "bias_hidden")
        of_gru = [gru_oracle.Layer(*weights(k, *names), mask=full[1 + k]) for k in range(config.layers)]
        features, last = gru_oracle.network(of_gru, vectors, state[0], arrays[0])
        after = [last]
    else:
        names = ("weight_input", "weight_hidden", "bias")
        of_lstm = [lstm_oracle.Layer(*weights(k, *names), mask=full[1 + k]) for k in range(config.layers)]
        features, both = lstm_oracle.network(of_lstm, vectors, (state[0], state[1]), arrays[0])
        after = list(both)
    return features @ named["projection.weight"].T if config.project else features, after


@every_config
@pytest.mark.parametrize("keep", [1.0, 0.6])
def test_agrees_with_the_oracle_over_two_windows(config: ModelConfig, keep: float) -> None:
    check_against_the_oracle(with_masks(config, keep))


@pytest.mark.parametrize("keeps", [KEEPS, *({name: 0.5} for name in KEEPS)], ids=lambda keeps: str([*keeps]))
def test_each_mask_of_the_rhn_alone_agrees_with_the_oracle(keeps: dict[str, Any]) -> None:
    check_against_the_oracle(RHNConfig(units=5, depth=3, layers=2, **START, **keeps))


def check_against_the_oracle(config: ModelConfig) -> None:
    model = model_of(config)
    state = started(model)
    true_state = [part.numpy() for part in state]
    for window in range(2):
        masks = model.draw_masks(3, seeded(window))
        features, state = model(TOKENS, state, masks)
        expected, true_state = truth(model, true_state, masks)
        assert_close(features, expected, 1e-12, f"features of window {window}")
        for name, part, true_part in zip(model.state_names, state, true_state, strict=True):
            assert_close(part, true_part, 1e-12, f"{name} after window {window}")


@every_config
def test_the_state_begins_at_zero_and_logits_have_the_bias_that_the_config_asks_for(config: ModelConfig) -> None:
    model = model_of(config)
    state = model.initial_state(3)
    assert all((part == 0).all() for part in state)
    features, _ = model(TOKENS, state)
    assert (model.bias is None) == (config.tied and not config.tied_bias)
    logits = features @ model.classifier.T + (0 if model.bias is None else model.bias)
    assert_close(model.logits(features), logits, 1e-14)


# ---- masks


@pytest.mark.parametrize(
    ("config", "drawn"),
    [
        (LSTMConfig(units=4), None),
        (LSTMConfig(units=4, keep_input=0.5), [True, False, False]),
        (GRUConfig(units=4, keep_hidden=0.5), [False, True, True]),
        (RHNConfig(units=4), None),
        (RHNConfig(units=4, keep_output=0.5), [False, False, False, True]),
    ],
)
def test_what_is_kept_for_certain_has_no_mask(config: ModelConfig, drawn: list[bool] | None) -> None:
    model = LanguageModel(config, WORDS)
    masks = model.draw_masks(3, seeded())
    assert (None if masks is None else [mask is not None for mask in masks]) == drawn
    assert torch.isfinite(model(TOKENS, model.initial_state(3), masks)[0]).all()


# ---- parameters


@every_config
def test_gradients_reach_every_parameter(config: ModelConfig) -> None:
    model = model_of(with_masks(config, 0.7))
    features, _ = model(TOKENS, model.initial_state(3), model.draw_masks(3, seeded()))
    model.logits(features).log_softmax(-1)[..., 0].sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize(
    "config",
    [
        LSTMConfig(units=30, init_range=0.04),
        GRUConfig(units=30, init_range=0.04, tied=True),
        RHNConfig(units=30, depth=3, layers=2, init_range=0.04, transform_bias=-2.5),
    ],
)
def test_parameters_start_uniform_in_their_range_and_by_the_generator(config: ModelConfig) -> None:
    model = LanguageModel(config, 500)
    flat = []
    for seed in (1, 2, 1):
        model.reset_parameters(seeded(seed))
        flat.append(torch.cat([parameter.detach().flatten() for parameter in model.parameters()]))
    assert torch.equal(flat[0], flat[2])
    assert not torch.equal(flat[0], flat[1])
    for name, parameter in model.named_parameters():
        values = parameter.detach()
        if isinstance(config, RHNConfig) and name.startswith("layers") and name.endswith("bias"):
            assert (values[:, 30:] == -2.5).all()
            values = values[:, :30]
        assert 0.03 < values.abs().max() <= 0.04, name
        assert values.mean().abs() < 4.5 * 0.04 / (3 * values.numel()) ** 0.5, name


@pytest.mark.parametrize(
    ("config", "words", "millions"),
    [
        (LSTMConfig(units=200, tied=True), 10_000, 2.64),
        (LSTMConfig(units=650), 10_000, 19.78),
        (LSTMConfig(units=1500, tied=True), 33_278, 85.93),
        (RHNConfig(units=830, depth=10), 10_000, 31.78),
        (RHNConfig(units=860, depth=9, tied=True), 10_000, 23.41),
    ],
)
def test_the_published_models_have_the_published_size(config: ModelConfig, words: int, millions: float) -> None:
    with torch.device("meta"):
        assert round(LanguageModel(config, words).parameter_count() / 1e6, 2) == millions


@every_config
def test_a_model_that_was_saved_and_loaded_is_the_same_and_tied_as_before(config: ModelConfig) -> None:
    saved, loaded = LanguageModel(config, WORDS), LanguageModel(config, WORDS)
    loaded.load_state_dict(saved.state_dict())
    assert loaded.parameter_count() == saved.parameter_count()
    assert (loaded.table is loaded.classifier) == config.tied
    before, after = (model.logits(model(TOKENS, model.initial_state(3))[0]) for model in (saved, loaded))
    assert torch.equal(before, after)
    with torch.no_grad():
        loaded.classifier.zero_()
    assert (loaded.table == 0).all() == config.tied


# ---- what is refused, and torch.compile


LSTM, GRU, RHN = LSTMConfig(units=5), GRUConfig(units=5), RHNConfig(units=5, depth=2)


@pytest.mark.parametrize(
    ("config", "wrong", "message"),
    [
        (LSTM, {"tokens": TOKENS[0]}, r"tokens are torch\.int64 \[3\], but must be word ids \[steps, streams\]"),
        (GRU, {"tokens": TOKENS.float()}, r"tokens are torch\.float32 \[4, 3\], but must be word ids"),
        (LSTM, {"tokens": TOKENS[:0]}, r"inputs have the shape \[0, 3, 5\], but .* at least one step"),
        (
            LSTM,
            {"tokens": TOKENS[:, :2]},
            r"the state holds the shapes \[\[2, 3, 5\], \[2, 3, 5\]\], .* of \[2, 2, 5\] each.* from initial_state",
        ),
        (LSTM, {"state": (torch.zeros(2, 3, 5),)}, r"the state holds the shapes \[\[2, 3, 5\]\], but must be h and c"),
        (RHN, {"state": (torch.zeros(1, 2, 5),)}, r"the state holds .* but must be s of \[1, 3, 5\]"),
        (
            LSTM,
            {"masks": []},
            r"0 masks arrived, but 3 are needed: one on the word vectors, one on layer 1, one on layer 2; or None",
        ),
        (
            RHN,
            {"masks": [None]},
            r"1 masks arrived, but 4 are needed: one on the words, one on the input of layer 1",
        ),
        (RHN, {"masks": [torch.ones(3, 5), None, None, None]}, r"the mask on the words .* but must be \[3, 11\]"),
        (RHN, {"masks": [None, None, torch.ones(3, 4), None]}, r"the mask on the state of layer 1 has the shape"),
    ],
)
def test_a_window_that_does_not_fit_is_refused(config: ModelConfig, wrong: dict[str, Any], message: str) -> None:
    model = LanguageModel(config, WORDS)
    with pytest.raises(ArgumentError, match=f"^{message}"):
        model(**{"tokens": TOKENS, "state": model.initial_state(3), "masks": None, **wrong})


@pytest.mark.parametrize(
    "config",
    [
        LSTMConfig(units=100, keep_hidden=0.5),
        GRUConfig(units=100, keep_hidden=0.5),
        RHNConfig(units=100, depth=2, keep_state=0.5),
    ],
)
def test_under_torch_compile_a_wide_model_runs_the_form_that_is_not_compiled(
    config: ModelConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = LanguageModel(config, WORDS)
    masks = model.draw_masks(3, seeded(1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.compile's own, of what it imports and touches
        features, _ = torch.compile(model, backend="eager")(TOKENS, model.initial_state(3), masks)
    monkeypatch.setattr(cells, "COMPILED_UNITS", 101)
    assert torch.equal(features, model(TOKENS, model.initial_state(3), masks)[0])
    features.sum().backward()
    assert all(parameter.grad is not None for parameter in model.layers.parameters())
