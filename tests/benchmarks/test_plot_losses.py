"""The table and the plot show the latest run at each size, and nothing else."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from support.scripts import benchmark

results, plot = benchmark("loss_results"), benchmark("plot_losses")
RUN = {
    "date": "2026-01-02T03:04Z",
    "commit": "c0ffee1234",
    "device": "cpu",
    "processor": "a processor",
    "threads": "2",
    "torch": "2.13.0",
    "rows": "700",
    "words": "10000",
    "width": "200",
    "dtype": "float32",
    "distinct_targets": "358",
    "rounds": "15",
    "median_seconds": "0.07631",
}
LOSSES = [("cross_entropy", "plain"), ("naive", "detached"), ("naive", "through"), ("chunked", "plain")]


def run(ratios: list[float], **changes: str) -> list[dict[str, str]]:
    return [
        {**RUN, "loss": loss, "gradient": gradient, "ratio_to_stock": str(ratio), "extra_memory_mib": "83", **changes}
        for (loss, gradient), ratio in zip(LOSSES, ratios, strict=False)
    ]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    rows = run([1, 9, 9, 9], commit="older")
    rows += run([1, 3, 5, 0.8], width="650") + run([1, 2.5, 4.4, 1.2]) + run([1, 7, 7, 7], device="a GPU")
    rows += run([1, 6, 6, 6], dtype="bfloat16")
    with (tmp_path / "losses.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return tmp_path / "losses.csv"


def test_the_latest_run_at_each_size_is_taken(path: Path) -> None:
    found = results.latest(path, "cpu", "float32")
    assert list(found) == [("700", "10000", "200"), ("700", "10000", "650")]
    assert [row["ratio_to_stock"] for row in found["700", "10000", "200"]] == ["1", "2.5", "4.4", "1.2"]
    [gpu] = results.latest(path, "cuda", "float32").values()
    assert [row["ratio_to_stock"] for row in gpu] == ["1", "7", "7", "7"]


def test_a_part_that_was_measured_again_replaces_its_like(path: Path) -> None:
    with path.open("a", newline="") as file:
        csv.DictWriter(file, list(run([1])[0])).writerows(run([1, 2.25], date="2026-01-03T00:00Z"))
    found = results.latest(path, "cpu", "float32")["700", "10000", "200"]
    assert [row["ratio_to_stock"] for row in found] == ["1", "2.25", "4.4", "1.2"]


def test_the_table_has_a_line_for_each_loss(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plot.main(["--table", "--results", str(path)])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("| 700 rows, 10,000 words, width 200 (358 distinct targets) | cross-entropy (γ = 0) |")
    assert lines[2:5] == [
        "| F.cross_entropy | 1 (76 ms) |  |  | 83 |",
        "| augmented as it reads |  | 2.50 | 4.40 | 83, 83 |",
        "| tiedlm, chunked | 1.20 |  |  | 83 |",
    ]
    conditions = "threads: 2, float32, torch 2.13.0, commit c0ffee1, 2026-01-02, medians of 15 rounds."
    assert lines[6] == f"a processor, {conditions}"


def test_the_plot_has_a_bar_for_each_figure(path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    found = plot.figure(results.latest(path, "cpu", "float32"))
    assert len(found.axes) == 4
    first = found.axes[0]
    assert [bar.get_width() for bar in first.patches] == [1, 2.5, 4.4, 1.2]
    places = [bar.get_y() for bar in first.patches]
    assert places[2] - places[1] < places[1] - places[0]  # one loss's bars stand together
    assert [label.get_text() for label in first.get_yticklabels()] == [
        "F.cross_entropy",
        "augmented as it reads",
        "tiedlm, chunked",
    ]


def test_pictures_stand_beside_the_figures(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    plot.main(["--results", str(path)])
    assert capsys.readouterr().out.splitlines() == [str(path.with_suffix(".png")), str(path.with_suffix(".svg"))]
    assert path.with_suffix(".png").read_bytes()[:4] == b"\x89PNG"
    assert "F.cross_entropy" in path.with_suffix(".svg").read_text()


def test_without_figures_there_is_nothing_to_draw(path: Path) -> None:
    with pytest.raises(SystemExit, match=r"has no figures for cuda in float16: run losses.py first"):
        plot.main(["--results", str(path), "--device", "cuda", "--dtype", "float16"])
