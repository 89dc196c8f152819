"""All tables, figures and pages are what the results make, equal to the byte, without torch, corpus or network."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from support.files import files
from support.results import add_figure1, add_group
from tiedlm.errors import ConfigError, RunError
from tiedlm.paper.figure1 import Setting
from tiedlm.paper.render import (
    BEGIN,
    END,
    changes,
    draw_figure2,
    epochs_by_training,
    replace_between_markers,
    write,
)
from tiedlm.paper.results import read_rows

PROJECT = Path(__file__).parents[2]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    add_group(tmp_path / "results", "ptb-small", {"vd": [(87.0,), (88.0,)], "re": [(87.0, 85.0)]})
    add_figure1(tmp_path / "results", runs=1, without=[(Setting(10.0, 0.5), 0)])
    for page in ("README.md", "docs/results.md"):
        (tmp_path / page).parent.mkdir(exist_ok=True)
        (tmp_path / page).write_text(f"above\n{BEGIN}\nREPLACED\n{END}\nbelow\n")
    return tmp_path


def test_what_is_committed_is_what_the_results_make() -> None:
    assert list(changes(PROJECT)) == [], "run `tiedlm reproduce --render`, with the versions in constraints.txt"


def test_everything_is_written_once_and_then_equal_to_the_byte(project: Path) -> None:
    written = write(project)
    assert len(written) == 3 * 12 + 2 * 2 + 2  # tables in three forms, figures in two, two pages
    assert list(changes(project)) == write(project) == []
    for page in ("README.md", "docs/results.md"):
        text = (project / page).read_text()
        assert text.startswith(f"above\n{BEGIN}\n")
        assert text.endswith(f"{END}\nbelow\n")
        assert "REPLACED" not in text


def test_what_the_results_no_longer_make_is_removed(project: Path) -> None:
    write(project)
    for path in (project / "results" / "figure1").rglob("*.json"):
        path.unlink()
    gone = {path.name for path in write(project) if not (project / path).exists()}
    assert gone == {f"figure1.{form}" for form in ("md", "tex", "csv", "png", "svg")}
    assert "Not run." in (project / "docs" / "results.md").read_text()


def test_a_refused_result_leaves_everything_as_it_is(project: Path) -> None:
    before = files(project)
    (project / "results" / "ptb-small-vd" / "seed-0" / "scores.json").write_text("{}")
    with pytest.raises(RunError, match=r"scores\.json"):
        write(project)
    assert {n: c for n, c in files(project).items() if "scores" not in n} == {
        n: c for n, c in before.items() if "scores" not in n
    }


@pytest.mark.parametrize("text", ["no markers\n", f"{END}\n{BEGIN}\n", f"{BEGIN}\n{BEGIN}\n{END}\n"])
def test_a_page_needs_each_marker_once_in_order(tmp_path: Path, text: str) -> None:
    (tmp_path / "page.md").write_text(text)
    with pytest.raises(RunError, match=r"page\.md must have the line"):
        replace_between_markers(tmp_path / "page.md", "new")
    with pytest.raises(RunError, match="is missing"):
        replace_between_markers(tmp_path / "other.md", "new")


def test_rendering_loads_no_torch(project: Path) -> None:
    code = f"""
import sys
from pathlib import Path
from tiedlm.paper.render import rendered
rendered(Path({str(project)!r}))
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ, timeout=120)


def test_figure_2_shows_each_training_of_each_seed(project: Path) -> None:
    panels = epochs_by_training(read_rows(project / "results"))
    assert list(panels) == ["small"]
    assert {model: [len(epochs) for epochs in seeds] for model, seeds in panels["small"].items()} == {
        "vd": [1, 1],
        "re": [2],
    }
    empty = {name: replace(row, results={}) for name, row in read_rows(project / "results").items()}
    assert draw_figure2(empty) is None


def test_without_matplotlib_the_extra_is_named(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ConfigError, match=r"pip install 'tiedlm\[figures\]'"):
        draw_figure2(read_rows(project / "results"))
