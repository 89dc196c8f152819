from __future__ import annotations

from pathlib import Path

import pytest

from tiedlm.errors import RunError
from tiedlm.paper.pages import BEGIN, END, with_part

PAGE = f"# Title\n\nWords.\n\n{BEGIN}\nold\n\n| a |\n{END}\n\nMore words.\n"


def test_what_stands_between_the_markers_is_replaced_and_nothing_else(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    found = with_part(page, "new\n\n")
    assert found == f"# Title\n\nWords.\n\n{BEGIN}\n\nnew\n\n{END}\n\nMore words.\n"
    page.write_text(found)
    assert with_part(page, "new\n") == found


def test_markers_next_to_each_other(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"{BEGIN}\n{END}")
    assert with_part(page, "new") == f"{BEGIN}\n\nnew\n\n{END}"


@pytest.mark.parametrize(
    "text",
    [
        "no markers\n",
        f"{BEGIN}\n",
        f"{END}\n",
        f"{END}\n{BEGIN}\n",
        f"{BEGIN}\n{BEGIN}\n{END}\n",
        f"{BEGIN}\n{END}\n{END}\n",
        f"words {BEGIN}\n{END}\n",
    ],
)
def test_markers_that_are_missing_double_or_turned_round_are_an_error(tmp_path: Path, text: str) -> None:
    page = tmp_path / "page.md"
    page.write_text(text)
    with pytest.raises(RunError, match=r"page\.md must have the line"):
        with_part(page, "new")


def test_a_missing_page(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"page\.md is missing.*--project DIR"):
        with_part(tmp_path / "page.md", "new")
