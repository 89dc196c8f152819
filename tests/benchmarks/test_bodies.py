"""What is compared does the same work in every form, memory and floors are of it, and a row tells everything."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from support.scripts import benchmark
from tiedlm.layers.lstm import lstm_loop

windows, variants = benchmark("step_windows"), benchmark("step_variants")
models, parts, floors = benchmark("body_models"), benchmark("body_parts"), benchmark("body_floors")
body_rows, bodies = benchmark("body_rows"), benchmark("bodies")
Part = parts.Part


@pytest.fixture(autouse=True)
def few_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenth of the vocabulary, and small probes: the sizes are another's to measure."""
    torch.manual_seed(0)
    for module in (windows, variants, models, floors):
        monkeypatch.setattr(module, "WORDS", 1_000)
    monkeypatch.setattr(floors, "SQUARE", 8)
    monkeypatch.setattr(floors, "COPIED_MIB", 1)


@pytest.fixture
def some(tmp_path: Path) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Windows of made-up words."""
    return windows.windows(2, tmp_path)[1]


def with_weights_of(model, other) -> None:
    """Give a model in one form the weights of another's."""
    model.load_state_dict(other.state_dict())


@pytest.mark.parametrize("form", ["stock", "picked"])
def test_every_form_of_ours_passes_the_same_gradients(form: str, some) -> None:
    bench = parts.Bench("small", "cpu")
    with_weights_of(bench.model(form), bench.model("loop"))
    found, truth = (bench.run(Part("layers", name))(some[0]) for name in (form, "loop"))
    assert len(found) == 7  # of the inputs, and of three parameters of each layer
    for own, other in zip(found, truth, strict=True):
        torch.testing.assert_close(own, other, rtol=1e-4, atol=1e-5 * float(other.abs().max()))


def test_a_form_is_what_its_name_says() -> None:
    assert models.LAYERS["loop"] is lstm_loop
    assert [part.name for part in parts.COMPARED][:3] == ["step/pytorch/ce", "step/plain/ce", "step/loop/ce"]
    assert len(set(parts.COMPARED)) == len(parts.COMPARED) == 13
    plain = models.made("small", "plain")
    assert isinstance(plain.lstm, torch.nn.LSTM)
    assert plain.draw_masks(20, torch.Generator()) is None


@pytest.mark.parametrize("part", [part for part in parts.COMPARED if part.part == "step"], ids=lambda part: part.name)
def test_every_step_learns(part, some) -> None:
    torch.manual_seed(0)
    run = parts.Bench("small", "cpu").run(part)
    losses = [run(some[0]) for _ in range(4)]
    assert losses[-1] < losses[0]


def test_losses_of_a_step_are_those_of_its_recipe() -> None:
    assert parts.config_of("medium", "ce").recipe == "ptb-medium-re"
    assert parts.config_of("large", "al").recipe == "ptb-large-real"


def test_the_update_reads_every_gradient_and_hardly_moves(some) -> None:
    bench = parts.Bench("small", "cpu")
    before = bench.model("picked").classifier.detach().clone()
    bench.run(Part("update", ""))(some[0])
    moved = (bench.model("picked").classifier.detach() - before).abs().max()
    assert moved < 1e-6
    assert all(parameter.grad is not None for parameter in bench.model("picked").parameters())


def test_floors_are_products_at_the_rate_and_bytes_at_the_memorys() -> None:
    found = floors.floors(200, 2, 350.0, {"product": 1e9, "copy": 1e9})
    weights = 2 * 4 * 200 * 400
    assert found[Part("forward")] == pytest.approx(2 * 700 * weights / 1e9)
    assert found[Part("layers")] == pytest.approx(found[Part("forward")] + found[Part("backward")])
    assert found[Part("loss", "", "ce")] == pytest.approx(6 * 700 * 1_000 * 200 / 1e9)
    assert found[Part("loss", "", "al")] == pytest.approx(1.5 * found[Part("loss", "", "ce")])
    assert found[Part("update", "")] == pytest.approx(16 * (1_000 * 200 + weights + 2 * 800) / 1e9)
    whole = found[Part("layers")] + found[Part("loss", "", "al")] + found[Part("update", "")]
    assert found[Part("step", "picked", "al")] == pytest.approx(whole)


