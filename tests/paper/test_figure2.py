from __future__ import annotations

from pathlib import Path

import pytest
from matplotlib.figure import Figure

from support.published_results import add_group
from tiedlm.paper import figure2 as module
from tiedlm.paper.collect import collect
from tiedlm.paper.figure2 import curve, figure2, panels
from tiedlm.recipes import recipe

EPOCHS = recipe("ptb-small-vd").training.epochs


@pytest.fixture
def results(tmp_path: Path) -> Path:
    add_group(tmp_path, "ptb-small", {"vd": [(88.0,)], "re": [(87.0, 85.0), (89.0, 85.0)]})
    add_group(tmp_path, "ptb-large", {"real": [(70.0,)]})
    add_group(tmp_path, "wikitext2-small", {"vd": [(106.0,)]})
    return tmp_path


def drawn(results: Path, monkeypatch: pytest.MonkeyPatch) -> Figure:
    """The figure itself, in place of its pictures."""
    empty = Figure()
    monkeypatch.setattr(module, "pictures", lambda draw, **size: draw(empty) or {})
    assert figure2(collect(results)) is not None
    return empty


def test_a_curve_is_the_validation_perplexity_of_each_epoch_of_each_training(results: Path) -> None:
    found = curve(collect(results)["ptb-small-re"].results[0])
    assert [len(stage) for stage in found] == [EPOCHS, EPOCHS]
    assert found[0][-1] == pytest.approx(92.0, abs=0.01)
    assert found[1][-1] == pytest.approx(90.0, abs=0.01)
    assert found[0] == sorted(found[0], reverse=True)


def test_sizes_and_models_that_were_run_on_penn_treebank_have_a_panel(results: Path) -> None:
    found = panels(collect(results))
    assert {size: list(models) for size, models in found.items()} == {"small": ["vd", "re"], "large": ["real"]}


def test_nothing_run_is_no_figure(tmp_path: Path) -> None:
    assert figure2(collect(tmp_path)) is None


def test_means_seeds_and_second_trainings_are_drawn(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small, large = drawn(results, monkeypatch).axes
    labels = [text.get_text() for text in small.get_legend().get_texts()]  # pyright: ignore[reportOptionalMemberAccess]
    assert labels == ["VD, 1 seed", "+RE, 2 seeds", "second training"]
    mean = next(line for line in small.lines if line.get_label() == "+RE, 2 seeds")
    assert float(mean.get_ydata()[-1]) == pytest.approx(93.0, abs=0.01)  # pyright: ignore
    assert (mean.get_xdata()[0], mean.get_xdata()[-1]) == (1, EPOCHS)  # pyright: ignore
    thin = [line for line in small.lines if line.get_linewidth() < 1]
    assert len(thin) == 4  # two trainings of two seeds; a single seed is its own mean
    dashed = [line for line in small.lines if line.get_linestyle() == "--" and len(line.get_xdata())]  # pyright: ignore
    assert {line.get_xdata()[0] for line in dashed} == {EPOCHS + 1}  # pyright: ignore
    assert [line.get_label() for line in large.lines] == ["+REAL, 1 seed"]
    assert large.get_title(loc="left") == "Penn Treebank, large network"


def test_the_frame_shows_the_ends_and_leaves_the_first_epochs_out(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bottom, top = drawn(results, monkeypatch).axes[0].get_ylim()
    assert bottom < 90.0
    assert 130.0 < top < 150.0
