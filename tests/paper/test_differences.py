from __future__ import annotations

from dataclasses import replace

import pytest

from support.finished_run import EPOCHS, RECIPE, recipe_config
from tiedlm.config import to_json
from tiedlm.errors import ConfigError
from tiedlm.paper.differences import check_is_recipe, differences
from tiedlm.recipes import recipe, recipe_names


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_does_not_differ_from_itself(name):
    assert differences(to_json(recipe(name))) == {}


def test_every_field_that_differs_is_found():
    whole = recipe_config(seed=2, threads=1)
    changed = replace(
        whole,
        loss=replace(whole.loss, gamma=0.5, temperature=20.0),
        training=replace(whole.training, weight_decay=1e-4),
    )
    assert differences(to_json(changed)) == {
        "seed": (2, 0),
        "loss.gamma": (0.5, 0.0),
        "loss.temperature": (20.0, None),
        "training.weight_decay": (1e-4, 0.0),
        "runtime.threads": (1, None),
    }


@pytest.mark.parametrize(
    ("change", "told"),
    [({"momentum": 0.9}, "no field 'momentum'"), ({"epochs": None}, "training.epochs must be of type int")],
)
def test_what_is_no_config_is_an_error(change, told):
    config = to_json(recipe_config())
    with pytest.raises(ConfigError, match=told):
        differences(config | {"training": config["training"] | change})


def test_seed_and_runtime_are_free():
    whole = recipe_config(seed=5, threads=2)
    check_is_recipe(to_json(replace(whole, runtime=replace(whole.runtime, precision="bfloat16"))))


def test_all_else_is_not():
    whole = recipe_config()
    changed = replace(whole, training=replace(whole.training, epochs=2, streams=10))
    message = f"'{RECIPE}': training.epochs is 2, the recipe's {EPOCHS}; training.streams is 10, the recipe's 20"
    with pytest.raises(ConfigError, match=message):
        check_is_recipe(to_json(changed))


def test_an_unknown_recipe_is_an_error():
    with pytest.raises(ConfigError, match="There is no recipe 'mine'"):
        check_is_recipe(to_json(recipe_config()) | {"recipe": "mine"})
