"""Help and messages as they are printed: one file a help, one block a mistake.

`TIEDLM_UPDATE_GOLDEN=1 pytest tests/cli/test_golden.py` writes them anew; the difference is then for a reader to judge.
"""

import os
import shlex
from pathlib import Path

import pytest

from tiedlm.cli.main import COMMANDS

GOLDEN = Path(__file__).parents[1] / "golden"
UPDATE = "TIEDLM_UPDATE_GOLDEN" in os.environ
HELP = {"tiedlm": ["--help"], **{name: [name, "--help"] for name in COMMANDS}}
HELP["train-RECIPE"] = ["train", "ptb-small-real", "--help"]


@pytest.mark.parametrize("name", HELP)
def test_help(tiedlm, monkeypatch, name):
    monkeypatch.setenv("COLUMNS", "100")
    answer = tiedlm(*HELP[name])
    assert (answer.status, answer.error) == (0, "")
    path = GOLDEN / "help" / f"{name}.txt"
    if UPDATE:
        path.write_text(answer.output)
    assert answer.output == path.read_text()


def test_each_mistake_has_its_message_and_changes_nothing(tiedlm, tiny, monkeypatch):
    monkeypatch.chdir(tiny)
    monkeypatch.delenv("TIEDLM_RUNS_DIR", raising=False)
    before = sorted(tiny.rglob("*"))
    blocks = []
    golden = (GOLDEN / "errors.txt").read_text()
    for block in golden.strip("\n").split("\n\n$ "):
        line = block.splitlines()[0].removeprefix("$ ")
        answer = tiedlm(*shlex.split(line)[1:])
        assert (answer.status, answer.output) == (2, ""), line
        blocks.append(f"$ {line}\n{answer.error}".replace(str(tiny), "TINY"))
    text = "\n".join(blocks)
    if UPDATE:
        (GOLDEN / "errors.txt").write_text(text)
    assert text == golden
    assert sorted(tiny.rglob("*")) == before
