"""The bytes of a run folder as tensors, and the folder as its trained model."""

import hashlib
import math
from dataclasses import replace

import pytest
import safetensors.torch
import torch

from support.runs import write_run
from tiedlm.config import to_json
from tiedlm.data.text import Vocabulary
from tiedlm.errors import ArgumentError, RunError
from tiedlm.nn.config import LSTMConfig
from tiedlm.nn.model import LanguageModel
from tiedlm.recipes import recipe
from tiedlm.runs.load import bytes_to_tensors, load_run, tensors_to_bytes

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


def test_a_run_without_weights_says_to_train_first(tmp_path):
    write_run(tmp_path / "run")
    with pytest.raises(RunError, match=r"run has no weights yet: .* Resume it: `tiedlm train --resume .*run`"):
        load_run(tmp_path / "run")


HUGE = {"units": 1_000_000, "layers": 100}  # refused before it is made


@pytest.mark.parametrize("changed", [None, {"units": 5}, {"tied": False}, {"layers": 3}, HUGE])
def test_weights_of_another_model_are_named(tmp_path, changed):
    if changed is None:
        make(tmp_path / "run", words=Vocabulary.from_counts({"<eos>": 3, "the": 5, "a": 4, "<unk>": 1, "cat": 1}))
    else:
        make(tmp_path / "run", LSTMConfig(**(to_json(TIED) | changed)), LanguageModel(TIED, len(VOCABULARY)))
    with pytest.raises(RunError, match=r"The parameters in .*run do not fit the model of its config and vocabulary"):
        load_run(tmp_path / "run")


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_weights_that_are_not_finite_are_refused(tmp_path, value):
    model = LanguageModel(TIED, len(VOCABULARY))
    model.tables.weight.data[1, 2] = value
    make(tmp_path / "run", TIED, model)
    with pytest.raises(RunError, match=r"The parameter tables\..* in .*run has entries that are not finite"):
        load_run(tmp_path / "run")


DTYPES = (
    *(torch.float64, torch.float32, torch.bfloat16, torch.float16),
    *(torch.int64, torch.int32, torch.uint8, torch.bool),
)


def assert_same(actual, truth):
    assert set(actual) == set(truth)
    for name, tensor in truth.items():
        assert actual[name].dtype == tensor.dtype
        assert actual[name].shape == tensor.shape
        assert (
            actual[name].contiguous().view(-1).view(torch.uint8).equal(tensor.contiguous().view(-1).view(torch.uint8))
        )


def test_every_dtype_shape_and_special_value_comes_back_to_the_bit():
    tensors = {
        **{str(dtype): torch.randint(0, 2, (3, 5)).to(dtype) for dtype in DTYPES},
        "special": torch.tensor([math.nan, math.inf, -math.inf, -0.0, 1e-45]),
        "scalar": torch.tensor(3.5),
        "empty": torch.empty(0, 4),
        "empty too": torch.empty(0, 4),
        "": torch.ones(1),
        "Wörter.weight": torch.ones(2),
        "random": torch.Generator().manual_seed(5).get_state(),
    }
    assert_same(bytes_to_tensors(tensors_to_bytes(tensors)), tensors)


def test_views_are_stored_by_value():
    base = torch.arange(24.0).view(4, 6)
    tensors = {
        "base": base,
        "turned": base.T,
        "row": base[1],
        "head": base[:2],
        "part": base[1:, ::2],
        "flat": base.view(-1),
    }
    square = torch.arange(9, dtype=torch.int32).view(3, 3)
    tensors |= {"square": square, "turned square": square.T, "as floats": square.view(torch.float32)}
    tensors["spread"] = torch.ones(1, 1).expand(3, 3)
    again = bytes_to_tensors(tensors_to_bytes(tensors))
    assert_same(again, tensors)
    again["base"].zero_()
    assert again["flat"].equal(base.view(-1))


def test_a_tied_tensor_is_stored_once_and_is_one_object_again():
    table = torch.nn.Parameter(torch.randn(100, 10))
    content = tensors_to_bytes({"embed": table, "classify": table.detach(), "third": table.data})
    assert len(content) < 100 * 10 * 4 + 300
    again = bytes_to_tensors(content)
    assert again["embed"] is again["classify"] is again["third"]
    assert again["embed"].equal(table)
    assert not again["embed"].requires_grad


def test_equal_tensors_that_are_not_tied_stay_apart():
    again = bytes_to_tensors(tensors_to_bytes({"one": torch.ones(3), "two": torch.ones(3)}))
    again["one"].zero_()
    assert again["two"].equal(torch.ones(3))


def test_the_same_tensors_give_the_same_bytes():
    def make():
        table = torch.arange(6.0)
        return {"b": table, "a": table, "d": torch.ones(2), "c": torch.zeros(1), "e": table}

    assert len({tensors_to_bytes(make()) for _ in range(20)}) == 1


@pytest.mark.parametrize("value", [None, 3.0, [1.0], torch.empty(2, device="meta"), torch.eye(2).to_sparse()])
def test_what_is_not_a_dense_tensor_is_refused_by_name(value):
    with pytest.raises(ArgumentError, match="'weight' must be a dense tensor with data, but is"):
        tensors_to_bytes({"weight": value})


def test_a_cut_file_is_refused():
    content = tensors_to_bytes({"one": torch.ones(3), "two": torch.zeros(2)})
    for end in range(len(content)):
        with pytest.raises(ArgumentError, match="not a whole safetensors file"):
            bytes_to_tensors(content[:end])


@pytest.mark.parametrize("aliases", ['{"a": "absent"}', "[]", "7", "{", '{"a": ["one"]}'])
def test_aliases_that_lead_nowhere_are_refused(aliases):
    content = safetensors.torch.save({"one": torch.ones(1)}, {"aliases": aliases})
    with pytest.raises(ArgumentError, match="not a whole safetensors file"):
        bytes_to_tensors(content)
