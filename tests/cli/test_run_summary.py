from __future__ import annotations

import json
from dataclasses import replace

import pytest

from support.small_text import small_config
from tiedlm.checkpoint.folder import RunFolder
from tiedlm.checkpoint.load import load_run
from tiedlm.cli.run_summary import is_changed, parameter_count, summarize
from tiedlm.config import to_json
from tiedlm.data.text import Vocabulary
from tiedlm.models.config import LSTMConfig
from tiedlm.paper.published import PUBLISHED
from tiedlm.recipes import recipe, recipe_names


def make(path, config, *, scores=None, **progress):
    vocabulary = Vocabulary.from_counts({"<eos>": 3, "the": 2})
    state = {"version": 1, "generation": 2, "epoch": 5, "best_epoch": 3, "best_valid_perplexity": 90.5, "seconds": 1.5}
    contents = {
        "config": to_json(config),
        "vocabulary": vocabulary.to_json(),
        "environment": {},
        "progress": state | {"total_seconds": 60.0} | progress,
    }
    if scores:
        contents["scores"] = scores
    return RunFolder.create(path, {role: json.dumps(value).encode() for role, value in contents.items()}).path


def test_a_finished_run_without_its_weights(tmp_path):
    scores = {"valid": {"perplexity": 90.0}, "test": {"perplexity": 86.0}, "protocol": "every word"}
    config = replace(recipe("ptb-small-re"), seed=4)
    found = summarize(make(tmp_path / "run", config, scores=scores))
    published = PUBLISHED["ptb-small-re"]
    assert (found.recipe, found.changed, found.seed, found.trainings) == ("ptb-small-re", False, 4, 2)
    assert (found.valid, found.test, found.protocol) == (90.0, 86.0, "every word")
    assert (found.paper_valid, found.paper_test) == (published.valid, published.test) == (89.9, 85.1)
    assert (found.epochs, found.best_epoch, found.seconds) == (4, 3, 61.5)
    # three words of 200, two layers of (200 + 200 inputs, 1 bias) x 4 x 200
    assert found.parameters == 3 * 200 + 2 * (400 + 1) * 800


def test_a_run_that_goes_on_has_no_test_score_yet(tmp_path):
    found = summarize(make(tmp_path / "run", recipe("ptb-small-re")))
    assert (found.valid, found.test, found.protocol) == (90.5, None, None)


def test_a_changed_config_is_not_set_against_the_paper(tmp_path):
    config = recipe("ptb-small-re")
    config = replace(config, training=replace(config.training, epochs=3))
    found = summarize(make(tmp_path / "run", config))
    assert found.changed
    assert (found.paper_valid, found.paper_test, found.paper_trainings) == (None, None, None)


@pytest.mark.parametrize("name", recipe_names())
def test_seed_and_machine_are_no_change_of_a_recipe(name):
    config = recipe(name)
    assert not is_changed(replace(config, seed=9, runtime=replace(config.runtime, threads=7, save_seconds=1.0)))
    assert is_changed(replace(config, model=replace(config.model, units=3)))
    assert is_changed(replace(config, recipe="unheard-of"))


def test_the_summary_of_a_trained_run_has_the_parameters_of_its_model(tiny):
    assert summarize(tiny / "run").parameters == load_run(tiny / "run").model.parameter_count()


def test_parameters_are_counted_without_making_them(tmp_path):
    config = replace(small_config(tmp_path), model=LSTMConfig(units=100_000, layers=2))
    assert parameter_count(config, 1_000_000) > 3e11
