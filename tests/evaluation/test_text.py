from __future__ import annotations

import errno
import tempfile
from pathlib import Path

import numpy as np
import pytest

from tiedlm.errors import CorpusError
from tiedlm.evaluation.text import text_as_ids


def test_a_text_becomes_ids_for_as_long_as_it_is_used(tmp_path, vocabulary, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "a.txt").write_bytes(b"the cat\r\n\nsees a wug")
    with text_as_ids(tmp_path / "a.txt", vocabulary) as ids:
        words = [vocabulary.words[number] for number in ids]
        assert isinstance(ids, np.memmap)
        assert len(list(tmp_path.iterdir())) == 2
    assert words == ["the", "cat", "<eos>", "<eos>", "sees", "a", "<unk>", "<eos>"]
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.parametrize(
    ("content", "told"), [(b"", "empty"), (b"\n\n", "no word"), (b"a\xff", "not UTF-8"), (b"a\0b", "NUL")]
)
def test_what_is_no_text_is_refused_and_leaves_nothing(tmp_path, vocabulary, monkeypatch, content, told):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "a.txt").write_bytes(content)
    with pytest.raises(CorpusError, match=told), text_as_ids(tmp_path / "a.txt", vocabulary):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_a_full_disk_is_told_with_the_folder_that_is_full(tmp_path, vocabulary, monkeypatch):
    def write_ids(path, vocabulary, target):
        target.write_bytes(b"some")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr("tiedlm.evaluation.text.write_ids", write_ids)
    told = f"a.txt cannot be written to {tmp_path}/tiedlm-.*: No space left on device. .* TMPDIR"
    with pytest.raises(CorpusError, match=told), text_as_ids(tmp_path / "a.txt", vocabulary):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_missing_text_is_named(vocabulary):
    with pytest.raises(CorpusError, match=r"nowhere\.txt does not exist"), text_as_ids(Path("nowhere.txt"), vocabulary):
        pass
