from __future__ import annotations

import json

import pytest

from support.small_text import write_texts
from tiedlm.checkpoint.folder import RunFolder
from tiedlm.config import to_json
from tiedlm.corpora.prepare import prepare
from tiedlm.errors import CorpusError, RunError
from tiedlm.evaluation.run_corpus import run_corpus


@pytest.fixture
def folder(tmp_path):
    return tmp_path


@pytest.fixture
def run(folder):
    """A run folder with what a training writes into it before it begins."""
    config = write_texts(folder)
    corpus = prepare(config, cache_dir=folder / "cache")
    contents = {
        "config": {"corpus": to_json(config)},
        "vocabulary": corpus.vocabulary.to_json(),
        "environment": {"corpus": corpus.provenance},
    }
    return RunFolder.create(folder / "run", {role: json.dumps(value).encode() for role, value in contents.items()})


def test_the_corpus_of_a_run_is_found_again(run, folder):
    corpus = run_corpus(run, cache_dir=folder / "cache")
    assert corpus.vocabulary.to_json() == run.read_json("vocabulary")
    elsewhere = run_corpus(run, cache_dir=folder / "cache2")
    assert elsewhere.splits["test"].ids.tolist() == corpus.splits["test"].ids.tolist()


@pytest.mark.parametrize("split", ["train", "valid", "test"])
def test_a_text_that_has_changed_is_named_with_both_checksums(run, folder, split):
    (folder / f"{split}.txt").write_text("the cat likes a tree\n")
    with pytest.raises(RunError, match=f"The {split} text of the corpus 'text' has changed since .*run was trained"):
        run_corpus(run, cache_dir=folder / "cache")


def test_a_text_that_is_gone_is_named(run, folder):
    (folder / "valid.txt").unlink()
    with pytest.raises(CorpusError, match=r"valid\.txt does not exist"):
        run_corpus(run, cache_dir=folder / "cache")


def copy_with(run, path, **changes):
    contents = {role: run.read(role) for role in ("config", "vocabulary", "environment")}
    contents |= {role: json.dumps(change(run.read_json(role))).encode() for role, change in changes.items()}
    return RunFolder.create(path, contents)


def test_another_vocabulary_from_the_same_text_is_named(run, folder):
    copy = copy_with(
        run,
        folder / "copy",
        config=lambda config: config | {"corpus": config["corpus"] | {"vocabulary_size": 9}},
    )
    with pytest.raises(RunError, match="another vocabulary than when"):
        run_corpus(copy, cache_dir=folder / "cache")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"environment": lambda _: {}}, "does not say on which text"),
        ({"environment": lambda _: []}, "does not say on which text"),
        ({"config": lambda _: {}}, "names no corpus"),
    ],
)
def test_a_folder_that_does_not_say_what_its_text_was_is_refused(run, folder, changes, told):
    with pytest.raises(RunError, match=told):
        run_corpus(copy_with(run, folder / "copy", **changes), cache_dir=folder / "cache")
