from __future__ import annotations

import json

import torch

from tiedlm import __version__
from tiedlm.cli import examination


def test_everything_is_told_in_words(tiedlm, tiny):
    answer = tiedlm("doctor")
    assert (answer.status, answer.error) == (0, "")
    values = answer.values()
    assert values["tiedlm"] == __version__
    assert values["torch"] == torch.__version__
    assert values["threads"] == str(torch.get_num_threads())
    assert values["problems"] == "none"
    for told in ("ptb", "wikitext-2", "builtin", "synthetic", str(tiny / "cache"), "TIEDLM_CACHE_DIR"):
        assert told in answer.output


def test_the_same_as_json(tiedlm, tiny, tmp_path):
    report = json.loads(tiedlm("doctor", "--json", "--data-dir", tmp_path).output)
    assert report["versions"]["torch"] == torch.__version__
    assert {"name": "data", "path": str(tmp_path), "set_by": "--data-dir"} in report["places"]
    assert report["corpora"]["ptb"] == "not found"
    assert report["problems"] == []


def test_a_problem_is_told_and_changes_the_status(tiedlm, monkeypatch):
    monkeypatch.setattr(examination, "problems", lambda versions, places: ["numpy is not installed"])
    answer = tiedlm("doctor")
    assert answer.status == 1
    assert answer.values()["problems"] == "numpy is not installed"
