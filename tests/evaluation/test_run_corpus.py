from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import pytest

from support.small_text import write_texts
from tiedlm.checkpoint.folder import RunFolder
from tiedlm.config import to_json
from tiedlm.data.corpus import prepare
from tiedlm.errors import CorpusError, RunError
from tiedlm.evaluation.run_corpus import check_same_corpus, run_corpus


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
def test_a_text_that_has_changed_is_named_with_its_path_and_both_checksums(run, folder, split):
    path, before = folder / f"{split}.txt", run.read_json("environment")["corpus"]["splits"][split]["text_sha256"]
    path.write_text("the cat likes a tree\n")
    with pytest.raises(RunError) as raised:
        run_corpus(run, cache_dir=folder / "cache")
    told = str(raised.value)
    assert f"The {split} text of the corpus 'text', {path}, has changed since {run.path} was trained" in told
    assert f"its sha256 was {before} and is now {hashlib.sha256(path.read_bytes()).hexdigest()}." in told


@pytest.mark.parametrize(
    ("name", "advice"),
    [("text", "Put the text of then back"), ("wikitext-2-half1", "--data-dir DIR"), ("builtin", "versions of Python")],
)
def test_the_advice_on_a_text_that_has_changed_is_one_that_its_corpus_allows(run, folder, name, advice):
    corpus = replace(prepare(write_texts(folder), cache_dir=folder / "cache"), name=name)
    corpus.provenance["splits"]["valid"]["text_sha256"] = "of now"
    with pytest.raises(RunError, match=advice) as raised:
        check_same_corpus(run, corpus)
    assert ("--data-dir" in str(raised.value)) == (name == "wikitext-2-half1")


def test_another_stretch_of_the_same_text_is_named(run, folder):
    corpus = prepare(write_texts(folder), cache_dir=folder / "cache")
    corpus.provenance["splits"]["train"]["words"] -= 1
    with pytest.raises(RunError, match=r"read in another way .* \(splits: "):
        check_same_corpus(run, corpus)


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
    with pytest.raises(RunError, match=r"read in another way than when .* \(vocabulary: "):
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
