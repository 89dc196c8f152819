from __future__ import annotations

from dataclasses import replace

import pytest

from tiedlm.cli.slow_products import tell_slow_products
from tiedlm.native import device as native_device
from tiedlm.recipes import recipe
from tiedlm.runs.config import RunConfig

FLOAT32 = recipe("ptb-small-re")


def with_runtime(**runtime: str) -> RunConfig:
    return replace(FLOAT32, runtime=replace(FLOAT32.runtime, **runtime))


BFLOAT16 = with_runtime(precision="bfloat16")


@pytest.fixture
def slowdown(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What is measured, the next one last."""
    times: list[float] = []
    monkeypatch.setattr(native_device, "matmul_slowdown", lambda dtype: times.pop())
    return times


def test_a_slow_precision_is_told_once(slowdown: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    slowdown.append(9.8)
    tell_slow_products([FLOAT32, BFLOAT16, BFLOAT16], "--precision")
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err == (
        "tiedlm: bfloat16 products take about 10 times as long as float32 ones on this processor. "
        "--precision float32 is the faster choice here.\n"
    )


@pytest.mark.parametrize("times", [0.3, 1.0, 1.4])
def test_a_precision_that_is_not_slower_is_not_told(
    slowdown: list[float], capsys: pytest.CaptureFixture[str], times: float
) -> None:
    slowdown.append(times)
    tell_slow_products([BFLOAT16], "--precision")
    assert capsys.readouterr().err == ""
    assert not slowdown


@pytest.mark.parametrize("configs", [[], [FLOAT32], [with_runtime(precision="bfloat16", device="cuda")]])
def test_nothing_is_measured_where_nothing_is_multiplied_so(
    slowdown: list[float], capsys: pytest.CaptureFixture[str], configs: list[RunConfig]
) -> None:
    slowdown.append(9.8)
    tell_slow_products(configs, "--precision")
    assert capsys.readouterr().err == ""
    assert slowdown == [9.8]
