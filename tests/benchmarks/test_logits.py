"""The products that are compared are the same product, and each has its row."""

from __future__ import annotations

import pytest
import torch

from support.scripts import benchmark
from tiedlm.losses import logits as ours

logits = benchmark("logits")


@pytest.fixture(autouse=True)
def block_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """The benchmark sets it, and it is put back."""
    monkeypatch.setattr(ours, "BLOCK_WORDS", ours.BLOCK_WORDS)


def test_all_write_the_same_logits() -> None:
    found = {}
    for name, make in logits.variants(logits.Size(3, 8, 1030)).items():
        found[name] = make(0)().clone()
        assert (1030 if name == "whole" else int(name)) == ours.BLOCK_WORDS
    assert list(found) == ["whole", "512", "1024"]
    assert found["whole"].abs().max() > 1
    for each in found.values():
        torch.testing.assert_close(each, found["whole"], rtol=2**-7, atol=0.05)


def test_a_row_tells_everything() -> None:
    first, second = logits.rows(logits.parsed(["--rounds", "1"]), [logits.Size(2, 4, 600)])
    assert (first["block"], second["block"]) == ("whole", "512")
    assert first["ratio_to_whole"] == "1.000"
    assert (second["rows"], second["width"], second["words"], second["rounds"]) == (2, 4, 600, 1)
    assert tuple(first) == logits.COLUMNS
    assert "600" in logits.line(second)


def test_a_row_is_there_before_the_next_size_is_measured() -> None:
    found = logits.rows(logits.parsed(["--rounds", "1"]), [logits.Size(2, 4, 600), "not measured yet"])
    assert next(found)["words"] == 600
