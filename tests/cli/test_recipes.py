from __future__ import annotations

import json

from tiedlm.config import from_json
from tiedlm.paper.published import PUBLISHED
from tiedlm.recipes import recipe, recipe_names
from tiedlm.runs.config import RunConfig


def test_every_recipe_is_a_row(tiedlm):
    heading, *rows = tiedlm("recipes").output.splitlines()
    assert heading.split()[:2] == ["recipe", "corpus"]
    assert [row.split()[0] for row in rows] == recipe_names()
    found = dict(zip(recipe_names(), rows, strict=True))
    for name, row in found.items():
        config = recipe(name)
        assert config.corpus.name in row
        assert f"{config.model.layers} x {config.model.units}, {'tied' if config.model.tied else 'untied'}" in row
        assert ("RHN of depth 10, 1 x 830" in row) == name.startswith("ptb-rhn-")
        assert ("AL" in row) == (config.loss.gamma > 0)
        if name in PUBLISHED:
            figure = PUBLISHED[name].test
            assert figure is None or row.endswith(f" {figure:.1f}")
        else:
            assert row.split()[-1] == str(config.training.epochs)


def test_one_recipe_alone(tiedlm):
    _, row = tiedlm("recipes", "ptb-small-real").output.splitlines()
    assert row.split()[0] == "ptb-small-real"
    found = from_json(RunConfig, json.loads(tiedlm("recipes", "ptb-small-real", "--json").output))
    assert found == recipe("ptb-small-real")
    assert "Did you mean 'ptb-small-real'" in tiedlm("recipes", "ptb-smal-real").error


def test_as_json_they_are_whole_configs(tiedlm):
    found = json.loads(tiedlm("recipes", "--json").output)
    assert {name: from_json(RunConfig, value) for name, value in found.items()} == {
        name: recipe(name) for name in recipe_names()
    }
