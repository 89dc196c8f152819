"""Drawn problems are counted, wrong losses among them, and parts that are done are not done again."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from support.scripts import benchmark
from tiedlm.losses import functional

proofs = benchmark("proofs")


@pytest.fixture(autouse=True)
def the_definition_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes no process group."""
    only = {"functional": proofs.implementations()["functional"]}
    monkeypatch.setattr(proofs, "implementations", lambda: only)


def wrong(*arguments: Any, **options: Any) -> Any:
    """A loss whose gradient is a thousandth too large."""
    loss = functional.linear_augmented_cross_entropy(*arguments, **options)
    return loss.detach() + 1.001 * (loss - loss.detach())


def test_all_drawn_problems_are_compared_and_errors_told() -> None:
    part = proofs.oracle(lambda _: functional.linear_augmented_cross_entropy, 25)
    assert (part["examples"], part["failures"], part["first"]) == (25, 0, [])
    assert set(part["worst_relative_error"]) >= {"loss (mean)", "loss (none)", "gradient of features"}
    assert 0 < max(part["worst_relative_error"].values()) < 1e-12
    assert 0 < part["worst_share_of_what_is_allowed"] < 1
    assert part["of_them"]["tied"] > 1


def test_a_wrong_gradient_fails_both_and_the_rest_goes_on() -> None:
    compared, checked = proofs.oracle(lambda _: wrong, 25), proofs.gradchecks(lambda _: wrong, 30)
    assert compared["examples"] == 25
    assert compared["failures"] > 5
    assert "gradient of" in compared["first"][0]
    assert checked["gradchecks"] == 30
    assert checked["failures"] > 5
    assert "Jacobian mismatch" in checked["first"][0]


def test_parts_that_are_there_are_not_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = proofs.parsed(["--examples", "3", "--gradchecks", "4", "--output", str(tmp_path / "proofs.json")])
    first = proofs.run(options)
    assert set(first["parts"]) == {"oracle functional", "gradcheck functional"}
    assert {"commit", "torch", "processor", "losses_sha256"} <= set(first)
    first["parts"].pop("gradcheck functional")
    options.output.write_text(json.dumps(first))
    monkeypatch.setattr(proofs, "oracle", lambda *_: pytest.fail("is there already"))
    assert set(proofs.run(options)["parts"]) == {"oracle functional", "gradcheck functional"}
    monkeypatch.setattr(proofs, "sources_sha256", lambda: "other")
    with pytest.raises(pytest.fail.Exception, match="is there already"):
        proofs.run(options)


def test_a_call_that_ends_in_writing_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = proofs.parsed(["--examples", "3", "--gradchecks", "4", "--output", str(tmp_path / "proofs.json")])
    proofs.run(options)
    before = options.output.read_bytes()
    monkeypatch.setattr(os, "replace", lambda *_: sys.exit("ended"))
    options.examples = 2
    with pytest.raises(SystemExit, match="ended"):
        proofs.run(options)
    assert options.output.read_bytes() == before


def test_a_file_that_was_cut_short_is_told(tmp_path: Path) -> None:
    options = proofs.parsed(["--output", str(tmp_path / "proofs.json")])
    options.output.write_text('{"parts": {"oracle')
    with pytest.raises(SystemExit, match=r"proofs.json is not readable as JSON .*Move it away to begin another"):
        proofs.run(options)
