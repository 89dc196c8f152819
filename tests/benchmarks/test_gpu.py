"""What can be told without a GPU: the checks and steps that it would run, its arguments, and how it fails."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from support.scripts import benchmark
from tiedlm import replay
from tiedlm.layers.lstm import lstm_loop
from tiedlm.training import replayed

windows, losses = benchmark("step_windows"), benchmark("loss_variants")
gpu, masks, steps, layers = (benchmark(name) for name in ("gpu", "gpu_masks", "gpu_steps", "gpu_layers"))


@pytest.fixture(autouse=True)
def few_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundredth of the vocabulary: the sizes are another's to measure."""
    for module in (windows, steps):
        monkeypatch.setattr(module, "WORDS", 100)


@pytest.fixture
def some(tmp_path: Path) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Windows of made-up words."""
    return windows.windows(3, tmp_path)[1]


@pytest.fixture
def there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let arguments be read as if there were a GPU."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)


def test_masks_hold_where_the_form_is_the_layer() -> None:
    found = masks.checked("cpu", units=(5,), steps=4, streams=3)
    assert len(found) == 3 * 3
    assert all(check["holds"] for check in found)
    assert all(0 < check["error"] < 1e-4 for check in found if check["type"] == "float32")
    assert max(check["error"] for check in found if check["type"] == "float64") < 1e-12


def test_a_form_without_its_mask_is_found_out(monkeypatch) -> None:
    def bare(inputs, state, weights, mask):
        return lstm_loop(inputs, state, weights, None)

    monkeypatch.setattr(masks, "FORMS", {"bare": bare})
    found = masks.checked("cpu", units=(5,), steps=4, streams=3)
    assert [check["holds"] for check in found if check["type"] != "tf32" and check["keep"] < 1] == 4 * [False]
    assert gpu.masks_hold([{"part": "masks", "checks": found}]) is False


def test_a_result_that_is_no_number_does_not_hold(monkeypatch) -> None:
    def no_number(inputs, state, weights, mask):
        return lstm_loop(float("nan") * inputs, state, weights, mask)

    monkeypatch.setattr(masks, "FORMS", {"no number": no_number})
    found = masks.checked("cpu", units=(5,), steps=2, streams=3)
    assert not any(check["holds"] for check in found if check["type"] != "tf32")


def test_a_form_is_left_out_where_it_does_not_run(monkeypatch) -> None:
    monkeypatch.setattr(masks.lstm_triton, "why_not", lambda weight, streams: f"not {weight.dtype} with {streams}")
    assert {check["form"] for check in masks.checked("cpu", units=(5,), steps=2, streams=3)} == {"stock"}
    reasons = {torch.float64: "too wide", torch.float32: None}
    monkeypatch.setattr(masks.lstm_triton, "why_not", lambda weight, streams: reasons[weight.dtype])
    monkeypatch.setitem(masks.FORMS, "triton", lstm_loop)
    found = masks.checked("cpu", units=(5,), steps=2, streams=3)
    assert [check["type"] for check in found if check["form"] == "triton"] == 3 * ["float32", "tf32"]


def test_layers_are_timed_in_every_window_and_form(monkeypatch) -> None:
    called: list[str] = []

    def form(name):
        def layer(inputs, state, weights, mask):
            called.append(name)
            return lstm_loop(inputs, state, weights, mask)

        return layer

    def repeated(function, places):
        return lambda: function(*places), ()

    monkeypatch.setattr(layers, "FORMS", {name: form(name) for name in ("stock", "triton")})
    monkeypatch.setattr(layers, "WINDOWS", {"training": (3, 2), "scoring": (4, 1)})
    found = layers.layer_times("cpu", repeated, units=(5,))
    assert list(found) == [f"5 units, {kind}" for kind in ("training bfloat16", "training float32", "scoring float32")]
    assert called[:40] == 20 * ["stock"] + 20 * ["triton"]
    assert len(called) == 3 * 2 * layers.TURNS * layers.REPLAYS
    assert all(time > 0 for times in found.values() for time in times.values())
    assert gpu.lines(
        {"part": "layers", "layers": {"5 units, training bfloat16": {"stock": 1234.4, "triton": 99.6}}}
    ) == ["layers: 5 units, training bfloat16: stock 1234 us, triton 100 us"]


def test_the_equations_are_taken_with_the_recipes_numbers() -> None:
    loss = steps.config_of("large", "al", "bfloat16").loss
    assert (loss.temperature, loss.gamma) == (losses.TEMPERATURE, losses.GAMMA)
    assert steps.config_of("large", "ce", "bfloat16").loss.gamma == 0
    assert steps.config_of("large", "al", "bfloat16").runtime.precision == "bfloat16"


def test_steps_are_counted_after_the_warm_up(some) -> None:
    taken: list[int] = []
    found = steps.timed(lambda window: taken.append(1), some * 5, "cpu")
    assert len(taken) == 15
    assert found["epoch_seconds"] == pytest.approx(1.328 * found["step_ms"])


def test_a_part_finds_both_losses(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(gpu, "WARM_UP", 1)
    monkeypatch.setattr(steps, "WARM_UP", 1)
    options = SimpleNamespace(steps=1, data_dir=tmp_path)
    found = gpu.done(("launched", "small", "float32"), options, "cpu")
    assert list(found) == ["al", "ce"]
    assert "ms a step" in gpu.lines({"part": "launched small float32", **found})[0]


def test_passes_that_are_not_replayed_are_not_timed_as_if_they_were(monkeypatch, some) -> None:
    def no_graph(function, places):
        raise RuntimeError("no graph here")

    monkeypatch.setattr(replayed, "Replayed", partial(replay.Replayed, capture=no_graph))
    with pytest.raises(UserWarning, match="no graph here"):
        steps.replayed(steps.config_of("small", "ce", "float32"), some, "cpu")


def test_without_a_gpu_it_says_so_and_what_to_run_instead(capsys) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is one")
    with pytest.raises(SystemExit) as ended:
        gpu.parsed([])
    assert ended.value.code == 2
    assert "finds no GPU here" in capsys.readouterr().err
    failed = gpu.in_a_process(("masks",), SimpleNamespace(steps=1, data_dir=None), 60)
    assert "finds no GPU here" in failed["failed"]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["--sizes", "huge"], "invalid choice: 'huge'"),
        (["--only", "launched", "small"], "must be one of 'launched large bfloat16'"),
    ],
)
def test_what_cannot_be_done_is_refused(given: list[str], told: str, there_is_one, capsys) -> None:
    with pytest.raises(SystemExit):
        gpu.parsed(given)
    assert told in capsys.readouterr().err


@pytest.mark.parametrize("sizes", [["small", "medium", "large"], ["large"]])
def test_every_part_can_be_asked_for_alone(sizes: list[str], there_is_one) -> None:
    asked = gpu.parts(sizes)
    assert asked[:2] == [("masks",), ("layers",)]
    assert len(set(asked)) == len(asked) == 2 + 4 * len(sizes)
    assert [tuple(gpu.parsed(["--only", *part]).only) for part in asked] == asked


def test_what_fails_or_comes_too_late_costs_the_others_nothing(monkeypatch, capsys) -> None:
    def took(part, options, seconds):
        return {"failed": "it broke"} if part[0] == "masks" else {"al": {"step_ms": 1, "epoch_seconds": 2,
                                                                         "peak_memory_mib": 3}}  # fmt: skip

    monkeypatch.setattr(gpu, "in_a_process", took)
    found = gpu.everything(SimpleNamespace(sizes=["small"], steps=1))
    assert ["failed" in part for part in found] == [True] + 5 * [False]
    assert not gpu.masks_hold(found)
    monkeypatch.setattr(gpu, "WHOLE_SECONDS", 0)
    assert {part["failed"] for part in gpu.everything(SimpleNamespace(sizes=["small"], steps=1))} == {
        "no time was left"
    }
    assert "masks: nothing found, since it broke" in capsys.readouterr().out


def test_the_reason_is_the_line_that_names_the_error() -> None:
    said = ["Traceback (most recent call last):", "  Error: not this", "torch.AcceleratorError: no capture", "Hint: x"]
    assert gpu._reason(said) == "torch.AcceleratorError: no capture"
    assert gpu._reason(["usage: x", "gpu.py: error: no GPU"]) == "gpu.py: error: no GPU"
