"""Configs to JSON and back; and the checks of every config class."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiedlm.config import from_json, to_json
from tiedlm.corpora.config import CorpusConfig
from tiedlm.errors import ConfigError
from tiedlm.losses.config import LossConfig
from tiedlm.models.config import LSTMConfig


@dataclass(frozen=True, kw_only=True)
class Inner:
    rate: float = 0.5
    kind: Literal["one", "two"] = "one"


@dataclass(frozen=True, kw_only=True)
class Outer:
    count: int
    name: str | None = None
    flag: bool = False
    inner: Inner = field(default_factory=Inner)


@given(st.integers(), st.none() | st.text(), st.booleans(), st.floats(allow_nan=False), st.sampled_from(["one", "two"]))
def test_round_trip(count: int, name: str | None, flag: bool, rate: float, kind: Any) -> None:
    config = Outer(count=count, name=name, flag=flag, inner=Inner(rate=rate, kind=kind))
    assert from_json(Outer, json.loads(json.dumps(to_json(config)))) == config


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"count": 1.5}, r"config\.count must be of type int, but is 1\.5"),
        ({"count": True}, r"config\.count must be of type int, but is True"),
        ({"count": None}, r"config\.count must be of type int, but is None"),
        ({"flag": 1}, r"config\.flag must be of type bool, but is 1"),
        ({"name": 3}, r"config\.name must be of type str, but is 3"),
        ({"inner": 3}, r"config\.inner must be an object with the fields of Inner, but is 3"),
        ({"inner": {"rate": "x", "kind": "one"}}, r"config\.inner\.rate must be of type float"),
        ({"inner": {"rate": 1, "kind": "tow"}}, r"config\.inner\.kind must be one of 'one', 'two', but is 'tow'\. Did"),
        ({"inner": {"kind": "one"}}, r"config\.inner lacks the field 'rate'"),
        ({"conut": 3}, r"config has no field 'conut'\. Did you mean 'count'\?"),
    ],
)
def test_what_does_not_fit_is_named_with_its_whole_path(change: dict[str, Any], message: str) -> None:
    value = {**to_json(Outer(count=3)), **change}
    with pytest.raises(ConfigError, match=message):
        from_json(Outer, value)


def test_whole_numbers_are_taken_as_floats() -> None:
    read = from_json(Inner, {"rate": 2, "kind": "one"})
    assert isinstance(read.rate, float)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"gamma": -0.1}, r"loss\.gamma is -0\.1"),
        ({"gamma": float("nan")}, r"loss\.gamma is nan"),
        ({"temperature": 20.0}, "no effect without the augmented term"),
        ({"detach_target": True}, "no effect without the augmented term"),
        ({"gamma": 0.5}, r"loss\.temperature is None"),
        ({"gamma": 0.5, "temperature": 0.0}, r"loss\.temperature is 0\.0"),
        ({"gamma": 0.5, "temperature": float("inf")}, r"loss\.temperature is inf"),
    ],
)
def test_loss_config_refuses(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        LossConfig(**fields)


@pytest.mark.parametrize(("gamma", "temperature"), [(0.5, 20.0), (1e-3, 0.5), (2.0, 1e-3), (0.0, None)])
def test_loss_config_takes_every_number_within_its_range(gamma: float, temperature: float | None) -> None:
    config = LossConfig(gamma=gamma, temperature=temperature)
    assert (config.gamma, config.temperature, config.detach_target) == (gamma, temperature, False)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"units": 0}, r"model\.units is 0"),
        ({"layers": 0}, r"model\.layers is 0"),
        ({"embedding_width": 0}, r"model\.embedding_width is 0"),
        ({"keep_input": 0.0}, r"model\.keep_input is 0\.0"),
        ({"keep_hidden": 1.1}, r"model\.keep_hidden is 1\.1"),
        ({"init_range": 0.0}, r"model\.init_range is 0\.0"),
        ({"tied": True, "embedding_width": 5}, r"make them equal, or set model\.project"),
        ({"project": True}, r"model\.project has no effect"),
        ({"project": True, "tied": True}, r"model\.project has no effect"),
        ({"project": True, "embedding_width": 5}, r"model\.project has no effect"),
    ],
)
def test_model_config_refuses(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        LSTMConfig(**fields)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": "ptp"}, r"no corpus 'ptp'\. Did you mean 'ptb'\?"),
        ({"name": "ptb", "train": "a.txt"}, r"corpus\.train has no effect"),
        ({"name": "text", "train": "a.txt"}, r"--corpus\.valid, --corpus\.test is missing"),
        ({"name": "ptb", "vocabulary_size": 2}, r"corpus\.vocabulary_size is 2"),
    ],
)
def test_corpus_config_refuses(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        CorpusConfig(**fields)
