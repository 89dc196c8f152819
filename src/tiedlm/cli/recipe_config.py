"""From the first words of `tiedlm train` to the config that its other options change."""

from __future__ import annotations

import dataclasses
import typing
from dataclasses import replace
from pathlib import Path

from tiedlm.cli.words import Words
from tiedlm.config import from_json
from tiedlm.data.sources import CorpusConfig
from tiedlm.errors import ConfigError
from tiedlm.files import read_json
from tiedlm.locations import expanded
from tiedlm.recipes import recipe, recipe_names
from tiedlm.runs.config import LossConfig, RunConfig

SECTIONS = ("corpus", "model", "loss", "training", "runtime")
"""Parts of a run's config, each a config of its own."""
SPLITS = ("train", "valid", "test")


def recipe_config(name: str) -> RunConfig:
    """Return the config of the recipe `name`, or of the JSON file of that name.

    Raises:
        ConfigError: there is no such recipe or file, or the file holds no config.
    """
    path = config_file(name)
    if path is None:
        return recipe(name)
    if not path.is_file():
        raise ConfigError(f"The config file {name} does not exist. Check the path, or name a recipe.")
    return from_json(RunConfig, read_json(path))


def config_file(name: str) -> Path | None:
    """Return the path where `name` is that of a config file, its ending given or not; None where it is a recipe's."""
    path, with_ending = Path(name), Path(f"{name}.json")
    if path.suffix == ".json":
        return path
    if name in recipe_names():
        return None
    return next((file for file in (path, with_ending) if file.is_file()), None)


def switches() -> set[str]:
    """Return the options for fields that are true or false, which take no value: `model.tied` and `model.no-tied`."""
    found = {"help"}
    hints = typing.get_type_hints(RunConfig)
    for section in SECTIONS:
        for kind in typing.get_args(hints[section]) or (hints[section],):
            names = [field.name.replace("_", "-") for field in dataclasses.fields(kind) if field.type == "bool"]
            found |= {f"{section}.{prefix}{name}" for name in names for prefix in ("", "no-")}
    return found


def with_corpus(config: RunConfig, words: Words) -> RunConfig:
    """Return the config on another corpus where the words ask for one: by name, or by text files alone.

    Raises:
        ConfigError: a text file is missing, or given to a corpus that brings its own.
    """
    files = {split: words.options.get(f"corpus.{split}") for split in SPLITS}
    name = words.options.get("corpus.name", "text" if any(files.values()) else config.corpus.name)
    if name == config.corpus.name:
        return config
    return replace(config, corpus=CorpusConfig(name=name, vocabulary_size=config.corpus.vocabulary_size, **files))


def with_loss(config: RunConfig, words: Words) -> RunConfig:
    """Return the config with plain cross-entropy where the words put `loss.gamma` to 0.

    The recipe's temperature and target go with its augmented term; one that the words give themselves stays an error.
    """
    try:
        plain = float(words.options.get("loss.gamma", "nan")) == 0
    except ValueError:  # no number: the parser says so
        plain = False
    return replace(config, loss=LossConfig(label_smoothing=config.loss.label_smoothing)) if plain else config


def with_absolute_paths(corpus: CorpusConfig) -> CorpusConfig:
    """Return the config with the text files' whole paths, so that the run can be scored from any folder."""
    paths = {split: path for split in SPLITS if (path := getattr(corpus, split)) is not None}
    return replace(corpus, **{split: str(expanded(path).absolute()) for split, path in paths.items()})
