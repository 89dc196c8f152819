from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest

SPLITS = ("train", "valid", "test")


@pytest.fixture
def texts(tiny):
    return [word for split in SPLITS for word in (f"--corpus.{split}", tiny / f"{split}.txt")]


def test_own_text_is_counted(tiedlm, tiny, texts):
    answer = tiedlm("prepare", *texts)
    assert answer.status == 0
    values = answer.values()
    assert values["corpus"] == "text"
    words = set((tiny / "train.txt").read_text().split())
    assert values["vocabulary"] == str(len(words) + 2)
    rows = {row.split()[0]: row.split()[1:] for row in answer.output.splitlines()[-3:]}
    for split in SPLITS:
        content = (tiny / f"{split}.txt").read_text()
        lines, count = content.count("\n"), len(content.split()) + content.count("\n")
        unknown = len([word for word in content.split() if word not in words])
        digest = hashlib.sha256(content.encode()).hexdigest()
        assert rows[split] == [str(lines), str(count), str(unknown), digest]
        assert len(np.load(f"{values['encoded in']}/{split}.npy")) == count
    assert rows["test"][2] == "1"


def test_the_same_as_json(tiedlm, texts):
    report = json.loads(tiedlm("prepare", "text", *texts, "--json", "--corpus.vocabulary-size", 9).output)
    assert report["vocabulary"]["size"] == 9
    assert report["splits"]["train"]["unknown"] > 0


def test_what_takes_time_is_told_apart_from_the_result(tiedlm, tiny, texts, tmp_path, monkeypatch):
    monkeypatch.setenv("TIEDLM_CACHE_DIR", str(tmp_path))
    first = tiedlm("prepare", *texts)
    assert f"Encoding {tiny / 'train.txt'}" in first.error
    second = tiedlm("prepare", *texts)
    assert (second.output, second.error) == (first.output, "")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "Name the corpus to prepare. Corpora: ptb, wikitext-2, wikitext-2-half1, "),
        (["pbt"], "There is no corpus 'pbt'. Did you mean 'ptb'?"),
        (["ptb", "--corpus.train", "a.txt"], "corpus.train has no effect on the corpus 'ptb'"),
        (["text", "--corpus.train", "a.txt"], "--corpus.valid, --corpus.test is missing"),
        (["--corpus.vocabulary-size", "2"], "needs three text files"),
        (["ptb", "--data-dir", "/nowhere"], "The data folder /nowhere does not exist"),
        (["synthetic", "--data-dir", "."], "--data-dir has no effect on the corpus 'synthetic'"),
        (["ptb", "--corpus.vocabulary-size", "2"], "must be 3 or more"),
    ],
)
def test_mistakes_are_told(tiedlm, arguments, told):
    answer = tiedlm("prepare", *arguments)
    assert (answer.status, answer.output) == (2, "")
    assert told in answer.error


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "does not exist"),
        (b"", "is empty"),
        (b"\n\n", "no word"),
        (b"\x89PNG\r\n\x1a\n\0", "binary"),
        (b"a\0", "NUL"),
    ],
)
def test_a_text_that_is_none_is_named(tiedlm, texts, tmp_path, content, told):
    path = tmp_path / "train.txt"
    if content is not None:
        path.write_bytes(content)
    answer = tiedlm("prepare", *texts, "--corpus.train", path)
    assert (answer.status, answer.output) == (2, "")
    assert f"{path}" in answer.error
    assert told in answer.error


def test_a_full_disk_is_named(tiedlm, texts, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("x")
    monkeypatch.setenv("TIEDLM_CACHE_DIR", str(tmp_path / "file" / "cache"))
    answer = tiedlm("prepare", *texts)
    assert answer.status == 2
    assert str(tmp_path / "file") in answer.error


def test_a_published_corpus_with_its_licence(tiedlm, data_dir, tmp_path, monkeypatch):
    monkeypatch.setenv("TIEDLM_CACHE_DIR", str(tmp_path))
    answer = tiedlm("prepare", "ptb", "--data-dir", data_dir)
    assert answer.values()["vocabulary"] == "10000"
    assert "LDC" in answer.values()["licence"]
    assert [row.split()[:3] for row in answer.output.splitlines()[-3:]] == [
        ["train", "42068", "929589"],
        ["valid", "3370", "73760"],
        ["test", "3761", "82430"],
    ]
