import runpy
import sys

import pytest

from tiedlm.cli import main as command


@pytest.fixture(autouse=True)
def _not_imported_before(monkeypatch):
    monkeypatch.delitem(sys.modules, "tiedlm.__main__", raising=False)  # runpy warns of a module it finds there


def test_python_m_is_the_command(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["tiedlm", "--help"])
    with pytest.raises(SystemExit) as end:
        runpy.run_module("tiedlm", run_name="__main__")
    assert end.value.code == 0
    assert "usage: tiedlm COMMAND" in capsys.readouterr().out


def test_its_status_is_the_commands(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["tiedlm", "tarin"])
    with pytest.raises(SystemExit) as end:
        runpy.run_module("tiedlm", run_name="__main__")
    assert end.value.code == command.ERROR
    assert "Did you mean 'train'" in capsys.readouterr().err
