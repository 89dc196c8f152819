import hashlib
from dataclasses import replace

import pytest
import torch

from support.run_folders import write_run
from tiedlm.config import to_json
from tiedlm.data.text import Vocabulary
from tiedlm.errors import RunError
from tiedlm.nn.config import LSTMConfig
from tiedlm.nn.model import LanguageModel
from tiedlm.recipes import recipe
from tiedlm.runs.load import load_run, tensors_to_bytes

VOCABULARY = Vocabulary.from_counts({"<eos>": 3, "the": 5, "a": 4, "<unk>": 1})
TIED = LSTMConfig(units=4, tied=True, keep_hidden=0.5)


def make(path, model_config=TIED, model=None, words=VOCABULARY):
    """A run folder with weights."""
    model = model or LanguageModel(model_config, len(VOCABULARY))
    config = replace(recipe("ptb-small-re"), seed=3, model=model_config)
    return write_run(path, config, vocabulary=words, weights=tensors_to_bytes(model.state_dict()))


@pytest.mark.parametrize(
    "config",
    [
        TIED,
        LSTMConfig(units=4, layers=3, embedding_width=6),
        LSTMConfig(units=4, embedding_width=3, tied=True, project=True),
    ],
)
def test_what_was_saved_is_loaded_to_the_bit(tmp_path, config):
    model = LanguageModel(config, len(VOCABULARY))
    folder = make(tmp_path / "run", config, model)
    run = load_run(folder.path)
    assert run.folder.path == folder.path
    assert (run.config["seed"], run.config["model"]) == (3, to_json(config))
    assert repr(run) == f"Run({str(folder.path)!r}, recipe='ptb-small-re', seed=3)"
    assert run.weights_sha256 == hashlib.sha256(folder.read("weights")).hexdigest()
    assert run.vocabulary == VOCABULARY
    assert not run.model.training
    loaded = run.model.state_dict()
    assert list(loaded) == list(model.state_dict())
    assert all(loaded[name].equal(tensor) for name, tensor in model.state_dict().items())


def test_the_loaded_model_computes_what_the_saved_one_did(tmp_path):
    model = LanguageModel(TIED, len(VOCABULARY)).eval()
    run = load_run(make(tmp_path / "run", model=model).path)
    tokens = torch.tensor([[0, 1], [3, 2], [1, 1]])
    features, _ = model(tokens, model.initial_state(2))
    again, _ = run.model(tokens, run.model.initial_state(2))
    assert run.model.logits(again).equal(model.logits(features))
    assert run.model.table is run.model.classifier


def test_a_run_without_weights_says_to_train_first(tmp_path):
    write_run(tmp_path / "run")
    with pytest.raises(RunError, match=r"run has no weights yet: .* Resume it: `tiedlm train --resume .*run`"):
        load_run(tmp_path / "run")


def test_a_missing_folder_and_damaged_weights_are_named(tmp_path):
    with pytest.raises(RunError, match="There is no run folder"):
        load_run(tmp_path / "run")
    path = make(tmp_path / "run").path / "weights-000000.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(RunError, match=r"weights-000000\.safetensors is damaged"):
        load_run(tmp_path / "run")


@pytest.mark.parametrize("part", ["fewer words", "other width", "untied", "more layers"])
def test_weights_of_another_model_are_named(tmp_path, part):
    larger = Vocabulary.from_counts({"<eos>": 3, "the": 5, "a": 4, "<unk>": 1, "cat": 1})
    if part == "fewer words":
        make(tmp_path / "run", words=larger)
    else:
        changed = {"other width": {"units": 5}, "untied": {"tied": False}, "more layers": {"layers": 3}}[part]
        make(tmp_path / "run", LSTMConfig(**(to_json(TIED) | changed)), LanguageModel(TIED, len(VOCABULARY)))
    with pytest.raises(RunError, match=r"The parameters in .*run do not fit the model of its config and vocabulary"):
        load_run(tmp_path / "run")


def test_a_model_that_would_not_fit_into_memory_is_refused_before_it_is_made(tmp_path):
    huge = LSTMConfig(units=1_000_000, layers=100)
    make(tmp_path / "run", huge, LanguageModel(TIED, len(VOCABULARY)))
    with pytest.raises(RunError, match="do not fit the model"):
        load_run(tmp_path / "run")
