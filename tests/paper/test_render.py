"""Everything out of invented results: equal to the byte, whole or not at all, and without torch."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.files import files
from support.invented_analysis import CHANCES
from support.published_results import add_group, add_points, add_result
from tiedlm.errors import RunError
from tiedlm.paper import render
from tiedlm.paper.figure2 import panels
from tiedlm.paper.pages import BEGIN, END
from tiedlm.paper.render import changes, rendered, write

FORMS = {
    f"docs/tables/{name}.{form}" for name in ("table1", "table4", "orders", "figure1") for form in ("md", "tex", "csv")
}
PICTURES = {f"docs/figures/figure{number}.{form}" for number in (1, 2) for form in ("png", "svg")}


def make(folder: Path) -> Path:
    """A project with pages and results."""
    for page in ("README.md", "docs/results.md"):
        (folder / page).parent.mkdir(exist_ok=True, parents=True)
        (folder / page).write_text(f"Words.\n\n{BEGIN}\n{END}\n")
    add_group(folder / "results", "ptb-small", {"vd": [(88.0,)], "re": [(87.0, 85.0)]})
    for model in ("vd", "real"):
        add_result(folder / "results", f"ptb-medium-{model}", 0, 80.0, chances=CHANCES)
    add_points(folder / "results")
    return folder


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One that is rendered; not to be changed."""
    project = make(tmp_path_factory.mktemp("shared"))
    write(project)
    return project


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One to be changed, whose pictures are the data that they show: drawing takes most of the time."""

    def picture(data: object) -> dict[str, bytes]:
        return {form: f"{form}: {data}".encode() for form in ("png", "svg")}

    monkeypatch.setattr(render, "figure1", picture)
    monkeypatch.setattr(render, "figure2", lambda rows: picture(panels(rows)))
    return make(tmp_path)


def made(project: Path) -> dict[str, bytes]:
    """Every file but the results."""
    return {name: content for name, content in files(project).items() if not name.startswith("results/")}


def test_every_table_and_figure_is_made(shared: Path) -> None:
    assert set(made(shared)) >= FORMS | PICTURES
    assert len(made(shared)) == 2 + 3 * 11 + 4
    assert (shared / "docs/tables/table1.md").read_text().startswith("# Table 1: perplexity on Penn Treebank")
    for page in ("README.md", "docs/results.md"):
        assert "`ptb-small-re`" in (shared / page).read_text()
        assert (shared / page).read_text().startswith("Words.\n")


def test_what_was_measured_stands_in_tables_and_page(shared: Path) -> None:
    for name in ("docs/tables/table4.md", "docs/results.md"):
        assert "| `ptb-medium` | 1 / 1 | 1 | 1.000 [1.000, 1.000] |" in (shared / name).read_text()
    assert "ptb-medium-real, seed 0" in (shared / "docs/tables/table4-words.md").read_text()


def test_the_halves_read_with_their_own_words_have_a_table_once_they_are_measured(project: Path) -> None:
    write(project)
    tables = {f"docs/tables/table2-own-words.{form}" for form in ("md", "tex", "csv")}
    assert not tables & set(made(project))
    result = add_result(project / "results", "wikitext2-half1-small-re", 0, 150.0, chances=CHANCES)
    write(project)
    assert tables < set(made(project))
    page = (project / "docs/results.md").read_text()
    assert (
        page.index("### Table 2:") < page.index("### Table 2 with the words of the half") < page.index("### Table 3:")
    )
    assert "| VD-LSTM+RE, half1 | `wikitext2-half1-small-re` | 1 | 155.00 | 139.50 | 152.4 |" in page
    shutil.rmtree(result.parent)
    write(project)
    assert not tables & set(made(project))


def test_rendered_again_nothing_changes(project: Path) -> None:
    assert len(write(project)) == len(made(project))
    before = made(project)
    assert write(project) == []
    assert made(project) == before


def test_another_process_elsewhere_renders_the_same_bytes_without_torch(shared: Path, tmp_path: Path) -> None:
    project = make(tmp_path / "elsewhere")
    code = (
        "import sys; from tiedlm.cli.main import main; status = main(['reproduce', '--render']);"
        "sys.exit(status or ('torch' in sys.modules and 'torch was imported'))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "7", "MPLBACKEND": "svg", "LC_ALL": "C"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=project, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert made(project) == made(shared)


def test_what_was_edited_is_found_and_made_anew(project: Path) -> None:
    write(project)
    before = made(project)
    (project / "docs/tables/table1.csv").write_text("edited")
    page = project / "README.md"
    page.write_text(page.read_text().replace("85.00", "84.00"))
    assert sorted(path.as_posix() for path in changes(project)) == ["README.md", "docs/tables/table1.csv"]
    assert len(write(project)) == 2
    assert made(project) == before


def test_a_figure_without_results_goes(project: Path) -> None:
    write(project)
    shutil.rmtree(project / "results/figure1")
    gone = {path.as_posix() for path, content in changes(project).items() if content is None}
    assert gone == {f"docs/tables/figure1.{form}" for form in ("md", "tex", "csv")} | {
        "docs/figures/figure1.png",
        "docs/figures/figure1.svg",
    }
    write(project)
    assert not any("figure1" in name for name in made(project))


def test_a_result_that_is_refused_leaves_every_file_as_it_is(project: Path) -> None:
    write(project)
    before = made(project)
    scores = add_result(project / "results", "ptb-small-vd", 1, 80.0) / "scores.json"
    scores.write_text(scores.read_text().replace("80", "79"))
    with pytest.raises(RunError, match=r"scores\.json is damaged or was edited"):
        write(project)
    assert made(project) == before


def test_a_page_without_markers_leaves_every_file_as_it_is(project: Path) -> None:
    (project / "README.md").write_text("Words.\n")
    before = made(project)
    with pytest.raises(RunError, match=r"README\.md must have the line"):
        write(project)
    assert made(project) == before


def test_a_full_disk_is_told(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:

    def full(path: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tiedlm.paper.render.write_bytes", full)
    with pytest.raises(RunError, match="could not be saved: No space left on device"):
        write(project)


def test_a_new_result_changes_what_is_made_of_it(project: Path) -> None:
    before = rendered(project)
    add_result(project / "results", "ptb-small-vd", 1, 87.0)
    other = {path.as_posix() for path, content in rendered(project).items() if content != before[path]}
    assert {"docs/tables/table1.md", "docs/figures/figure2.png", "README.md", "docs/results.md"} <= other
    assert not any("figure1" in name for name in other)
