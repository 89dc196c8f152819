"""From config to model: the paper's parameter counts, tying that survives saving, and the choice of widths."""

from __future__ import annotations

import warnings

import pytest
import torch

from tiedlm.errors import ArgumentError, ConfigError
from tiedlm.layers import compiled_steps
from tiedlm.models.build import build_model
from tiedlm.models.config import GRUConfig, LSTMConfig, ModelConfig, RHNConfig
from tiedlm.models.gru import GRULanguageModel
from tiedlm.models.lstm import LSTMLanguageModel
from tiedlm.models.rhn import RHNLanguageModel

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


@pytest.mark.parametrize(("units", "words", "tied", "millions"), MILLIONS)
def test_the_papers_models_have_the_papers_size(units: int, words: int, tied: bool, millions: float) -> None:
    with torch.device("meta"):
        model = build_model(LSTMConfig(units=units, tied=tied), words)
    assert round(model.parameter_count() / 1e6, 2) == pytest.approx(millions)
    assert model.parameter_count() == sum(tensor.numel() for tensor in model.state_dict().values())


@pytest.mark.parametrize(
    ("config", "count"),
    [
        (LSTMConfig(units=5, layers=1, tied=True), 9 * 5 + 4 * 5 * (5 + 5 + 1)),
        (LSTMConfig(units=5, layers=1, tied=True, tied_bias=True), 9 * 5 + 9 + 4 * 5 * (5 + 5 + 1)),
        (LSTMConfig(units=5, layers=1), 9 * 5 + 9 * 5 + 9 + 4 * 5 * (5 + 5 + 1)),
        (LSTMConfig(units=5, embedding_width=3), 9 * 3 + 9 * 5 + 9 + 4 * 5 * (3 + 5 + 1) + 4 * 5 * (5 + 5 + 1)),
        (
            LSTMConfig(units=5, embedding_width=3, tied=True, project=True),
            9 * 3 + 3 * 5 + 4 * 5 * (3 + 5 + 1) + 4 * 5 * (5 + 5 + 1),
        ),
    ],
)
def test_every_parameter_is_one_that_the_config_asks_for(config: LSTMConfig, count: int) -> None:
    assert build_model(config, 9).parameter_count() == count


@pytest.mark.parametrize(
    "config",
    [
        LSTMConfig(units=5, tied=True),
        LSTMConfig(units=5),
        LSTMConfig(units=5, embedding_width=3, tied=True, project=True),
        LSTMConfig(units=5, tied=True, tied_bias=True),
        GRUConfig(units=5, tied=True),
        GRUConfig(units=5, tied=True, tied_bias=True),
        GRUConfig(units=5),
        RHNConfig(units=5, depth=3, tied=True),
        RHNConfig(units=5, depth=3, tied=True, tied_bias=True),
        RHNConfig(units=5, depth=3),
    ],
)
def test_a_model_that_was_saved_and_loaded_is_the_same_and_tied_as_before(config: ModelConfig) -> None:
    saved, loaded = build_model(config, 9), build_model(config, 9)
    loaded.load_state_dict(saved.state_dict())
    assert loaded.parameter_count() == saved.parameter_count()
    assert (loaded.table is loaded.classifier) == config.tied
    tokens = torch.tensor([[1, 2], [8, 0]])
    before, after = (model.logits(model(tokens, model.initial_state(2))[0]) for model in (saved, loaded))
    assert torch.equal(before, after)
    with torch.no_grad():
        loaded.classifier.zero_()
    assert (loaded.table == 0).all() == config.tied


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        (LSTMConfig(units=5, layers=3), LSTMLanguageModel),
        (GRUConfig(units=5, layers=3), GRULanguageModel),
        (RHNConfig(units=5, depth=3), RHNLanguageModel),
    ],
)
def test_the_model_is_of_the_kind_of_the_config(config: ModelConfig, kind: type) -> None:
    model = build_model(config, 9)
    assert type(model) is kind
    assert model.config == config


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
    model = build_model(config, 9)
    state = model.initial_state(2)
    model.double()
    masks = model.draw_masks(2, torch.Generator().manual_seed(1)) if masked else None
    with pytest.raises(
        ArgumentError, match=r"^state \w came as torch\.float32 .* must be torch\.float64 .* a new state"
    ):
        model(torch.tensor([[1, 2], [8, 0]]), state, masks)


def test_a_tied_model_of_two_widths_needs_a_map_and_is_told_of_both_ways() -> None:
    message = "model.units is 5 and model.embedding_width is 3. Either make them equal, or set model.project"
    with pytest.raises(ConfigError, match=message):
        build_model(LSTMConfig(units=5, embedding_width=3, tied=True), 9)


@pytest.mark.parametrize(
    "config", [LSTMConfig(units=100, keep_hidden=0.5), RHNConfig(units=100, depth=2, keep_state=0.5)]
)
def test_under_torch_compile_a_wide_model_runs_the_form_that_is_not_compiled(
    config: ModelConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, tokens = build_model(config, 7), torch.randint(0, 7, (3, 2), generator=torch.Generator().manual_seed(0))
    masks = model.draw_masks(2, torch.Generator().manual_seed(1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.compile's own, of what it imports and touches
        compiled = torch.compile(model, backend="eager")
        features, _ = compiled(tokens, model.initial_state(2), masks)
    monkeypatch.setattr(compiled_steps, "COMPILED_UNITS", 101)
    assert torch.equal(features, model(tokens, model.initial_state(2), masks)[0])
    features.sum().backward()
    assert all(one.grad is not None for name, one in model.named_parameters() if name.startswith("layers"))
