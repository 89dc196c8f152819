from __future__ import annotations

from pathlib import Path

import pytest

from support.published_results import add_result
from tiedlm.paper.render import BEGIN, END


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Results without a figure's, so that nothing has to be drawn."""
    (tmp_path / "docs").mkdir()
    for page in ("README.md", "docs/results.md"):
        (tmp_path / page).write_text(f"{BEGIN}\n{END}\n")
    add_result(tmp_path / "results", "wikitext2-small-vd", 0, 106.0)
    return tmp_path


def test_render_writes_what_is_missing_and_tells_it(tiedlm, project) -> None:
    answer = tiedlm("reproduce", "--render", "--project", project)
    assert answer.status == 0, answer.error
    assert "docs/tables/table1.md\n" in answer.output
    assert answer.output.endswith("Files written: 35. All others are as the results make them already.\n")
    assert "106.00" in (project / "docs/tables/table1.md").read_text()
    again = tiedlm("reproduce", "--render", "--project", project)
    assert again.output.startswith("Files written: 0. ")


def test_check_writes_nothing_and_fails_where_something_differs(tiedlm, project) -> None:
    refused = tiedlm("reproduce", "--render", "--check", "--project", project)
    assert refused.status == 2
    assert "35 files are not as" in refused.error
    assert "docs/tables/table1.md" in refused.error
    assert not (project / "docs/tables").exists()
    tiedlm("reproduce", "--render", "--project", project)
    assert tiedlm("reproduce", "--render", "--check", "--project", project).status == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "Name what to reproduce"),
        (("--json",), "Name what to reproduce"),
        (("table1", "--check"), "--check has no effect without --list or --render"),
        (("--list", "--budget", "9m"), "--budget has no effect with --list"),
        (("table1", "--budget", "soon"), "write hours, minutes and seconds as in 9m"),
        (("table1", "--seeds", "0-"), "seeds"),
        (("--list", "--render"), "Give either --list"),
        (("--list", "--check"), "--check has no effect with --list"),
        (("--render", "--only", "small"), "--only has no effect with --render"),
        (("table1", "--render", "--json"), "TARGET, --json has no effect with --render"),
        (("--rendre",), "--render"),
    ],
)
def test_options_without_effect_are_refused(tiedlm, project, arguments, message) -> None:
    answer = tiedlm("reproduce", *arguments, "--project", project)
    assert answer.status == 2
    assert message in answer.error
    assert not (project / "docs/tables").exists()


def test_a_folder_without_results_is_an_error(tiedlm, tmp_path) -> None:
    for option in ("--list", "--render"):
        answer = tiedlm("reproduce", option, "--project", tmp_path)
        assert answer.status == 2
        assert "results is not a folder" in answer.error
