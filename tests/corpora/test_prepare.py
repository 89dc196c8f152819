from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import tiedlm.corpora
from tiedlm.corpora.config import CorpusConfig
from tiedlm.corpora.prepare import prepare
from tiedlm.corpora.streams import Streams
from tiedlm.errors import ConfigError, CorpusError

TEXTS = {"train": "a b\nc a\n", "valid": "a d\n", "test": "d\n"}


@pytest.fixture
def config(tmp_path: Path) -> CorpusConfig:
    for split, text in TEXTS.items():
        (tmp_path / f"{split}.txt").write_text(text)
    train, valid, test = (str(tmp_path / f"{split}.txt") for split in TEXTS)
    return CorpusConfig(train=train, valid=valid, test=test)


def test_a_text_of_ones_own(config: CorpusConfig, tmp_path: Path) -> None:
    corpus = prepare(config, cache_dir=tmp_path / "cache")
    assert corpus.name == "text"
    assert corpus.vocabulary.words == ("<eos>", "a", "b", "c", "<unk>")
    assert list(corpus.splits) == ["train", "valid", "test"]
    splits = corpus.provenance["splits"]
    assert {split: splits[split]["unknown"] for split in splits} == {"train": 0, "valid": 1, "test": 1}
    assert splits["train"]["words"] == 6
    assert splits["train"]["lines"] == 2
    assert splits["train"]["text_sha256"] == "f770ae45b06f33fc3ca7d78fe3977b9b86766b5e3e6da467067522a8b87651a0"
    assert corpus.provenance["vocabulary"] == {"size": 5, "sha256": corpus.vocabulary.sha256}
    assert json.loads(json.dumps(corpus.provenance)) == corpus.provenance


def test_a_text_whose_name_looks_like_a_home(
    config: CorpusConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.txt").rename(tmp_path / "~lock.txt")
    corpus = prepare(CorpusConfig(train="~lock.txt", valid=config.valid, test=config.test), cache_dir=tmp_path)
    assert corpus.splits["train"].words == 6


def test_a_vocabulary_of_a_given_size(config: CorpusConfig, tmp_path: Path) -> None:
    sized = CorpusConfig(train=config.train, valid=config.valid, test=config.test, vocabulary_size=3)
    corpus = prepare(sized, cache_dir=tmp_path)
    assert corpus.vocabulary.words == ("<eos>", "<unk>", "a")
    assert corpus.splits["train"].unknown == 2


def test_the_cache_folder_of_the_environment(
    config: CorpusConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIEDLM_CACHE_DIR", str(tmp_path / "elsewhere"))
    prepare(config)
    assert len(list((tmp_path / "elsewhere" / "encoded").glob("*/train.npy"))) == 1


def test_what_was_damaged_is_told_or_logged(
    config: CorpusConfig, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def damage() -> None:
        next(tmp_path.glob("encoded/*/valid.npy")).write_bytes(b"")

    told: list[str] = []
    prepare(config, cache_dir=tmp_path, progress=told.append)
    damage()
    prepare(config, cache_dir=tmp_path, progress=told.append)
    assert sum("is damaged and is made anew: valid.npy has 0 bytes" in line for line in told) == 1
    damage()
    with caplog.at_level(logging.WARNING):
        prepare(config, cache_dir=tmp_path)
    assert len(caplog.messages) == 1
    assert "is damaged and is made anew: valid.npy has 0 bytes" in caplog.messages[0]


def test_a_data_folder_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(CorpusError) as raised:
        prepare(CorpusConfig(name="ptb"), data_dir=tmp_path / "no", cache_dir=tmp_path)
    assert str(raised.value) == (
        f"The data folder {tmp_path / 'no'} does not exist. Check the path, or make the folder first."
    )


@pytest.mark.parametrize("name", ["text", "builtin", "synthetic"])
def test_a_data_folder_without_effect(config: CorpusConfig, tmp_path: Path, name: str) -> None:
    chosen = config if name == "text" else CorpusConfig(name=name)
    with pytest.raises(ConfigError) as raised:
        prepare(chosen, data_dir=tmp_path, cache_dir=tmp_path)
    assert str(raised.value) == (
        f"--data-dir has no effect on the corpus {name!r}, which needs no data folder. Leave it out."
    )


def build(folder: Path) -> dict[str, Any]:
    for split, text in TEXTS.items():
        (folder / f"{split}.txt").write_text(text)
    return {"seed": 7}


@pytest.mark.parametrize("name", ["builtin", "synthetic"])
def test_a_corpus_that_is_built_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(tiedlm.corpora, name, SimpleNamespace(RULE_VERSION=3, build=build), raising=False)
    told: list[str] = []
    corpus = prepare(CorpusConfig(name=name), cache_dir=tmp_path, progress=told.append)
    assert corpus.vocabulary.words == ("<eos>", "a", "b", "c", "<unk>")
    assert corpus.provenance["origin"] == {"seed": 7}
    folder = next(path for path in tmp_path.iterdir() if path.is_dir() and path.name.startswith(f"{name}-v3"))
    assert told[0] == f"Building the corpus {name} in {folder}"
    assert ("python" in folder.name) == (name == "builtin")
    told.clear()
    assert prepare(CorpusConfig(name=name), cache_dir=tmp_path, progress=told.append).provenance == corpus.provenance
    assert told == []
    (folder / "train.txt").write_text("edited\n")
    again = prepare(CorpusConfig(name=name), cache_dir=tmp_path, progress=told.append)
    assert again.provenance == corpus.provenance
    assert told[0].startswith(f"{folder} is damaged and is made anew: train.txt has 7 bytes")


def test_ptb_from_the_data_folder(data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIEDLM_DATA_DIR", str(data_dir))
    corpus = prepare(CorpusConfig(name="ptb"), cache_dir=tmp_path)
    assert len(corpus.vocabulary) == 10_000
    assert {split: (found.words, found.unknown) for split, found in corpus.splits.items()} == {
        "train": (929_589, 45_020),
        "valid": (73_760, 3_485),
        "test": (82_430, 4_794),
    }
    assert "LDC" in corpus.provenance["origin"]["licence"]
    streams = Streams(corpus.splits["train"].ids, 20, end_id=corpus.vocabulary.end_id)
    assert streams.window_count(35) == sum(1 for _ in streams.windows(35)) == 1_328
    inputs, targets = next(streams.windows(35))
    assert [corpus.vocabulary.words[number] for number in inputs[:3, 0]] == ["<eos>", "aer", "banknote"]
    assert [corpus.vocabulary.words[number] for number in targets[:3, 0]] == ["aer", "banknote", "berlitz"]


def test_ptb_with_a_smaller_vocabulary_from_a_folder_given_by_hand(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIEDLM_DATA_DIR", str(tmp_path / "another"))
    corpus = prepare(CorpusConfig(name="ptb", vocabulary_size=1_000), data_dir=data_dir, cache_dir=tmp_path)
    assert len(corpus.vocabulary) == 1_000
    assert corpus.splits["test"].words == 82_430
    assert corpus.splits["test"].unknown > 4_794


def test_the_config_is_had_without_torch_and_numpy() -> None:
    code = "import sys, tiedlm.corpora.config; sys.exit(any(name in sys.modules for name in ('torch', 'numpy')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
