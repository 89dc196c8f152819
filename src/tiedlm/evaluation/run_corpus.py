"""The corpus that a run was trained on, found again and known by its checksums."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tiedlm.checkpoint.folder import RunFolder
from tiedlm.config import from_json
from tiedlm.data.corpus import Corpus, prepare
from tiedlm.data.sources import CorpusConfig, source_of
from tiedlm.errors import RunError


def run_corpus(folder: RunFolder, data_dir: Path | None = None, cache_dir: Path | None = None) -> Corpus:
    """Return the corpus of a run, prepared anew or from the cache, once it is the text that the run was trained on.

    Raises:
        RunError: as `check_same_corpus`.
        CorpusError: the text is missing or unusable now.
    """
    corpus = prepare(_config(folder), data_dir=data_dir, cache_dir=cache_dir)
    check_same_corpus(folder, corpus)
    return corpus


def check_same_corpus(folder: RunFolder, corpus: Corpus) -> None:
    """Refuse a corpus that is not the one that a run was trained on.

    Raises:
        RunError: a text or what is made of it is another one now, or the folder does not say which it was.
    """
    before, now = _provenance(folder), corpus.provenance
    for split, found in now["splits"].items():
        expected = before.get("splits", {}).get(split, {}).get("text_sha256")
        if found["text_sha256"] != expected:
            raise RunError(
                f"The {split} text of the corpus {corpus.name!r}, {corpus.texts[split]}, has changed since "
                f"{folder.path} was trained: its sha256 was {expected} and is now {found['text_sha256']}. "
                f"{_advice(corpus.name)}"
            )
    for part in ("vocabulary", "splits"):
        if now[part] != before.get(part):
            raise RunError(
                f"The corpus {corpus.name!r} is read in another way than when {folder.path} was trained, so that its "
                f"ids may mean other words ({part}: {before.get(part)} then, {now[part]} now). Use the version of "
                "tiedlm that trained the run."
            )


def _config(folder: RunFolder) -> CorpusConfig:
    config = folder.read_json("config")
    if not isinstance(config, dict) or "corpus" not in config:
        raise RunError(f"The config of {folder.path} names no corpus: it was written by another program.")
    return from_json(CorpusConfig, config["corpus"], "config.corpus")


def _provenance(folder: RunFolder) -> dict[str, Any]:
    environment = folder.read_json("environment")
    found = environment.get("corpus") if isinstance(environment, dict) else None
    if not isinstance(found, dict):
        raise RunError(f"The environment of {folder.path} does not say on which text it was trained.")
    return found


def _advice(name: str) -> str:
    """Return what to do where the text of a corpus has changed."""
    if source_of(name) is not None:
        return "Name the folder with the text of then: --data-dir DIR."
    if name == "text":
        return (
            "Put the text of then back, or train on this one in another run folder (`tiedlm score RUN --text FILE` "
            "scores a run on any text)."
        )
    return "It is made here: use the versions of Python and tiedlm that environment.json of the run tells."
