"""Configs to JSON and back; and the checks of every config class."""

import json
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiedlm.config import differing, from_json, later, to_json
from tiedlm.errors import ConfigError
from tiedlm.nn.config import GRUConfig, LSTMConfig, RHNConfig
from tiedlm.runs.config import LossConfig

AUGMENTED: dict[str, Any] = {"gamma": 0.5, "temperature": 20.0}


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
    assert isinstance(from_json(Inner, {"rate": 2, "kind": kind}).rate, float)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"count": 1.5}, r"config\.count must be of type int, but is 1\.5"),
        ({"count": True}, r"config\.count must be of type int, but is True"),
        ({"name": 3}, r"config\.name must be of type str, but is 3"),
        ({"inner": 3}, r"config\.inner must be an object with the fields of Inner, but is 3"),
        ({"inner": {"rate": "x", "kind": "one"}}, r"config\.inner\.rate must be of type float"),
        ({"inner": {"rate": 10**400, "kind": "one"}}, r"config\.inner\.rate must be of type float, but has 401 digits"),
        ({"inner": {"rate": 1, "kind": "tow"}}, r"config\.inner\.kind must be one of 'one', 'two', but is 'tow'\. Did"),
        ({"inner": {"kind": "one"}}, r"config\.inner lacks the field 'rate'"),
        ({"conut": 3}, r"config has no field 'conut'\. Did you mean 'count'\?"),
    ],
)
def test_what_does_not_fit_is_named_with_its_whole_path(change: dict[str, Any], message: str) -> None:
    value = {**to_json(Outer(count=3)), **change}
    with pytest.raises(ConfigError, match=message):
        from_json(Outer, value)


@dataclass(frozen=True, kw_only=True)
class Plain:
    size: int = 1
    newer: float = later(0.5)


@dataclass(frozen=True, kw_only=True)
class Fancy:
    kind: ClassVar[str] = "fancy"
    size: int = 1


@dataclass(frozen=True, kw_only=True)
class Holder:
    part: Plain | Fancy = field(default_factory=Plain)


def test_a_later_field_may_be_missing_and_is_written_only_where_it_says_something() -> None:
    assert from_json(Plain, {"size": 2}) == Plain(size=2, newer=0.5)
    assert to_json(Plain(size=2)) == {"size": 2}
    assert to_json(Plain(size=2, newer=0.25)) == {"size": 2, "newer": 0.25}
    assert from_json(Plain, {"size": 2, "newer": 0.25}) == Plain(size=2, newer=0.25)
    with pytest.raises(ConfigError, match=r"config lacks the field 'size'"):
        from_json(Plain, {"newer": 0.25})
    with pytest.raises(ConfigError, match=r"config\.newer must be of type float"):
        from_json(Plain, {"size": 2, "newer": "x"})


def test_a_kind_tells_the_classes_of_a_field_apart_and_one_class_has_none() -> None:
    for part, written in ((Plain(size=3), {"size": 3}), (Fancy(size=3), {"kind": "fancy", "size": 3})):
        assert to_json(Holder(part=part)) == {"part": written}
        assert from_json(Holder, {"part": written}) == Holder(part=part)
        assert from_json(type(part), written) == part


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"kind": "fnacy", "size": 3}, r"config\.part\.kind must be one of 'fancy', or be left out, .* mean 'fancy'"),
        ({"kind": 3, "size": 3}, r"config\.part\.kind must be one of 'fancy', or be left out, but is 3"),
        ({"kind": "fancy", "size": 3, "newer": 0.5}, r"config\.part has no field 'newer'"),
        (7, r"config\.part must be an object"),
    ],
)
def test_a_kind_that_is_not_and_a_field_of_another_kind_are_refused(value: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        from_json(Holder, {"part": value})


@pytest.mark.parametrize(
    ("kind", "fields", "message"),
    [
        (LossConfig, {"gamma": float("nan")}, r"loss\.gamma is nan"),
        (LossConfig, {"detach_target": True}, "no effect without the augmented term"),
        (LossConfig, {"target": "uniform"}, "no effect without the augmented term"),
        (LossConfig, {**AUGMENTED, "target": "uniform", "detach_target": True}, "which is a constant"),
        (LossConfig, {"label_smoothing": 1.0}, r"loss\.label_smoothing is 1\.0, but must lie in \[0, 1\)"),
        (LossConfig, {"label_smoothing": float("nan")}, r"loss\.label_smoothing is nan"),
        (LossConfig, {"gamma": 0.5}, r"loss\.temperature is None"),
        (LossConfig, AUGMENTED | {"temperature": 0.0}, r"loss\.temperature is 0\.0"),
        (LossConfig, AUGMENTED | {"temperature": float("inf")}, r"loss\.temperature is inf"),
        (GRUConfig, {"units": 0}, r"model\.units is 0"),
        (LSTMConfig, {"layers": 10**22}, r"model\.layers is 10{22}, but must be 1 to 1,000\."),
        (LSTMConfig, {"embedding_width": 10**14}, r"model\.embedding_width is 10{14}, but must be 1 to 1,000,000"),
        (LSTMConfig, {"keep_input": 0.0}, r"model\.keep_input is 0\.0"),
        (LSTMConfig, {"keep_hidden": 1.1}, r"model\.keep_hidden is 1\.1"),
        (LSTMConfig, {"init_range": 1e308}, r"model\.init_range is 1e\+308, but must lie in \(0, 1e6\]"),
        (LSTMConfig, {"tied": True, "embedding_width": 5}, r"make them equal, or set model\.project"),
        (LSTMConfig, {"project": True}, r"model\.project has no effect"),
        (LSTMConfig, {"tied_bias": True}, r"model\.tied_bias has no effect unless model\.tied"),
        (LSTMConfig, {"tied": True, "unigram_bias": True}, r"model\.unigram_bias has no effect on a tied classifier"),
        (RHNConfig, {"units": 0}, r"model\.units is 0"),
        (RHNConfig, {"depth": 1001}, r"model\.depth is 1001, but must be 1 to 1,000\."),
        (RHNConfig, {"keep_words": 0.0}, r"model\.keep_words is 0\.0"),
        (RHNConfig, {"keep_state": float("nan")}, r"model\.keep_state is nan"),
        (RHNConfig, {"keep_output": -0.5}, r"model\.keep_output is -0\.5"),
        (RHNConfig, {"transform_bias": -1e308}, r"model\.transform_bias is -1e\+308"),
        (RHNConfig, {"init_range": float("inf")}, r"model\.init_range is inf"),
    ],
)
def test_values_that_a_config_refuses(kind: Any, fields: dict[str, Any], message: str) -> None:
    """What the command line refuses is among golden/errors.txt."""
    with pytest.raises(ConfigError, match=message):
        kind(**fields)


def test_fields_that_differ_are_told_with_both_values() -> None:
    one, other = Outer(count=1, flag=True), Outer(count=1, inner=Inner(rate=0.25))
    assert differing(one, one) == {}
    assert differing(one, other) == {"flag": (True, False), "inner.rate": (0.5, 0.25)}
