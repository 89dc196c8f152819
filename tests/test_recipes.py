"""The list of recipes, against what the paper states."""

from dataclasses import replace

import pytest

from tiedlm.config import differing
from tiedlm.nn.config import LSTMConfig, RHNConfig
from tiedlm.recipes import VARIANTS, recipe, recipe_names

PAPER = [name for name in recipe_names() if name.startswith(("ptb-", "wikitext2-")) and name.endswith(VARIANTS)]


@pytest.mark.parametrize("name", PAPER)
def test_variants_differ_in_tying_and_loss_alone(name: str) -> None:
    config, plain = recipe(name), recipe(name.rsplit("-", 1)[0] + "-vd")
    variant = name.rsplit("-", 1)[1]
    assert config.model.tied == (variant in ("re", "real"))
    assert (config.loss.gamma > 0) == (variant in ("al", "real"))
    assert not config.loss.detach_target
    assert (config.training, config.corpus) == (plain.training, plain.corpus)
    assert replace(config.model, tied=False) == plain.model


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("ptb-small-re-bias", {"model.tied_bias"}),
        ("ptb-small-real-bias", {"model.tied_bias"}),
        ("ptb-small-vd-uniform", {"loss.gamma", "loss.temperature", "loss.target"}),
        ("ptb-small-re-decay1e-5", {"training.table_decay"}),
        ("ptb-small-vd-smoothing0.05", {"loss.label_smoothing"}),
        ("ptb-small-real-tau5-gamma0.2", {"loss.gamma", "loss.temperature"}),
        ("ptb-small-al-tau2.5-gamma0.65", {"loss.temperature"}),
        ("ptb-small-re-unigram", {"model.tied_bias", "model.unigram_bias"}),
    ],
)
def test_a_control_changes_one_thing_of_its_row(name: str, changed: set[str]) -> None:
    row = "-".join(name.split("-")[:3])
    assert set(differing(recipe(row), recipe(name))) == {"recipe", *changed}


@pytest.mark.parametrize(
    ("name", "keep", "gammas", "decay", "constant", "clip", "not_stated"),
    [
        ("ptb-small-real", 0.7, (0.5, 0.8), 0.9, 5, 5.0, (0.85, 0.1, 40)),
        ("ptb-medium-real", 0.5, (0.5, 0.8), 0.9, 10, 5.0, (0.5, 0.05, 39)),
        ("ptb-large-real", 0.35, (0.5, 0.8), 0.97, 1, 6.0, (0.35, 0.04, 55)),
        ("wikitext2-small-real", 0.8, (1.0, 1.5), 0.9, 5, 5.0, (0.8, 0.1, 40)),
        ("wikitext2-medium-real", 0.6, (1.0, 1.5), 0.9, 10, 5.0, (0.6, 0.05, 39)),
        ("wikitext2-half1-small-real", 0.7, (1.0, 1.5), 0.9, 5, 5.0, (0.85, 0.1, 40)),
        ("wikitext2-half2-small-real", 0.7, (1.0, 1.5), 0.9, 5, 5.0, (0.85, 0.1, 40)),
    ],
)
def test_settings_that_are_stated_and_those_that_are_not(
    name: str,
    keep: float,
    gammas: tuple[float, float],
    decay: float,
    constant: int,
    clip: float,
    not_stated: tuple[float, float, int],
) -> None:
    """For the halves of WikiText-2 none is stated; they keep what is kept of the Penn Treebank, which is as long.

    Not stated: the mask on word vectors; starts of the weights, and epochs but those of the small networks, which are
    those of Zaremba et al. (2014).
    """
    config = recipe(name)
    assert isinstance(config.model, LSTMConfig)
    assert config.model.keep_hidden == keep
    assert gammas[0] <= config.loss.gamma <= gammas[1]
    assert config.loss.temperature == 20
    training = config.training
    assert (training.learning_rate, training.decay, training.constant_epochs) == (1.0, decay, constant)
    assert (training.clip_norm, training.steps, training.streams) == (clip, 35, 20)
    assert (config.model.keep_input, config.model.init_range, training.epochs) == not_stated
    assert training.moving_windows == ("small" in name)


@pytest.mark.parametrize("variant", ["vd", "re", "real"])
def test_settings_of_the_recurrent_highway_networks_are_their_authors(variant: str) -> None:
    config = recipe(f"ptb-rhn-{variant}")
    model, training = config.model, config.training
    assert isinstance(model, RHNConfig)
    assert (model.units, model.depth, model.layers, model.init_range, model.transform_bias) == (830, 10, 1, 0.04, -2.0)
    dropped = [1 - keep for keep in (model.keep_words, model.keep_input, model.keep_state, model.keep_output)]
    assert dropped == [0.25, 0.75, 0.25, 0.75]
    assert (training.clip_norm, training.steps, training.streams, training.weight_decay) == (10.0, 35, 20, 1e-7)
    rates = {epoch: training.learning_rate_at(epoch) for epoch in (1, 20, 21, 30)}
    assert rates == pytest.approx({1: 0.2, 20: 0.2, 21: 0.2 / 1.02, 30: 0.2 / 1.02**10})
