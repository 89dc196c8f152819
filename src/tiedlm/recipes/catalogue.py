"""All recipes by name: the only list of them. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable

from tiedlm.errors import ConfigError, suggestion
from tiedlm.recipes import controls, demo, own_text, ptb, rhn, tied_bias, wikitext2
from tiedlm.runs.config import RunConfig

_RECIPES: dict[str, Callable[[], RunConfig]] = {
    **ptb.RECIPES,
    **wikitext2.RECIPES,
    **rhn.RECIPES,
    **tied_bias.RECIPES,
    **controls.RECIPES,
    **demo.RECIPES,
    **own_text.RECIPES,
}


def recipe_names() -> list[str]:
    """Return the names of all recipes, in the order of the paper's tables and then the project's own."""
    return list(_RECIPES)


def recipe(name: str) -> RunConfig:
    """Return the whole config of a recipe.

    Raises:
        ConfigError: there is no such recipe; the nearest name is told.
    """
    if name not in _RECIPES:
        raise ConfigError(
            f"There is no recipe {name!r}.{suggestion(name, _RECIPES)} `tiedlm recipes` lists all {len(_RECIPES)}; "
            "to make one of your own: `tiedlm recipes RECIPE --json > mine.json`, `tiedlm train mine`."
        )
    return _RECIPES[name]()
