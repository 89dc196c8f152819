"""The list of recipes, against what the paper states."""

from __future__ import annotations

import pytest

from tiedlm.config import from_json, to_json
from tiedlm.errors import ConfigError
from tiedlm.models.build import build_model
from tiedlm.recipes.catalogue import recipe, recipe_names
from tiedlm.training.config import RunConfig

PAPER = [name for name in recipe_names() if name.startswith(("ptb-", "wikitext2-"))]


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_is_a_whole_config_that_survives_json(name: str) -> None:
    config = recipe(name)
    assert config.recipe == name
    assert from_json(RunConfig, to_json(config)) == config


@pytest.mark.parametrize("name", PAPER)
def test_variants_differ_in_tying_and_loss_alone(name: str) -> None:
    config, plain = recipe(name), recipe(name.rsplit("-", 1)[0] + "-vd")
    variant = name.rsplit("-", 1)[1]
    assert config.model.tied == (variant in ("re", "real"))
    assert (config.loss.gamma > 0) == (variant in ("al", "real"))
    assert not config.loss.detach_target
    assert (config.training, config.corpus) == (plain.training, plain.corpus)
    assert (config.model.keep_input, config.model.keep_hidden) == (plain.model.keep_input, plain.model.keep_hidden)


@pytest.mark.parametrize(
    ("name", "words", "millions"),
    [
        ("ptb-small-re", 10_000, 2.64),
        ("ptb-small-vd", 10_000, 4.65),
        ("ptb-medium-real", 10_000, 13.27),
        ("ptb-medium-al", 10_000, 19.78),
        ("wikitext2-small-re", 33_278, 7.30),
        ("wikitext2-small-vd", 33_278, 13.99),
    ],
)
def test_parameters(name: str, words: int, millions: float) -> None:
    count = build_model(recipe(name).model, words).parameter_count()
    assert round(count / 1e6, 2) == millions


@pytest.mark.parametrize(
    ("name", "keep", "gammas", "decay", "constant", "clip"),
    [
        ("ptb-small-real", 0.7, (0.5, 0.8), 0.9, 5, 5.0),
        ("ptb-medium-real", 0.5, (0.5, 0.8), 0.9, 10, 5.0),
        ("ptb-large-real", 0.35, (0.5, 0.8), 0.97, 1, 6.0),
        ("wikitext2-small-real", 0.8, (1.0, 1.5), 0.9, 5, 5.0),
        ("wikitext2-medium-real", 0.6, (1.0, 1.5), 0.9, 10, 5.0),
        ("wikitext2-half1-small-real", 0.8, (1.0, 1.5), 0.9, 5, 5.0),
        ("wikitext2-half2-small-real", 0.8, (1.0, 1.5), 0.9, 5, 5.0),
    ],
)
def test_stated_settings(
    name: str, keep: float, gammas: tuple[float, float], decay: float, constant: int, clip: float
) -> None:
    config = recipe(name)
    assert config.model.keep_hidden == keep
    assert gammas[0] <= config.loss.gamma <= gammas[1]
    assert config.loss.temperature == 20
    training = config.training
    assert (training.learning_rate, training.decay, training.constant_epochs) == (1.0, decay, constant)
    assert (training.clip_norm, training.steps, training.streams) == (clip, 35, 20)


def test_unknown_recipe_is_told_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"no recipe 'ptb-small-rael'\. Did you mean 'ptb-small-real'\?"):
        recipe("ptb-small-rael")
