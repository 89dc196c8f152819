"""In which fields the config of a run differs from that of the recipe whose name it has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tiedlm.config import to_json
from tiedlm.errors import ConfigError
from tiedlm.recipes.catalogue import recipe

FREE = ("seed", "runtime")
"""Fields that say which run of a recipe it was, and on what machine: a result may have any."""

ABSENT = "(no such field)"


def differences(config: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return field → (the config's value, the recipe's), fields written as `training.epochs`.

    Raises:
        ConfigError: there is no recipe of the config's name.
    """
    found, wanted = (dict(_fields(value)) for value in (config, to_json(recipe(config["recipe"]))))
    names = [*found, *(name for name in wanted if name not in found)]
    pairs = {name: (found.get(name, ABSENT), wanted.get(name, ABSENT)) for name in names}
    return {name: (own, theirs) for name, (own, theirs) in pairs.items() if own != theirs}


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


def _fields(value: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, item in value.items():
        if isinstance(item, dict):
            yield from _fields(item, f"{prefix}{name}.")
        else:
            yield prefix + name, item
