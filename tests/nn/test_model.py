"""The language model over all configs: the oracles' layers under the paper's masks, state, tying, projection, start."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from oracles import gru as gru_oracle
from oracles import lstm as lstm_oracle
from oracles import rhn as rhn_oracle
from support.compare import assert_close
from tiedlm.errors import ArgumentError, ConfigError
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
GATED = {name: config for name, config in CONFIGS.items() if not isinstance(config, RHNConfig)}
one_each = pytest.mark.parametrize(
    "config",
    [LSTMConfig(units=6, **START), GRUConfig(units=6, **START), RHNConfig(units=6, depth=2, layers=2, **START)],
)


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
def test_features_state_and_tables_have_their_shapes(config: ModelConfig) -> None:
    model = model_of(config)
    state = model.initial_state(3)
    assert all((part == 0).all() for part in state)
    features, after = model(TOKENS, state)
    assert features.shape == (4, 3, model.classifier.shape[1])
    assert [part.shape for part in after] == [(config.layers, 3, config.units)] * len(model.state_names)
    width = config.units if isinstance(config, RHNConfig) else config.width
    assert model.table.shape == (WORDS, width)
    assert model.classifier.shape[0] == WORDS
    assert (model.table is model.classifier) == config.tied
    assert (model.bias is None) == (config.tied and not config.tied_bias)
    logits = features @ model.classifier.T + (0 if model.bias is None else model.bias)
    assert_close(model.logits(features), logits, 1e-14)


@pytest.mark.parametrize("kind", [LSTMConfig, GRUConfig])
def test_without_masks_it_is_a_stack_of_pytorchs_layers(kind: Any) -> None:
    model = model_of(kind(units=5, layers=2, **START))
    stock: Any = (torch.nn.LSTM if kind is LSTMConfig else torch.nn.GRU)(5, 5, 2, dtype=torch.float64)
    names = {"weight_input": "weight_ih", "weight_hidden": "weight_hh"}
    names |= {"bias": "bias_ih"} if kind is LSTMConfig else {"bias_input": "bias_ih", "bias_hidden": "bias_hh"}
    named = dict(model.named_parameters())
    with torch.no_grad():
        for k in range(2):
            getattr(stock, f"bias_hh_l{k}").zero_()
            for name, stock_name in names.items():
                getattr(stock, f"{stock_name}_l{k}").copy_(named[f"layers.{k}.{name}"])
    state = started(model)
    features, after = model(TOKENS, state)
    expected, expected_after = stock(model.table.detach()[TOKENS], state if kind is LSTMConfig else state[0])
    assert_close(features, expected, 1e-13)
    for part, other in zip(after, expected_after if kind is LSTMConfig else [expected_after], strict=True):
        assert_close(part, other, 1e-13)
    features.square().sum().backward()
    expected.square().sum().backward()
    for k in range(2):
        for name, stock_name in names.items():
            assert_close(named[f"layers.{k}.{name}"].grad, getattr(stock, f"{stock_name}_l{k}").grad, 1e-12)


# ---- masks


@pytest.mark.parametrize("kind", [LSTMConfig, GRUConfig])
def test_masks_are_those_of_x_and_of_every_layer_as_configured(kind: Any) -> None:
    model = LanguageModel(kind(units=400, embedding_width=300, keep_input=0.9, keep_hidden=0.4), WORDS)
    check_masks(model.draw_masks(6, seeded()), (300, 400, 400), (0.9, 0.4, 0.4))


def test_masks_of_the_rhn_are_those_of_words_of_every_layers_input_and_state_and_of_the_output() -> None:
    model = LanguageModel(RHNConfig(units=300, depth=2, layers=2, **KEEPS), 400)
    check_masks(model.draw_masks(6, seeded()), (400, 300, 300, 300, 300, 300), (0.7, 0.5, 0.6, 0.5, 0.6, 0.4))


def check_masks(masks: Any, widths: tuple[int, ...], keeps: tuple[float, ...]) -> None:
    for mask, width, keep in zip(masks, widths, keeps, strict=True):
        assert mask.shape == (6, width)
        assert mask.unique().tolist() == pytest.approx([0.0, 1 / keep])
        assert (mask != 0).float().mean().item() == pytest.approx(keep, abs=0.05)
    assert not torch.equal(masks[1], masks[2])


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


@one_each
def test_masks_have_the_type_of_the_model_and_the_draws_of_the_generator(config: ModelConfig) -> None:
    model = model_of(with_masks(config, 0.5))
    masks, again, other = ([mask for mask in model.draw_masks(3, seeded(seed)) or []] for seed in (1, 1, 2))
    assert {mask.dtype for mask in masks if mask is not None} == {torch.float64}
    assert all(torch.equal(mask, same) for mask, same in zip(masks, again, strict=True))  # pyright: ignore[reportArgumentType]
    assert not any(torch.equal(mask, new) for mask, new in zip(masks, other, strict=True))  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("kind", [LSTMConfig, GRUConfig])
@pytest.mark.parametrize("layer", [0, 1])
def test_one_mask_serves_time_and_depth_at_every_step(kind: Any, layer: int) -> None:
    """Whatever the weights are that read a dropped unit, in its own layer or the next, nothing moves at any step."""
    config = kind(units=6, keep_input=0.5, keep_hidden=0.5, **START)
    model = model_of(config)
    masks = model.draw_masks(3, seeded(5))
    assert masks is not None
    mask = masks[1 + layer]
    assert mask is not None
    features, (h, *_) = model(TOKENS, started(model), masks)
    for stream in range(3):
        dropped = mask[stream] == 0
        assert 0 < dropped.sum() < 6
        readers = {f"layers.{layer}.weight_hidden", f"layers.{layer + 1}.weight_input"}
        spoilt = spoil(config, readers | ({"tables.weight"} if layer == 1 else set()), dropped)
        other, (other_h, *_) = spoilt(TOKENS, started(model), masks)
        assert_close(other[:, stream], features[:, stream], 1e-14)
        assert_close(spoilt.logits(other)[:, stream], model.logits(features)[:, stream], 1e-13)
        assert_close(other_h[:, stream], h[:, stream], 1e-14)


@one_each
def test_the_mask_on_a_vector_or_an_input_is_held_for_all_steps(config: ModelConfig) -> None:
    config = with_masks(config, 0.5)
    model = model_of(config)
    masks = model.draw_masks(3, seeded(6))
    assert masks is not None
    mask = masks[1 if isinstance(config, RHNConfig) else 0]
    assert mask is not None
    features, _ = model(TOKENS, started(model), masks)
    for stream in range(3):
        other, _ = spoil(config, {"tables.embedding"}, mask[stream] == 0)(TOKENS, started(model), masks)
        assert_close(other[:, stream], features[:, stream], 1e-14)


def spoil(config: ModelConfig, names: set[str], units: Tensor) -> LanguageModel:
    """The model with other values in these columns of these parameters."""
    model = model_of(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name in names:
                parameter[:, units] += 100.0
    return model


def test_a_dropped_word_is_dropped_wherever_it_stands_in_its_stream_and_in_no_other() -> None:
    config = RHNConfig(units=5, depth=2, **START)
    mask = torch.ones(3, WORDS, dtype=torch.float64)
    mask[0, 3] = 0.0
    spoilt = model_of(config)
    with torch.no_grad():
        spoilt.table[3] += 100.0
    masks = [mask, None, None, None]
    first, other = (model(TOKENS, started(model), masks)[0] for model in (model_of(config), spoilt))
    assert_close(other[:, 0], first[:, 0], 1e-14)
    assert (other[1:, 1] - first[1:, 1]).abs().max() > 1e-3


@one_each
def test_the_state_carries_everything_from_window_to_window(config: ModelConfig) -> None:
    model = model_of(config)
    whole, state = model(TOKENS, started(model))
    first, between = model(TOKENS[:1], started(model))
    second, after = model(TOKENS[1:], between)
    assert_close(torch.cat([first, second]), whole, 1e-14)
    for part, expected in zip(after, state, strict=True):
        assert_close(part, expected, 1e-14)


@pytest.mark.parametrize("config", [LSTMConfig(units=8, layers=1, **START), RHNConfig(units=8, depth=1, **START)])
def test_a_state_carried_raw_is_masked_by_the_window_it_enters(config: ModelConfig) -> None:
    model = model_of(with_masks(config, 0.5))
    first, second = (model.draw_masks(3, seeded(seed)) for seed in (1, 2))
    assert second is not None
    second = [second[0], None, second[2], None] if isinstance(config, RHNConfig) else second
    mask = second[2] if isinstance(config, RHNConfig) else second[1]
    assert mask is not None
    _, state = model(TOKENS, started(model), first)
    assert (state[0] != 0).all()

    def step(dropped: bool) -> Tensor:
        moved = state[0] + 5.0 * ((mask == 0) if dropped else (mask != 0))
        features = model(TOKENS[:1], (moved, *state[1:]), second)[0]
        return features[:, mask.sum(1) > 0] if not isinstance(config, RHNConfig) else features * (mask != 0)

    bare = model(TOKENS[:1], state, second)[0]
    bare = bare * (mask != 0) if isinstance(config, RHNConfig) else bare
    assert_close(step(dropped=True), bare, 1e-14)
    assert (step(dropped=False) - bare).abs().max() > 1e-3


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


PTB, WIKITEXT2 = 10_000, 33_278
MILLIONS = [
    (200, PTB, True, 2.64),
    (200, PTB, False, 4.65),
    (200, WIKITEXT2, True, 7.30),
    (200, WIKITEXT2, False, 13.99),
    (650, PTB, True, 13.27),
    (650, PTB, False, 19.78),
    (650, WIKITEXT2, True, 28.40),
    (650, WIKITEXT2, False, 50.06),
    (1500, PTB, True, 51.01),
    (1500, PTB, False, 66.02),
    (1500, WIKITEXT2, True, 85.93),
    (1500, WIKITEXT2, False, 135.88),
]


@pytest.mark.parametrize(
    ("config", "words", "millions"),
    [(LSTMConfig(units=units, tied=tied), words, millions) for units, words, tied, millions in MILLIONS]
    + [
        (RHNConfig(units=units, depth=depth, tied=tied), PTB, millions)
        for tied, depth, units, millions in [
            (False, 10, 830, 31.78),
            (True, 10, 830, 23.47),
            (False, 8, 890, 32.08),
            (True, 9, 860, 23.41),
        ]
    ],
)
def test_the_published_models_have_the_published_size(config: ModelConfig, words: int, millions: float) -> None:
    with torch.device("meta"):
        model = LanguageModel(config, words)
    assert round(model.parameter_count() / 1e6, 2) == pytest.approx(millions)
    assert model.parameter_count() == sum(tensor.numel() for tensor in model.state_dict().values())


@pytest.mark.parametrize(
    ("config", "count"),
    [
        (LSTMConfig(units=5, layers=1, tied=True), 9 * 5 + 4 * 5 * (5 + 5 + 1)),
        (LSTMConfig(units=5, layers=1, tied=True, tied_bias=True), 9 * 5 + 9 + 4 * 5 * (5 + 5 + 1)),
        (LSTMConfig(units=5, layers=1), 9 * 5 + 9 * 5 + 9 + 4 * 5 * (5 + 5 + 1)),
        (LSTMConfig(units=5, embedding_width=3), 9 * 3 + 9 * 5 + 9 + 4 * 5 * (3 + 5 + 1) + 4 * 5 * (5 + 5 + 1)),
        (GRUConfig(units=5, layers=1, tied=True), 9 * 5 + 3 * 5 * (5 + 5 + 2)),
        (
            GRUConfig(units=5, embedding_width=3, tied=True, project=True),
            9 * 3 + 3 * 5 + 3 * 5 * (3 + 5 + 2) + 3 * 5 * (5 + 5 + 2),
        ),
        (RHNConfig(units=5, depth=3, layers=2), 2 * 9 * 5 + 9 + 2 * (2 * 5 * 5 + 3 * 2 * 5 * (5 + 1))),
    ],
)
def test_every_parameter_is_one_that_the_config_asks_for(config: ModelConfig, count: int) -> None:
    assert LanguageModel(config, 9).parameter_count() == count


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


@pytest.mark.parametrize(
    "config",
    [
        LSTMConfig(units=120, keep_hidden=0.5),
        GRUConfig(units=120, keep_hidden=0.5),
        RHNConfig(units=120, depth=2, keep_state=0.5),
    ],
)
@pytest.mark.parametrize("masked", [True, False])
def test_a_state_from_before_the_model_was_converted_is_refused(config: ModelConfig, masked: bool) -> None:
    model = LanguageModel(config, WORDS)
    state = model.initial_state(3)
    model.double()
    masks = model.draw_masks(3, seeded(1)) if masked else None
    with pytest.raises(ArgumentError, match=r"^state \w came as torch\.float32 .* torch\.float64 .* a new state"):
        model(TOKENS, state, masks)


def test_a_tied_model_of_two_widths_needs_a_map_and_the_message_names_both_ways() -> None:
    message = "model.units is 5 and model.embedding_width is 3. Either make them equal, or set model.project"
    with pytest.raises(ConfigError, match=message):
        LSTMConfig(units=5, embedding_width=3, tied=True)


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
            r"the state holds the shapes \[\[2, 3, 5\], \[2, 3, 5\]\], .* of \[2, 2, 5\] each",
        ),
        (LSTM, {"state": (torch.zeros(1, 3, 5), torch.zeros(2, 3, 5))}, r"the state holds .* Start from initial_state"),
        (LSTM, {"state": (torch.zeros(2, 3, 5),)}, r"the state holds the shapes \[\[2, 3, 5\]\], but must be h and c"),
        (GRU, {"state": (torch.zeros(2, 4, 5),)}, r"the state holds .* but must be h of \[2, 3, 5\]"),
        (RHN, {"state": (torch.zeros(1, 2, 5),)}, r"the state holds .* but must be s of \[1, 3, 5\]"),
        (RHN, {"state": ()}, r"the state holds the shapes \[\], but must be s of \[1, 3, 5\]"),
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
        (
            GRU,
            {"masks": [torch.ones(1, 5), None, None]},
            r"the mask on the word vectors has the shape \[1, 5\], but must be \[3, 5\]",
        ),
        (LSTM, {"masks": [None, torch.ones(1, 5), None]}, r"the mask on layer 1 .* \[1, 5\], but must be \[3, 5\]"),
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
