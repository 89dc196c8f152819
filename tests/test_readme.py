"""What the README and docs/README.md say, run."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tiedlm.cli.main import COMMANDS, main

PROJECT = Path(__file__).resolve().parents[1]
PAGES = [PROJECT / "README.md", *sorted(PROJECT.glob("docs/**/*.md"))]
README = (PROJECT / "README.md").read_text() + (PROJECT / "docs" / "README.md").read_text()


def blocks(language: str) -> list[str]:
    fenced = re.findall(r"^```(\w*)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    return [text for kind, text in fenced if kind == language]


def commands() -> list[list[str]]:
    lines = "\n".join(blocks("")).splitlines()
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("tiedlm ")]


def test_every_command_is_understood(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without runs, texts and network a command ends well, or with the run, text or download that it lacks."""
    for folder in ("results", "data", "DIR"):
        (tmp_path / folder).mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TIEDLM_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("TIEDLM_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("TIEDLM_RUNS_DIR", raising=False)
    for scheme in ("http", "https"):
        monkeypatch.setenv(f"{scheme}_proxy", "http://127.0.0.1:9")  # nobody listens there
    for words in commands():
        end = words.index(">") if ">" in words else len(words)
        status = main(words[:end])
        output, error = capsys.readouterr()
        if status != 0:
            assert re.search(r"runs/ptb-small-re-seed-0|download of|/a\.txt", error), (words, error)
        for file in words[end + 1 :]:
            Path(file).write_text(output)


def test_every_command_is_told_of() -> None:
    """In a block of commands, or in the text between backquotes."""
    told = {name for name, *_ in commands()} | set(re.findall(r"`tiedlm (\w+)", README)) | {"demo"}  # `make demo`
    assert set(COMMANDS) - told == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_and_path_leads_to_a_file(page: Path) -> None:
    text = page.read_text()
    links = [page.parent / link for link in re.findall(r"\]\((?!https?:)([^)#]+)", text)]
    paths = [PROJECT / path for path in re.findall(r"`((?:src|docs|benchmarks|results|tests)/[^`*{A-Z]*)`", text)]
    assert [path for path in [*links, *paths] if not path.exists()] == []


def test_python_runs() -> None:
    done = subprocess.run([sys.executable, "-W", "error", "-c", blocks("python")[0]], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"loss \d+\.\d+, of which cross-entropy \d+\.\d+", done.stdout)
