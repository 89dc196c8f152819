"""In which fields the config of a run differs from that of the recipe whose name it has."""

from __future__ import annotations

from typing import Any

from tiedlm.config import differing, from_json
from tiedlm.errors import ConfigError
from tiedlm.recipes import recipe
from tiedlm.runs.config import RunConfig

FREE = ("seed", "runtime")
"""Fields that say which run of a recipe it was, and on what machine: a result may have any."""


def differences(config: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return field → (the config's value, the recipe's), fields written as `training.epochs`.

    Raises:
        ConfigError: there is no recipe of the config's name, or its fields are not those of a config.
    """
    return differing(from_json(RunConfig, config), recipe(config["recipe"]))


def check_is_recipe(config: dict[str, Any]) -> None:
    """Refuse the config of a run that is not one of its recipe, up to `FREE`.

    Raises:
        ConfigError: there is no such recipe, or it says otherwise; every field is told.
    """
    changed = {name: pair for name, pair in differences(config).items() if name.partition(".")[0] not in FREE}
    if changed:
        told = "; ".join(f"{name} is {own!r}, the recipe's {theirs!r}" for name, (own, theirs) in changed.items())
        raise ConfigError(
            f"The run is not one of the recipe {config['recipe']!r}: {told}. A result carries the recipe's name, so "
            "only the seed and the runtime may differ. Train the recipe as it is, or give the changed one a name of "
            "its own among the recipes."
        )
