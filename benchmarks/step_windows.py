"""The windows that a training step is measured on: Penn Treebank where it is at hand, else made-up words as uneven."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import torch

from tiedlm.corpora.config import CorpusConfig
from tiedlm.corpora.prepare import prepare
from tiedlm.corpora.sources import PTB
from tiedlm.corpora.streams import Streams
from tiedlm.locations import data_dir

WORDS, STREAMS, STEPS = 10_000, 20, 35
"""Vocabulary, streams and steps of `ptb-small-*`."""

Window = tuple[torch.Tensor, torch.Tensor]


def windows(count: int, folder: Path | None) -> tuple[str, list[Window]]:
    """Return what the words are, `ptb` or `zipf`, and the first `count` windows of inputs and targets [T, B]."""
    folder = folder or data_dir()
    found = has_ptb(folder)
    ids = ptb_ids(folder) if found else zipf_ids(count * STREAMS * STEPS, seed=0)
    streams = Streams(ids, STREAMS, end_id=0)
    return "ptb" if found else "zipf", list(islice(streams.windows(STEPS), count))


def has_ptb(folder: Path) -> bool:
    """Return whether the texts are there, so that nothing is downloaded for a measurement."""
    return all(any((folder / name).is_file() for name in file.names) for file in PTB.files.values())


def ptb_ids(folder: Path) -> np.ndarray:
    """Return the ids of the training text."""
    return prepare(CorpusConfig(name="ptb"), data_dir=folder).splits["train"].ids


def zipf_ids(count: int, seed: int) -> np.ndarray:
    """Return independent words, the one of rank r with a probability in proportion to 1 / (r + 2.7)."""
    weights = 1 / (np.arange(1, WORDS + 1) + 2.7)
    return np.random.default_rng(seed).choice(WORDS, size=count, p=weights / weights.sum())