def test_rates_are_of_the_fastest_turn() -> None:
    rate = floors.rates({"product": [2.0, 1.0], "copy": [4.0, 8.0]})
    assert rate == {"product": 2 * 8**3, "copy": 2 * 2**20 / 4.0}
    assert [probe() is None for probe in floors.probes("cpu").values()] == [False, False]


def test_distinct_targets_are_counted(some) -> None:
    counts = [len(set(targets.flatten().tolist())) for _, targets in some]
    assert floors.distinct_targets(some) == sum(counts) / 2


def test_what_is_left_over_is_told_round_by_round() -> None:
    pieces = {"layers/picked": [5.0, 7.0], "forward/picked": [2.0, 3.0], "update": [1.0, 1.0]}
    losses = {"loss/ce": [3.0, 3.0], "loss/al": [4.0, 4.0]}
    steps = {"step/picked/ce": [10.0, 11.5], "step/picked/al": [10.0, 12.5]}
    found = bodies.with_rests(pieces | losses | steps)
    assert found["backward/picked"] == [3.0, 4.0]
    assert found["rest/picked/ce"] == [1.0, 0.5]
    assert found["rest/picked/al"] == [0.0, 0.5]


def test_a_row_tells_everything_and_the_profile_adds_up(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(bodies, "memory_in_a_process", lambda *_: {"before_mib": 100.0, "peak_mib": 150.4})
    monkeypatch.setattr(bodies, "WARM_UP", 1)
    rows = bodies.rows("small", bodies.parsed(["--rounds", "1", "--data-dir", str(tmp_path)]))
    told = {"/".join(part for part in (row["part"], row["form"], row["loss"]) if part): row for row in rows}
    assert len(told) == len(rows) == 20
    step = told["step/picked/al"]
    assert (step["size"], step["units"], step["words"], step["rounds"]) == ("small", 200, "zipf", 1)
    assert (step["peak_memory_mib"], step["part_memory_mib"]) == ("150", "50")
    assert told["step/plain/ce"]["ratio_to_plain"] == told["layers/loop"]["ratio_to_loop"] == "1.000"
    assert told["loss/ce"]["ratio_to_plain"] == told["loss/ce"]["peak_memory_mib"] == ""
    assert float(step["words_per_second"]) == pytest.approx(700 / float(step["median_seconds"]), rel=0.01)
    assert tuple(step) == bodies.COLUMNS
    pieces = ("loss/al", "forward/picked", "backward/picked", "update", "rest/picked/al")
    total = sum(float(told[name]["median_seconds"]) for name in pieces)
    assert total == pytest.approx(float(step["median_seconds"]), abs=1e-4)
    assert "words/s" in body_rows.line(step)
    assert [text.split()[0] for text in body_rows.profile(rows)] == 2 * [
        "where", "step", "loss", "forward", "backward", "update", "rest",
    ]  # fmt: skip


def test_memory_grows_with_the_rounds(some) -> None:
    used = bodies.memory(parts.Bench("small", "cpu"), Part("layers", "picked"), some)
    assert 0 < used["before_mib"] <= used["peak_mib"]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["--sizes", "huge"], "invalid choice: 'huge'"),
        (["--device", "tpu"], "invalid choice: 'tpu'"),
    ],
)
def test_what_cannot_be_measured_is_refused(given: list[str], told: str, capsys) -> None:
    with pytest.raises(SystemExit):
        bodies.parsed(given)
    assert told in capsys.readouterr().err


def test_a_gpu_that_is_not_there_is_refused(monkeypatch, capsys) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit):
        bodies.parsed(["--device", "cuda"])
    assert "finds no GPU here" in capsys.readouterr().err


def test_memory_of_what_is_not_compared_is_refused() -> None:
    with pytest.raises(SystemExit, match=r"--memory-of small update: .*step/plain/ce"):
        bodies.memory_asked_for(SimpleNamespace(memory_of=["small", "update"], device="cpu"))
