"""What is kept of the environment."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tiedlm.training import start
from tiedlm.training.start import commit, describe

HEAD = "a" * 40


def test_describes_versions_and_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        sys, "orig_argv", ["/bin/python", "-m", "tiedlm", "train", "ptb-small-re", "--run-dir", "my run"]
    )
    found = describe("cpu")
    assert found["torch"] == torch.__version__
    assert found["threads"] == torch.get_num_threads()
    assert found["command"] == "/bin/python -m tiedlm train ptb-small-re --run-dir 'my run'"
    assert found["device"] == "cpu"
    json.dumps(found, allow_nan=False)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({}, HEAD),
        ({"status": " M start.py"}, f"{HEAD}+changes"),
        ({"ls-files": None}, None),  # a repository around the code that is not the code's own
        ({"rev-parse": None}, None),
        ({"status": None}, None),
    ],
)
def test_the_commit_is_that_of_a_repository_that_tracks_the_code(
    monkeypatch: pytest.MonkeyPatch, told: dict[str, str | None], expected: str | None
) -> None:
    answers = {"ls-files": "start.py", "rev-parse": HEAD, "status": "", **told}
    monkeypatch.setattr(start, "_git", lambda folder, *arguments: answers[arguments[0]])
    assert commit() == expected


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not here")
@pytest.mark.parametrize("tracked", [True, False])
def test_git_tells_its_own_files_from_those_that_it_only_surrounds(
    tracked: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = tmp_path / ".venv" / "start.py"
    code.parent.mkdir()
    code.write_text("")
    (tmp_path / ".gitignore").write_text("" if tracked else ".venv\n")
    author = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    for arguments in (("init", "-q"), ("add", "."), (*author, "commit", "-q", "-m", "x")):
        subprocess.run(["git", "-C", str(tmp_path), *arguments], check=True)
    monkeypatch.setattr(start, "__file__", str(code))
    found = commit()
    assert (found is not None and len(found) == 40) if tracked else found is None


def test_there_is_no_commit_without_git(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert commit() is None
