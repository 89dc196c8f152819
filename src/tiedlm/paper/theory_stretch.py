"""The text of a run of the theory experiment: a stretch of the training text, in ids of its own words."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch

from tiedlm.data.streams import Streams
from tiedlm.errors import CorpusError
from tiedlm.seeding import generator


class Stretch(NamedTuple):
    """A stretch of a text in ids of its own."""

    ids: np.ndarray[Any, Any]
    """Ids in order, from 0 to V - 1 [words]."""
    words: int
    """V."""
    end_id: int
    """The id of `<eos>` among them."""

    def streams(self, count: int) -> Streams:
        """Return it as streams side by side."""
        return Streams(self.ids, count, end_id=self.end_id)


def choose_stretch(ids: np.ndarray[Any, Any], text_words: int, end_id: int, run: int) -> Stretch:
    """Return the contiguous stretch that run number `run` is trained on, its place drawn uniformly.

    Raises:
        CorpusError: the text is shorter.
    """
    if len(ids) < text_words:
        raise CorpusError(f"The text has {len(ids):,} words, but a stretch of {text_words:,} is asked for.")
    places = len(ids) - text_words + 1
    first = int(torch.randint(places, (1,), generator=generator(run, "stretch")))
    part = np.asarray(ids[first : first + text_words]).astype(np.int64)
    distinct = np.union1d(part, [end_id])
    return Stretch(np.searchsorted(distinct, part), len(distinct), int(np.searchsorted(distinct, end_id)))
