"""Each benchmark runs at a small size, and what it compares is the same computation."""

import csv
import importlib
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

from support.compare import assert_close

PROJECT = Path(__file__).resolve().parents[1]


def benchmark(name: str) -> ModuleType:
    """The script as a module; scripts import one another by their bare names."""
    if str(PROJECT / "benchmarks") not in sys.path:
        sys.path.insert(0, str(PROJECT / "benchmarks"))
    return importlib.import_module(name)


harness = benchmark("harness")


def rows_of(path: Path, columns: tuple[str, ...]) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == columns
    return rows


def test_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    step = benchmark("step")
    monkeypatch.setattr(harness, "json_of_process", lambda script, arguments: (100.0, 150.4))
    monkeypatch.setattr(step, "GRADIENTS", {"real": ("through",)})
    step.main(["--rounds", "1", "--data-dir", str(tmp_path), "--output", str(tmp_path / "step.csv")])
    rows = rows_of(tmp_path / "step.csv", step.COLUMNS)
    assert (rows[0]["model"], rows[0]["ratio_to_plain"], rows[0]["step_memory_mib"]) == ("plain-lstm", "1.000", "50")
    assert [row["precision"] for row in rows if row["model"] == "ptb-small-real"] == ["float32", "bfloat16"]
    assert step.freed_memory_of("ptb-small-vd", "given back", 100)["seconds"] > 0


def test_layers(tmp_path: Path) -> None:
    layers = benchmark("layers")
    for cell, units, count in (("lstm", 128, 2), ("gru", 16, 1), ("rhn", 104, 2)):
        forms = layers.passes(cell, units, count)
        inputs = torch.randn(4, 20, units)
        truth = forms["loop"][0](inputs)
        for name in forms.keys() - {"loop", "pytorch, no masks"}:
            assert_close(forms[name][0](inputs), truth, 1e-5, name)
    layers.main(["--rounds", "1", "--units", "16", "--output", str(tmp_path / "layers.csv")])
    assert {row["cell"] for row in rows_of(tmp_path / "layers.csv", layers.COLUMNS)} == {"lstm", "gru", "rhn"}


def test_losses_that_are_compared_are_equal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    losses = benchmark("losses")
    case = losses.make_case((40, 300, 16))
    leaves = (case.features, case.classifier)
    for name, loss in losses.variants("cpu").items():
        gradient = name.split("/")[1]
        value = losses.stock(case) if gradient == "plain" else losses.naive(case, detach=gradient == "detached")
        truth = torch.autograd.grad(value, leaves)
        losses.run_pass(loss, case)
        assert_close(loss(case), value, 1e-5, name)
        for leaf, right in zip(leaves, truth, strict=True):
            assert_close(leaf.grad, right, 1e-4, name)
    assert 340 < len(losses.make_case((700, 10_000, 2)).targets.unique()) < 400

    monkeypatch.setattr(harness, "json_of_process", lambda script, arguments: 12.4)
    monkeypatch.setattr(losses, "SIZES", ((40, 300, 16),))
    losses.main(["--rounds", "1", "--sizes", "1", "--output", str(tmp_path / "losses.csv")])
    rows = rows_of(tmp_path / "losses.csv", losses.COLUMNS)
    assert (rows[0]["ratio_to_stock"], rows[0]["extra_memory_mib"]) == ("1.000", "12")


def test_the_table_of_losses_in_the_readme_is_that_of_the_csv(capsys: pytest.CaptureFixture[str]) -> None:
    benchmark("losses").main(["--table"])
    assert capsys.readouterr().out in (PROJECT / "benchmarks" / "README.md").read_text()


def test_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The parts, on the CPU; without a GPU the script ends with 2."""
    gpu = benchmark("gpu")
    checks = gpu.check_masks("cpu", units=(5,), steps=4, streams=3)
    assert len(checks) == 9
    assert all(check["holds"] for check in checks)
    monkeypatch.setattr(gpu, "WARM_UP", 1)
    batches = harness.windows(3, tmp_path)[1]
    timed = gpu.time_steps("launched", "small", "float32", batches, "cpu")
    assert set(timed) == {"al", "ce"}
    assert all(step["step_ms"] > 0 for step in timed.values())
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit) as ended:
        gpu.main([])
    assert ended.value.code == 2
    assert "finds no GPU here" in capsys.readouterr().err


def test_proofs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    proofs = benchmark("proofs")
    only = {"functional": proofs.implementations()["functional"]}
    monkeypatch.setattr(proofs, "implementations", lambda: only)
    output = tmp_path / "proofs.json"
    assert proofs.main(["--examples", "25", "--gradchecks", "10", "--output", str(output)]) == 0
    results = json.loads(output.read_text())
    oracle = results["parts"]["oracle functional"]
    assert (oracle["examples"], oracle["failures"]) == (25, 0)
    assert 0 < max(oracle["worst_relative_error"].values()) < 1e-12


def test_proofs_find_a_gradient_that_is_a_thousandth_too_large() -> None:
    proofs = benchmark("proofs")
    right = proofs.implementations()["functional"](0)

    def wrong(*arguments, **options):
        loss = right(*arguments, **options)
        return loss.detach() + 1.001 * (loss - loss.detach())

    assert proofs.oracle(lambda _: wrong, 25)["failures"] > 5
    assert proofs.gradchecks(lambda _: wrong, 30)["failures"] > 5


def test_kill(tmp_path: Path) -> None:
    count = benchmark("kill").kill_and_compare(tmp_path, kills=1, seed=0)
    assert (count.faults, count.kills) == ([], 1)


def test_scale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scale = benchmark("scale")
    monkeypatch.setattr(scale, "VOCAB_SIZE", 50)
    monkeypatch.setattr(harness.zipf_ids, "__defaults__", (0, 50))
    monkeypatch.setattr(harness.training_step, "__defaults__", (*harness.training_step.__defaults__[:-1], 50))

    def in_this_process(script: str, arguments: list[object]) -> dict[str, float]:
        options = dict(zip(arguments[::2], arguments[1::2], strict=True))
        return scale.memory_of(options["--work"], options["--words"], options["--folder"], options["--windows"])

    monkeypatch.setattr(harness, "json_of_process", in_this_process)
    output = tmp_path / "scale.csv"
    scale.main(["--words", "7000", "14000", "--windows", "3", "--folder", str(tmp_path), "--output", str(output)])
    rows = rows_of(output, scale.COLUMNS)
    assert [(row["words"], row["windows"]) for row in rows] == [("7000", "4"), ("14000", "4")]
    assert rows[0]["speed_to_first"] == rows[0]["peak_to_first"] == "1.0000"
    assert len(set((tmp_path / "7000.txt").read_text().split())) == 50
    with pytest.raises(SystemExit):
        scale.main(["--words", "2819", "--windows", "2"])
