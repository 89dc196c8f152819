"""The ids of a split → contiguous streams, side by side → windows of steps."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from typing import Any, final

import numpy as np
import torch

from tiedlm.errors import ArgumentError, CorpusError

RELEASE_WORDS = 1_000_000
"""Words after which the file pages that they were read from are released."""


@final
class Streams:
    """A split cut into B contiguous streams of n = ⌊words / B⌋ words each, read side by side, window by window.

    With ids w0 w1 w2 … of the whole split, stream b predicts w[b·n], …, w[(b + 1)·n - 1], each after the word before
    it, and w0 after `<eos>`. With 23 words, B = 3 streams of n = 7 words and T = 3 steps::

                        window 0         window 1         window 2 (shorter)
                        inputs → target  inputs → target
        stream 0    <eos> w0 w1 │     w2 w3 w4 │     w5        inputs  [T, B]
                      w0 w1 w2  │   w3 w4 w5   │   w6          targets [T, B]
        stream 1     w6 w7 w8   │  w9 w10 w11  │  w12
                     w7 w8 w9   │ w10 w11 w12  │  w13
        stream 2    w13 w14 w15 │ w16 w17 w18  │  w19          (w6 and w13 are the last words of the stream above)
                    w14 w15 w16 │ w17 w18 w19  │  w20
        left over   w21 w22                                    (at most B - 1 words: neither read nor predicted)

    Column b of a window continues column b of the window before, so a model carries its state from window to window.
    Every word of the streams is a target once. Of a memory-mapped array a window copies its own words only, and the
    pages are released.

    Args:
        ids: all ids of a split in order, `<eos>` included: integers [words].
        streams: B, 1 or more.
        end_id: the id of `<eos>`.

    Raises:
        CorpusError: fewer words than streams.
        ArgumentError: an argument out of its range or of another shape or type.
    """

    def __init__(self, ids: np.ndarray[Any, Any], streams: int = 20, *, end_id: int) -> None:
        ids = np.asanyarray(ids)
        if ids.ndim != 1 or ids.dtype.kind not in "iu":
            raise ArgumentError(f"ids must be a one-dimensional array of integers, but is {ids.ndim}-d {ids.dtype}.")
        if streams < 1:
            raise ArgumentError(f"streams is {streams}, but must be 1 or more.")
        if len(ids) < streams:
            raise CorpusError(
                f"The text has {len(ids):,} words, fewer than the {streams:,} streams. "
                f"Use a longer text, or at most {len(ids):,} streams."
            )
        self.count, self.length = streams, len(ids) // streams
        """B, and n, the words of each stream."""
        self.words = self.count * self.length
        """The words that are predicted, in all streams together."""
        self._end_id = end_id
        self._table = ids[: self.words].reshape(streams, self.length)  # a view, also of a memory-mapped array

    def window_count(self, steps: int, first: int | None = None) -> int:
        """Return the number of windows of `windows`, the last and perhaps shorter one included.

        Raises:
            CorpusError: a stream is shorter than one window.
            ArgumentError: an argument out of its range.
        """
        if steps < 1:
            raise ArgumentError(f"steps is {steps}, but must be 1 or more.")
        if self.length < steps:
            raise CorpusError(
                f"The text is shorter than one window: its {self.words:,} words give {self.count:,} streams of "
                f"{self.length:,}, but a window has {steps:,} steps. Use a longer text, fewer streams, or at most "
                f"{self.length:,} steps."
            )
        if first is not None and not 1 <= first <= steps:
            raise ArgumentError(f"first is {first}, but must be from 1 to {steps}, the steps of a window.")
        return 1 + -(-(self.length - (first or steps)) // steps)

    def windows(
        self, steps: int, start: int = 0, first: int | None = None
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Return an iterator of (inputs [T, B], targets [T, B]), int64 on the CPU, from window `start` on.

        Args:
            steps: T; the last window has what is left, from 1 to T.
            start: the first window, from 0 to the number of windows (then there is none); costs nothing.
            first: words of window 0, from 1 to T, so that all later windows begin elsewhere; None means T.

        Raises: as `window_count`.
        """
        count = self.window_count(steps, first)
        if not 0 <= start <= count:
            raise ArgumentError(f"start is {start}, but must be from 0 to {count:,}, the number of windows.")
        return self._windows(steps, range(start, count), (first or steps) - steps)

    def _windows(self, steps: int, numbers: range, offset: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        release_windows = max(1, RELEASE_WORDS // (steps * self.count))
        for number in numbers:
            if number % release_windows == 0:
                _release(self._table)
            begin = number * steps + offset
            first, stop = max(begin, 0), min(begin + steps, self.length)
            table = np.empty((stop - first + 1, self.count), dtype=np.int64)  # inputs are rows 0…T-1, targets rows 1…T
            table[1:] = self._table[:, first:stop].T
            if first:
                table[0] = self._table[:, first - 1]
            else:
                table[0, 0] = self._end_id
                table[0, 1:] = self._table[:-1, -1]
            both = torch.from_numpy(table)
            yield both[:-1], both[1:]


def _release(ids: np.ndarray[Any, Any]) -> None:
    """Release the pages that `ids` maps, by which a process would seem to grow; a private copy would lose changes."""
    base: object = ids
    while isinstance(base, np.ndarray) and not base.flags.writeable:
        base = base.base
    if isinstance(base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        base.madvise(mmap.MADV_DONTNEED)
