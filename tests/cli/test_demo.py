from dataclasses import replace
from unittest.mock import Mock

import pytest

from support.runs import launch_here, quick_config
from tiedlm import recipes
from tiedlm.cli import demo
from tiedlm.cli.main import INTERRUPTED
from tiedlm.data.corpus import prepare
from tiedlm.errors import TrainingError
from tiedlm.evaluation.ngram import NGram
from tiedlm.training import launcher, loop


@pytest.fixture
def short(monkeypatch, tmp_path):
    """The demo on a small text, in a moment."""
    small = quick_config(tmp_path / "texts")

    def recipe(name):
        return replace(small, recipe=name, model=replace(small.model, tied=name == "demo-real"))

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(recipes, "recipe", recipe)
    monkeypatch.setattr(launcher, "launch", launch_here)
    monkeypatch.setattr(demo, "PHRASES", ("the cat", "a dog sees"))


def test_both_models_are_trained_and_shown_beside_the_counting_ones(tiedlm, short, tmp_path):
    answer = tiedlm("demo")
    assert (answer.status, answer.error) == (0, "")
    assert [path.name for path in sorted((tmp_path / ".demo").iterdir())] == ["demo-real-seed-0", "demo-vd-seed-0"]
    lines = answer.output.splitlines()
    table = lines[next(n for n, line in enumerate(lines) if line.startswith("model ")) :][:5]
    models = ["model", "unigram", "trigram, Kneser-Ney", "VD-LSTM", "VD-LSTM+REAL"]
    assert [line.split("  ")[0] for line in table] == models
    corpus = prepare(recipes.recipe("demo-vd").corpus)
    ids, end_id = {name: split.ids for name, split in corpus.splits.items()}, corpus.vocabulary.end_id
    counts = NGram(ids["train"], len(corpus.vocabulary), order=3, end_id=end_id)
    expected = [f"{counts.score(ids[name], unknown_id=0).perplexity:.1f}" for name in ("valid", "test")]
    assert table[2].split()[-2:] == expected
    for word in ("Next word after: the cat", "Next word after: a dog sees", "tiedlm predict .demo/demo-vd-seed-0"):
        assert word in answer.output
    again = tiedlm("demo")
    assert again.status == 0
    assert "epoch" not in again.output
    assert again.output.splitlines()[-40:] == lines[-40:]


def test_what_was_cut_goes_on(tiedlm, short, monkeypatch):
    original = loop.Trainer.end_epoch

    def cut(self, interrupt):
        original(self, interrupt)
        if self.config.recipe == "demo-real":
            raise KeyboardInterrupt

    monkeypatch.setattr(loop.Trainer, "end_epoch", cut)
    answer = tiedlm("demo", "--runs", "here")
    assert answer.status == INTERRUPTED
    assert answer.error.splitlines()[-1] == "tiedlm: interrupted; `tiedlm demo --runs here` resumes"
    monkeypatch.setattr(loop.Trainer, "end_epoch", original)
    answer = tiedlm("demo", "--runs", "here")
    assert answer.status == 0
    assert "epoch 1/" not in answer.output
    assert answer.output.count("epoch 2/2 ") == 1


def test_a_training_that_fails_is_told_with_its_log(tiedlm, short, monkeypatch):
    monkeypatch.setattr(loop.Trainer, "end_epoch", Mock(side_effect=TrainingError("The loss is nan.")))
    answer = tiedlm("demo")
    assert answer.status == 2
    assert "2 of 2 trainings are not finished. demo-vd-seed-0 failed: The loss is nan.;" in answer.error
