import hashlib
import json

import pytest
import torch

from tiedlm.checkpoint.folder import RunFolder
from tiedlm.checkpoint.load import load_run
from tiedlm.checkpoint.tensors import tensors_to_bytes
from tiedlm.config import to_json
from tiedlm.data.text import Vocabulary
from tiedlm.errors import RunError
from tiedlm.nn.config import LSTMConfig
from tiedlm.nn.model import LanguageModel

VOCABULARY = Vocabulary.from_counts({"<eos>": 3, "the": 5, "a": 4, "<unk>": 1})
TIED = LSTMConfig(units=4, tied=True, keep_hidden=0.5)


def make(path, model_config=TIED, model=None, words=VOCABULARY, **changes):
    """A run folder with weights; `changes` replace the content of a role."""
    model = model or LanguageModel(model_config, len(VOCABULARY))
    contents = {
        "config": json.dumps({"seed": 3, "model": to_json(model_config)}).encode(),
        "vocabulary": json.dumps(words.to_json()).encode(),
        "environment": b"{}",
        "weights": tensors_to_bytes(model.state_dict()),
    }
    return RunFolder.create(path, contents | changes)


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
    assert run.config == {"seed": 3, "model": to_json(config)}
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
    RunFolder.create(tmp_path / "run", {"config": b"{}", "vocabulary": b"{}", "environment": b"{}"})
    with pytest.raises(RunError, match=r"run has no weights yet: .* Go on with it: `tiedlm train --resume .*run`"):
        load_run(tmp_path / "run")


def test_a_missing_folder_and_damaged_weights_are_named(tmp_path):
    with pytest.raises(RunError, match="There is no run folder"):
        load_run(tmp_path / "run")
    path = make(tmp_path / "run").path / "weights-000000.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(RunError, match=r"weights-000000\.safetensors is damaged"):
        load_run(tmp_path / "run")


CONFIGS = [
    *([], None, {}, {"model": None}, {"model": {"units": 4}}),
    {"model": to_json(TIED) | {"unit": 3}},
    {"model": to_json(TIED) | {"units": 0}},
]


@pytest.mark.parametrize("config", CONFIGS)
def test_a_config_of_another_kind_is_named(tmp_path, config):
    make(tmp_path / "run", config=json.dumps(config).encode())
    with pytest.raises(RunError, match=r"The config or vocabulary of .*run cannot be used: .* another version of tie"):
        load_run(tmp_path / "run")


@pytest.mark.parametrize("vocabulary", [[], {}, {"version": 1, "words": ["a"], "counts": [1]}, 7])
def test_a_vocabulary_of_another_kind_is_named(tmp_path, vocabulary):
    make(tmp_path / "run", vocabulary=json.dumps(vocabulary).encode())
    with pytest.raises(RunError, match=r"The config or vocabulary of .*run cannot be used: "):
        load_run(tmp_path / "run")


@pytest.mark.parametrize("part", ["fewer words", "other width", "untied", "more layers"])
def test_weights_of_another_model_are_named(tmp_path, part):
    larger = Vocabulary.from_counts({"<eos>": 3, "the": 5, "a": 4, "<unk>": 1, "cat": 1})
    if part == "fewer words":
        make(tmp_path / "run", words=larger)
    else:
        changed = {"other width": {"units": 5}, "untied": {"tied": False}, "more layers": {"layers": 3}}[part]
        make(tmp_path / "run", LSTMConfig(**(to_json(TIED) | changed)), LanguageModel(TIED, len(VOCABULARY)))
    with pytest.raises(RunError, match=r"The weights of .*run do not fit the model of its config and vocabulary: "):
        load_run(tmp_path / "run")
