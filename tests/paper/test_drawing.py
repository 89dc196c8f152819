"""Pictures are equal to the byte, whatever the user has set, and hold no date."""

from __future__ import annotations

import builtins
import re
import struct
from typing import TYPE_CHECKING, Any

import matplotlib
import pytest

from tiedlm.errors import ConfigError
from tiedlm.paper.drawing import pictures, titled

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(figure: Figure) -> None:
    axes = figure.subplots()
    axes.plot([0, 1], [1, 0], label="β")
    axes.legend()
    titled(axes, "a title")


@pytest.fixture(scope="module")
def drawn() -> dict[str, bytes]:
    return pictures(draw, width=2.0, height=1.0)


def test_again_they_are_equal_to_the_byte(drawn: dict[str, bytes]) -> None:
    assert pictures(draw, width=2.0, height=1.0) == drawn


def test_settings_of_the_user_do_not_count_and_stay(drawn: dict[str, bytes]) -> None:
    with matplotlib.rc_context({"lines.linewidth": 9.0, "font.size": 30.0, "svg.hashsalt": "other"}):
        assert pictures(draw, width=2.0, height=1.0) == drawn
        assert matplotlib.rcParams["lines.linewidth"] == 9.0


def test_both_formats_are_what_they_are_called(drawn: dict[str, bytes]) -> None:
    assert list(drawn) == ["png", "svg"]
    assert drawn["png"].startswith(b"\x89PNG\r\n")
    assert struct.unpack(">II", drawn["png"][16:24]) == (300, 150)
    assert drawn["svg"].rstrip().endswith(b"</svg>")


def test_neither_dates_nor_versions_are_written(drawn: dict[str, bytes]) -> None:
    assert b"Software" not in drawn["png"]
    assert re.search(rb"dc:date|[Mm]atplotlib v|20\d\d-\d\d-\d\d", drawn["svg"]) is None


def test_without_matplotlib_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def refuse(name: str, *others: Any) -> Any:
        if name.partition(".")[0] == "matplotlib":
            raise ImportError(name)
        return real(name, *others)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ConfigError, match=r"pip install 'tiedlm\[figures\]'"):
        pictures(draw, width=2.0, height=1.0)
