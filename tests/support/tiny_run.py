"""A finished run on a small text, trained in a moment."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from support.small_text import small_config
from tiedlm.runs.config import RunConfig
from tiedlm.runs.folder import RunFolder
from tiedlm.training import loop
from tiedlm.training.display import PlainDisplay


class Silence(PlainDisplay):
    """Shows nothing."""

    def message(self, text: str) -> None:
        pass


def quick_config(folder: Path) -> RunConfig:
    """The small config with two epochs, saved after each and not in between."""
    config = small_config(folder).with_epochs(2)
    return replace(config, runtime=replace(config.runtime, save_seconds=300.0))


def train_tiny_run(folder: Path) -> RunFolder:
    """A finished run in `folder/run`, its texts and cache beside it; the last line of the test has an unknown word."""
    config = quick_config(folder)
    with (folder / "test.txt").open("a") as file:
        file.write("the dog zigzags\n")
    return loop.train(config, folder / "run", cache_dir=folder / "cache", display=Silence())
