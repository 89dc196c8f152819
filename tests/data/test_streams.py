"""Ids become streams and windows: what each reads and predicts, in how much memory, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tiedlm.data import streams as streams_module
from tiedlm.data.streams import Streams
from tiedlm.errors import ArgumentError, CorpusError

END_ID = 65_535
SIZES = st.tuples(st.integers(1, 6), st.integers(1, 25), st.integers(0, 5), st.integers(1, 30))


def test_the_picture_in_the_docstring() -> None:
    streams = Streams(np.arange(23, dtype=np.uint16), 3, end_id=END_ID)
    assert (streams.count, streams.length, streams.words, streams.window_count(3)) == (3, 7, 21, 3)
    windows = [(inputs.tolist(), targets.tolist()) for inputs, targets in streams.windows(3)]
    assert windows == [
        ([[END_ID, 6, 13], [0, 7, 14], [1, 8, 15]], [[0, 7, 14], [1, 8, 15], [2, 9, 16]]),
        ([[2, 9, 16], [3, 10, 17], [4, 11, 18]], [[3, 10, 17], [4, 11, 18], [5, 12, 19]]),
        ([[5, 12, 19]], [[6, 13, 20]]),
    ]


@settings(max_examples=40)
@given(SIZES, st.integers(1, 30), st.integers(0, 30), st.sampled_from([(np.uint16, 0), (np.uint32, 70_000)]))
def test_every_word_is_a_target_once_and_follows_its_input_from_any_first_or_later_window(
    sizes: tuple[int, int, int, int], first: int, start: int, kind: tuple[type[np.integer], int]
) -> None:
    dtype, lowest = kind
    count, length, left_over, steps = sizes
    steps = min(steps, length)
    first = min(first, steps)
    ids = np.arange(lowest, lowest + count * length + min(left_over, count - 1), dtype=dtype)
    streams = Streams(ids, count, end_id=END_ID)
    windows = list(streams.windows(steps, first=first))
    inputs, targets = torch.cat([window[0] for window in windows]), torch.cat([window[1] for window in windows])
    assert targets.T.flatten().tolist() == list(range(lowest, lowest + count * length))
    assert inputs.T.flatten().tolist() == [END_ID, *range(lowest, lowest + count * length - 1)]
    assert all(part.dtype == torch.int64 and part.is_contiguous() for window in windows for part in window)
    assert len(windows) == streams.window_count(steps, first)
    assert len(windows[0][0]) == first
    assert all(len(inputs) == steps for inputs, _ in windows[1:-1])
    start = min(start, len(windows))
    tail = [(inputs.tolist(), targets.tolist()) for inputs, targets in streams.windows(steps, start, first)]
    assert tail == [(inputs.tolist(), targets.tolist()) for inputs, targets in windows[start:]]


def resident_mib(kind: str) -> float:
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith(kind)).split()[1]) / 1024


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="memory by kind is told by Linux alone")
def test_a_long_text_that_was_read_does_not_stay_mapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Looked at right after each release: a read may map a good deal more around what it reads, as the system likes."""
    words, release, left = 20_000_000, streams_module._release, []
    np.save(tmp_path / "ids.npy", np.zeros(words, dtype=np.uint16))
    ids = np.load(tmp_path / "ids.npy", mmap_mode="r", allow_pickle=False)
    before = resident_mib("RssFile")

    def watched(table: np.ndarray) -> None:
        release(table)
        left.append(resident_mib("RssFile") - before)

    monkeypatch.setattr(streams_module, "_release", watched)
    for _ in Streams(ids, 20, end_id=0).windows(1_000):
        read = resident_mib("RssFile") - before
        assert read > 0
    assert len(left) >= 20
    assert max(left) < 2, "MiB of 38"
    assert not ids[-10:].any()


def test_what_was_changed_in_a_private_copy_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its pages cannot be given back: the file lacks the changes."""
    monkeypatch.setattr(streams_module, "RELEASE_WORDS", 1)
    np.save(tmp_path / "ids.npy", np.zeros(1_000, dtype=np.uint16))
    ids = np.load(tmp_path / "ids.npy", mmap_mode="c", allow_pickle=False)
    ids[:] = 7
    for array in (ids, ids[:]):
        assert all(bool((targets == 7).all()) for _, targets in Streams(array, 1, end_id=0).windows(1))


def test_fewer_words_than_streams() -> None:
    with pytest.raises(CorpusError) as raised:
        Streams(np.arange(19), 20, end_id=0)
    assert str(raised.value) == (
        "The text has 19 words, fewer than the 20 streams. Use a longer text, or at most 19 streams."
    )


def test_a_text_shorter_than_one_window() -> None:
    streams = Streams(np.arange(1_399), 4, end_id=0)
    with pytest.raises(CorpusError) as raised:
        streams.windows(350)
    assert str(raised.value) == (
        "The text is shorter than one window: its 1,396 words give 4 streams of 349, but a window has 350 steps. "
        "Use a longer text, fewer streams, or at most 349 steps."
    )
    assert streams.window_count(349) == 1


@pytest.mark.parametrize(("ids", "kind"), [(np.zeros((2, 3), dtype=int), "2-d int64"), (np.zeros(3), "1-d float64")])
def test_ids_of_another_kind(ids: np.ndarray, kind: str) -> None:
    with pytest.raises(ArgumentError, match=f"ids must be a one-dimensional array of integers, but is {kind}"):
        Streams(ids, 1, end_id=0)


def test_arguments_out_of_range() -> None:
    with pytest.raises(ArgumentError, match=r"^streams is 0, but must be 1 or more\.$"):
        Streams(np.arange(9), 0, end_id=0)
    streams = Streams(np.arange(9), 3, end_id=0)
    with pytest.raises(ArgumentError, match=r"^steps is 0, but must be 1 or more\.$"):
        streams.window_count(0)
    for start in (-1, 3):
        with pytest.raises(ArgumentError, match=f"^start is {start}, but must be from 0 to 2, the number of windows"):
            streams.windows(2, start)
    assert list(streams.windows(2, 2)) == []
    for first in (0, 3):
        with pytest.raises(ArgumentError, match=f"^first is {first}, but must be from 1 to 2, the steps of a window"):
            streams.windows(2, 0, first)
