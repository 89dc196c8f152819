"""The config of a training: what it refuses, and that it survives JSON."""

import re
from typing import Any

import pytest

from tiedlm.config import from_json, to_json
from tiedlm.errors import ConfigError
from tiedlm.recipes import recipe
from tiedlm.runs.config import RunConfig, RuntimeConfig, TrainingConfig


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        (TrainingConfig, "epochs", 0),
        (TrainingConfig, "epochs", 1_000_001),
        (TrainingConfig, "streams", 0),
        (TrainingConfig, "steps", -1),
        (TrainingConfig, "learning_rate", 0.0),
        (TrainingConfig, "learning_rate", float("nan")),
        (TrainingConfig, "learning_rate", 1e308),
        (TrainingConfig, "clip_norm", float("inf")),
        (TrainingConfig, "decay", 1.5),
        (TrainingConfig, "constant_epochs", -1),
        (TrainingConfig, "weight_decay", -1e-7),
        (TrainingConfig, "weight_decay", 1e308),
        (TrainingConfig, "table_decay", -1e-7),
        (RuntimeConfig, "threads", 0),
        (RuntimeConfig, "threads", 99999999999),
        (RuntimeConfig, "save_seconds", -1.0),
        (RuntimeConfig, "save_seconds", float("inf")),
    ],
)
def test_out_of_range(kind: Any, field: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=rf"\.{field} is {re.escape(str(value))}, but must"):
        kind(**{field: value})


@pytest.mark.parametrize(("rate", "constant", "decay"), [(1.0, 5, 0.9), (1.0, 1, 0.97), (3.0, 0, 0.5)])
def test_the_learning_rate_is_constant_then_geometric(rate: float, constant: int, decay: float) -> None:
    config = TrainingConfig(learning_rate=rate, constant_epochs=constant, decay=decay)
    assert [config.learning_rate_at(epoch) for epoch in range(1, constant + 1)] == [rate] * constant
    later = [config.learning_rate_at(constant + number) for number in (1, 2, 3)]
    assert later == pytest.approx([rate * decay, rate * decay**2, rate * decay**3], rel=1e-12)


def test_weight_decay_is_written_where_there_is_some_and_older_configs_have_none() -> None:
    value = to_json(TrainingConfig())
    assert not {"weight_decay", "table_decay", "moving_windows"} & set(value)
    assert from_json(TrainingConfig, value) == TrainingConfig()
    some = TrainingConfig(weight_decay=1e-7)
    assert to_json(some) == value | {"weight_decay": 1e-7}
    assert from_json(TrainingConfig, to_json(some)) == some


@pytest.mark.parametrize("name", ["", ".", "..", "../../../esc", "/etc", "a/", "a\0b", "a\nb", "\ud800"])
def test_a_recipe_that_no_run_folder_can_be_named_after(name: str) -> None:
    with pytest.raises(
        ConfigError, match=r"^recipe is '.*', but run folders are named after it: give a plain file name"
    ):
        RunConfig(recipe=name, corpus=recipe("ptb-small-vd").corpus)


@pytest.mark.parametrize("name", ["mine", "my recipe", "..mine", "große-lstm_2.1"])
def test_any_other_name_is_a_recipes(name: str) -> None:
    assert RunConfig(recipe=name, corpus=recipe("ptb-small-vd").corpus).recipe == name
