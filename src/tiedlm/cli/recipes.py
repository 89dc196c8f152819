"""`tiedlm recipes`: every training that has a name, and what is in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import tyro

from tiedlm.cli.output import print_json, print_table
from tiedlm.cli.parsing import Switch, parse
from tiedlm.config import to_json
from tiedlm.paper.published import PUBLISHED
from tiedlm.recipes import recipe, recipe_names
from tiedlm.runs.config import RunConfig


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """List the recipes: corpus, network, loss and epochs, and the paper's test perplexity where it has the row."""

    recipe: Annotated[str | None, tyro.conf.arg(metavar="[RECIPE]"), tyro.conf.Positional] = None
    """Name of the only one to show; without it all."""
    json: Switch = False
    """Print whole configs as JSON, by name; of one recipe its config alone, as `tiedlm train` reads it from a file."""


def main(arguments: Sequence[str]) -> int:
    """Run the command and return the exit status."""
    given = parse(Arguments, arguments, "recipes")
    names = recipe_names() if given.recipe is None else [given.recipe]
    if given.json:
        configs = {name: to_json(recipe(name)) for name in names}
        print_json(configs if given.recipe is None else configs[given.recipe])
        return 0
    headings = ("recipe", "corpus", "network", "loss", "epochs", "paper's test")
    print_table(headings, [_row(name, recipe(name)) for name in names], align="llllr")
    return 0


def _row(name: str, config: RunConfig) -> list[str]:
    terms = _terms(config)
    published = PUBLISHED.get(name)
    paper = "" if published is None or published.test is None else f"{published.test:.1f}"
    return [name, config.corpus.name, config.model.network, terms, str(config.training.epochs), paper]


def _terms(config: RunConfig) -> str:
    """Return what a recipe minimises, in short."""
    loss, training = config.loss, config.training
    augmented = f" + {loss.gamma:g} AL, tau {loss.temperature:g}" if loss.temperature else ""
    uniform = ", uniform target" if loss.target == "uniform" else ""
    smoothing = f", label smoothing {loss.label_smoothing:g}" if loss.label_smoothing else ""
    decay = f", table decay {training.table_decay:g}" if training.table_decay else ""
    return f"CE{augmented}{uniform}{smoothing}{decay}"
