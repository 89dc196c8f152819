"""`tiedlm train`: a recipe by name, with any field of its config changed; a run that goes on; or many seeds at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, final

import tyro

from tiedlm.cli.parsing import Directory, parse
from tiedlm.cli.recipe_config import SECTIONS, recipe_config, switches, with_absolute_paths, with_corpus, with_loss
from tiedlm.cli.words import Words, split_words
from tiedlm.data.sources import CorpusConfig
from tiedlm.errors import ConfigError
from tiedlm.models.config import ModelConfig
from tiedlm.recipes import recipe_names
from tiedlm.runs.config import LossConfig, RunConfig, RuntimeConfig, TrainingConfig

FOLDERS = ("resume", "from", "run-dir", "data-dir")
"""Options that name a folder."""
Run = Annotated[Path | None, tyro.conf.arg(metavar="RUN")]


@dataclass(frozen=True, kw_only=True)
class Options:
    """Train a recipe to its end: the weights that are best on validation are kept and scored on validation and test.

    Any field of the recipe's config can be changed, as in --training.epochs 3 or --loss.gamma 0.7, and the text by
    giving --corpus.train, --corpus.valid and --corpus.test. All fields, with the values they have in a recipe, are
    listed by `tiedlm train RECIPE --help`, and what each recipe is by `tiedlm recipes`.
    """

    recipe: Annotated[str | None, tyro.conf.arg(metavar="RECIPE"), tyro.conf.Positional] = None
    """Name of a recipe, or of a JSON file with a config; with --resume it may be left out, with --seeds be several."""
    seed: int = 0
    """Seed of the initial weights and of every mask."""
    run_dir: Directory = None
    """Run folder to make; without it RECIPE-seed-SEED in the folder for runs, and beside --resume RUN-N-epochs."""
    start_from: Annotated[Run, tyro.conf.arg(name="from")] = None
    """Run folder whose weights to start from: a second training."""
    resume: Run = None
    """Run folder to go on with, exactly where it stopped. Its config is fixed, but for --runtime options; with more
    --training.epochs it goes on for longer in a copy, finished or not."""
    seeds: Annotated[str | None, tyro.conf.arg(metavar="SEEDS")] = None
    """Train each of these seeds, as in 0-4 or 0,2,5, several at once; the same command goes on with what was cut."""
    jobs: int | None = None
    """With --seeds, how many trainings at once; without it as many as there are cores, on a GPU at most 4."""
    data_dir: Directory = None
    """Folder in which the corpus is, or to which it is downloaded; without it the usual data folder."""


@final
@dataclass(frozen=True, kw_only=True)
class Arguments(Options):
    """Train a recipe to its end, with any field of its config changed; the defaults are the recipe's."""

    corpus: CorpusConfig
    model: tyro.conf.AvoidSubcommands[ModelConfig]  # the recipe says of which kind
    loss: LossConfig
    training: TrainingConfig
    runtime: RuntimeConfig


def main(arguments: Sequence[str]) -> int:
    """Run the command and return the exit status."""
    words = split_words(arguments, switches())
    _check_folders(words)
    resumed = words.options.get("resume")
    if not words.others and not resumed:
        recipes = f"Recipes: {', '.join(recipe_names())}."
        parse(Options, arguments, "train", more=recipes)
        raise ConfigError(f"Name the recipe to train: `tiedlm train RECIPE`. {recipes}")
    if "seeds" in words.options:
        return _train_seeds(words)
    from tiedlm.cli import train_longer, train_resume, training_run  # here, so that the help above does not wait for it

    if resumed:
        run = Path(resumed)
        config = training_run.config_of(run)
        given = parse(Arguments, arguments, f"train --resume {run}", _defaults(config))
        _check_one_run(words)
        train_resume.check_nothing_else_changes(words, config, run)
        runtime = train_resume.other_runtime(words, config, given.runtime, run)
        if train_resume.LONGER in words.options:
            longer_run, epochs = given.run_dir, given.training.epochs
            return train_longer.go_on_longer(run, config, epochs, longer_run, given.data_dir, runtime)
        return training_run.go_on(run, config, given.data_dir, runtime)
    name = words.others[0]
    config, given = _asked(name, [name, *words.rest], words)
    _check_one_run(words)
    return training_run.begin(config, run_dir=given.run_dir, start_from=given.start_from, data_dir=given.data_dir)


def _train_seeds(words: Words) -> int:
    from tiedlm.cli import train_seeds

    train_seeds.check_words(words)
    asked = {name: _asked(name, [name, *words.rest], words) for name in words.others}
    given = next(given for _, given in asked.values())
    configs = {name: config for name, (config, _) in asked.items()}
    return train_seeds.train_seeds(configs, given.seeds or "", at_once=given.jobs, data_dir=given.data_dir)


def _asked(name: str, arguments: Sequence[str], words: Words) -> tuple[RunConfig, Arguments]:
    """Return the config of a recipe as the arguments change it, and the arguments read."""
    config = with_loss(with_corpus(recipe_config(name), words), words)
    given = parse(Arguments, arguments, f"train {name}", _defaults(config))
    return _changed(config, given), given


def _defaults(config: RunConfig) -> Arguments:
    return Arguments(
        recipe=config.recipe,
        seed=config.seed,
        corpus=config.corpus,
        model=config.model,
        loss=config.loss,
        training=config.training,
        runtime=config.runtime,
    )


def _changed(config: RunConfig, given: Arguments) -> RunConfig:
    sections = {name: getattr(given, name) for name in SECTIONS}
    return replace(config, seed=given.seed, **{**sections, "corpus": with_absolute_paths(given.corpus)})


def _check_folders(words: Words) -> None:
    """Refuse an empty path: as a `Path` it would be the folder that the user is in, or count as not given."""
    empty = next((name for name in FOLDERS if words.options.get(name) == ""), None)
    if empty is not None:
        raise ConfigError(
            f"--{empty} is empty, but must name a folder: name one, or leave --{empty} out. (A shell variable that is "
            "not set is empty.)"
        )


def _check_one_run(words: Words) -> None:
    if "jobs" in words.options:
        raise ConfigError("--jobs has no effect without --seeds: leave it out, or name seeds, as in --seeds 0-4.")
    if len(words.others) > 1:
        raise ConfigError(
            f"One training has one recipe, but {len(words.others)} are named: {', '.join(words.others)}. Leave all but "
            "one out, or train each of them with --seeds, as in --seeds 0."
        )
