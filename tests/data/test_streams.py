from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tiedlm.data import streams as streams_module
from tiedlm.data.streams import Streams
from tiedlm.errors import ArgumentError, CorpusError

END_ID = 65_535
SIZES = st.tuples(st.integers(1, 6), st.integers(1, 25), st.integers(0, 5), st.integers(1, 30))


def test_the_picture_in_the_docstring() -> None:
    streams = Streams(np.arange(23, dtype=np.uint16), 3, end_id=END_ID)
    assert (streams.count, streams.length, streams.words, streams.window_count(3)) == (3, 7, 21, 3)
    found = [(inputs.tolist(), targets.tolist()) for inputs, targets in streams.windows(3)]
    assert found == [
        ([[END_ID, 6, 13], [0, 7, 14], [1, 8, 15]], [[0, 7, 14], [1, 8, 15], [2, 9, 16]]),
        ([[2, 9, 16], [3, 10, 17], [4, 11, 18]], [[3, 10, 17], [4, 11, 18], [5, 12, 19]]),
        ([[5, 12, 19]], [[6, 13, 20]]),
    ]


@given(SIZES)
def test_every_word_of_the_streams_is_a_target_once_and_follows_its_input(sizes: tuple[int, int, int, int]) -> None:
    count, length, left_over, steps = sizes
    steps = min(steps, length)
    ids = np.arange(count * length + min(left_over, count - 1), dtype=np.uint16)
    streams = Streams(ids, count, end_id=END_ID)
    windows = list(streams.windows(steps))
    inputs, targets = torch.cat([window[0] for window in windows]), torch.cat([window[1] for window in windows])
    assert targets.T.flatten().tolist() == list(range(count * length))
    assert inputs.T.flatten().tolist() == [END_ID, *range(count * length - 1)]
    assert len(windows) == streams.window_count(steps)
    assert all(len(window[0]) == steps for window in windows[:-1])


@given(SIZES, st.integers(0, 30))
def test_windows_from_the_middle_are_the_tail_of_all_windows(sizes: tuple[int, int, int, int], start: int) -> None:
    count, length, _, steps = sizes
    steps = min(steps, length)
    streams = Streams(np.arange(count * length, dtype=np.uint32), count, end_id=END_ID)
    start = min(start, streams.window_count(steps))
    tail, windows = list(streams.windows(steps, start)), list(streams.windows(steps))[start:]
    for (inputs, targets), (expected_inputs, expected_targets) in zip(tail, windows, strict=True):
        assert torch.equal(inputs, expected_inputs)
        assert torch.equal(targets, expected_targets)


@given(SIZES, st.integers(1, 30), st.integers(0, 30))
def test_a_shorter_first_window_moves_all_others(sizes: tuple[int, int, int, int], first: int, start: int) -> None:
    count, length, _, steps = sizes
    steps = min(steps, length)
    first = min(first, steps)
    streams = Streams(np.arange(count * length, dtype=np.uint16), count, end_id=END_ID)
    windows = list(streams.windows(steps, first=first))
    assert torch.cat([targets for _, targets in windows]).T.flatten().tolist() == list(range(count * length))
    assert len(windows) == streams.window_count(steps, first)
    assert len(windows[0][0]) == first
    assert all(len(inputs) == steps for inputs, _ in windows[1:-1])
    start = min(start, len(windows))
    tail = list(streams.windows(steps, start, first))
    assert [targets.tolist() for _, targets in tail] == [targets.tolist() for _, targets in windows[start:]]


@pytest.mark.parametrize("dtype", [np.uint16, np.uint32, np.int32, np.int64])
def test_windows_are_int64_tensors_of_steps_by_streams(dtype: type[np.integer]) -> None:
    streams = Streams(np.full(40, 65_000 if dtype is np.uint16 else 70_000, dtype=dtype), 4, end_id=1)
    inputs, targets = next(iter(streams.windows(5)))
    assert inputs.dtype == targets.dtype == torch.int64
    assert inputs.shape == targets.shape == (5, 4)
    assert inputs.is_contiguous()
    assert targets.is_contiguous()
    assert targets.unique().tolist() == [65_000 if dtype is np.uint16 else 70_000]


def test_a_window_may_be_changed_without_changing_the_ids_or_the_next_window() -> None:
    ids = np.arange(12)
    windows = Streams(ids, 2, end_id=END_ID).windows(3)
    inputs, targets = next(windows)
    inputs.zero_()
    targets.zero_()
    assert ids.tolist() == list(range(12))
    assert next(windows)[0].tolist() == [[2, 8], [3, 9], [4, 10]]


def test_ptb_has_1328_windows_of_20_by_35() -> None:
    assert Streams(np.zeros(929_589, dtype=np.uint16), end_id=0).window_count(35) == 1_328


def test_the_end_of_fifty_million_words_takes_no_more_memory_than_the_start(tmp_path: Path) -> None:
    words = 50_000_000  # in a file with a hole, which takes no room on the disk
    ids = np.memmap(tmp_path / "ids", dtype=np.uint16, mode="w+", shape=(words,))
    ids[-1] = 7
    streams = Streams(ids, 20, end_id=END_ID)
    tracemalloc.start()
    inputs, targets = list(streams.windows(35, start=streams.window_count(35) - 1))[-1]
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert targets[-1, -1] == 7
    assert inputs[0, 0] == 0
    assert peak_bytes < 100_000  # two bytes a word would be 100 MB


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


def test_no_words() -> None:
    with pytest.raises(CorpusError, match="The text has 0 words, fewer than the 1 streams"):
        Streams(np.arange(0), 1, end_id=0)


@pytest.mark.parametrize("use", ["windows", "window_count"])
def test_a_text_shorter_than_one_window(use: str) -> None:
    streams = Streams(np.arange(1_399), 4, end_id=0)
    with pytest.raises(CorpusError) as raised:
        getattr(streams, use)(350)
    assert str(raised.value) == (
        "The text is shorter than one window: its 1,396 words give 4 streams of 349, but a window has 350 steps. "
        "Use a longer text, fewer streams, or at most 349 steps."
    )
    assert streams.window_count(349) == 1


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (np.zeros((2, 3), dtype=int), "ids must be a one-dimensional array of integers, but is 2-d int64."),
        (np.zeros(3), "ids must be a one-dimensional array of integers, but is 1-d float64."),
        (np.zeros(3, dtype=bool), "ids must be a one-dimensional array of integers, but is 1-d bool."),
    ],
)
def test_ids_of_another_kind(ids: np.ndarray, message: str) -> None:
    with pytest.raises(ArgumentError) as raised:
        Streams(ids, 1, end_id=0)
    assert str(raised.value) == message


def test_arguments_out_of_range() -> None:
    with pytest.raises(ArgumentError, match=r"^streams is 0, but must be 1 or more\.$"):
        Streams(np.arange(9), 0, end_id=0)
    streams = Streams(np.arange(9), 3, end_id=0)
    with pytest.raises(ArgumentError, match=r"^steps is 0, but must be 1 or more\.$"):
        streams.window_count(0)
    for start in (-1, 3):
        with pytest.raises(ArgumentError) as raised:
            streams.windows(2, start)
        assert str(raised.value) == f"start is {start}, but must be from 0 to 2, the number of windows."
    assert list(streams.windows(2, 2)) == []
    for first in (0, 3):
        with pytest.raises(ArgumentError) as raised:
            streams.windows(2, 0, first)
        assert str(raised.value) == f"first is {first}, but must be from 1 to 2, the steps of a window."
