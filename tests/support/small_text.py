"""A little text of its own making, and configs small enough to train in a second."""

import random
from dataclasses import replace
from pathlib import Path

from tiedlm.data.sources import CorpusConfig
from tiedlm.nn.config import LSTMConfig
from tiedlm.runs.config import LossConfig, RunConfig, RuntimeConfig, TrainingConfig

SUBJECTS = ("the cat", "a dog", "the old man", "a bird", "every child")
VERBS = ("sees", "likes", "finds", "follows")
OBJECTS = ("the house", "a tree", "some bread", "the river", "a stone")

SMALL = ["--model.units", 8, "--training.epochs", 1, "--training.streams", 4, "--training.steps", 8]
"""Options of `tiedlm train` for a model that is trained in a moment."""


def write_texts(folder: Path) -> CorpusConfig:
    """Write train, valid and test text into `folder` and return the config of that corpus."""
    folder.mkdir(parents=True, exist_ok=True)
    draws = random.Random(7)
    for split, lines in (("train", 220), ("valid", 30), ("test", 30)):
        sentences = (" ".join(draws.choice(part) for part in (SUBJECTS, VERBS, OBJECTS)) for _ in range(lines))
        (folder / f"{split}.txt").write_text("\n".join(sentences) + "\n")
    return CorpusConfig(train=str(folder / "train.txt"), valid=str(folder / "valid.txt"), test=str(folder / "test.txt"))


def small_config(folder: Path) -> RunConfig:
    """Return a tied model with the augmented loss under dropout, on text that is written into `folder`."""
    return RunConfig(
        recipe="small",
        seed=3,
        corpus=write_texts(folder),
        model=LSTMConfig(units=16, tied=True, keep_input=0.9, keep_hidden=0.9),
        loss=LossConfig(gamma=0.5, temperature=5.0),
        training=TrainingConfig(epochs=3, constant_epochs=1, decay=0.5, streams=4, steps=10, learning_rate=2.0),
        runtime=RuntimeConfig(threads=1, save_seconds=0.0),
    )


def wide_config(folder: Path) -> RunConfig:
    """Return a config with enough words (504,000 logits a window) and units for the compiled loss and cells."""
    config, words, draws = small_config(folder), [f"word{number}" for number in range(720)], random.Random(7)
    lines = [" ".join(draws.choices(words, k=20)) for _ in range(200)] + [" ".join(words)]
    (folder / "train.txt").write_text("\n".join(lines) + "\n")
    (folder / "valid.txt").write_text("\n".join(lines[:20]) + "\n")
    (folder / "test.txt").write_text("\n".join(lines[20:40]) + "\n")
    model = replace(config.model, units=100)
    return replace(config, model=model, training=replace(config.training, streams=20, steps=35))
