"""The corpus that a run was trained on, found again and known by its checksums."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tiedlm.checkpoint.folder import RunFolder
from tiedlm.config import from_json
from tiedlm.corpora.config import CorpusConfig
from tiedlm.corpora.prepare import Corpus, prepare
from tiedlm.errors import RunError


def run_corpus(folder: RunFolder, data_dir: Path | None = None, cache_dir: Path | None = None) -> Corpus:
    """Return the corpus of a run, prepared anew or from the cache, once it is the text that the run was trained on.

    Raises:
        RunError: the text or its vocabulary is another one now, or the folder does not say which it was.
        CorpusError: the text is missing or unusable now.
    """
    environment = folder.read_json("environment")
    before = environment.get("corpus") if isinstance(environment, dict) else None
    if not isinstance(before, dict):
        raise RunError(f"The environment of {folder.path} does not say on which text it was trained.")
    corpus = prepare(_config(folder), data_dir=data_dir, cache_dir=cache_dir)
    _check_same(folder, before, corpus.provenance)
    return corpus


def _config(folder: RunFolder) -> CorpusConfig:
    config = folder.read_json("config")
    if not isinstance(config, dict) or "corpus" not in config:
        raise RunError(f"The config of {folder.path} names no corpus: it was written by another program.")
    return from_json(CorpusConfig, config["corpus"], "config.corpus")


def _check_same(folder: RunFolder, before: dict[str, Any], now: dict[str, Any]) -> None:
    for split, found in now["splits"].items():
        expected = before.get("splits", {}).get(split, {}).get("text_sha256")
        if found["text_sha256"] != expected:
            raise RunError(
                f"The {split} text of the corpus {now['name']!r} has changed since {folder.path} was trained: its "
                f"sha256 was {expected} and is now {found['text_sha256']}. Name the folder with the text of then "
                "(--data-dir), or score any text file with --text."
            )
    if now["vocabulary"] != before.get("vocabulary"):
        raise RunError(
            f"The corpus {now['name']!r} gives another vocabulary than when {folder.path} was trained "
            f"({now['vocabulary']} instead of {before.get('vocabulary')}), so its ids mean other words. "
            "Use the version of tiedlm that trained the run."
        )
