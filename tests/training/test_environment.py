"""What is kept of the environment."""

from __future__ import annotations

import json
import sys

import pytest
import torch

from tiedlm.training.environment import commit, describe


def test_describes_versions_and_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["anything", "train", "ptb-small-re", "--seed", "1"])
    found = describe("cpu")
    assert found["torch"] == torch.__version__
    assert found["threads"] == torch.get_num_threads()
    assert found["command"] == "tiedlm train ptb-small-re --seed 1"
    assert found["device"] == "cpu"
    json.dumps(found, allow_nan=False)


def test_commit_is_a_commit_or_none(monkeypatch: pytest.MonkeyPatch) -> None:
    found = commit()
    assert found is None or len(found.removesuffix("+changes")) == 40
    monkeypatch.setenv("PATH", "")
    assert commit() is None
