"""The products with rows at cache lines are those with rows one after the other, and each has its row."""

from __future__ import annotations

from itertools import product

import pytest
import torch

from support.scripts import benchmark

aligned = benchmark("aligned_rows")

NAMES = ("H W'", "G W", "G' H")


def test_both_kinds_are_the_same_products() -> None:
    features, classifier, gradient = torch.randn(3, 4), torch.randn(9, 4), torch.randn(3, 9)
    due = {"G W": gradient @ classifier, "G' H": gradient.T @ features, "H W'": features @ classifier.T}
    for logits in (gradient.clone(), torch.zeros(3, 16)[:, :9].copy_(gradient)):
        timed = aligned.products(logits, features, classifier)
        assert tuple(timed) == NAMES
        for name in reversed(NAMES):  # the logits are written last
            torch.testing.assert_close(timed[name](), due[name])


@pytest.mark.parametrize("name", NAMES)
def test_only_one_kind_has_its_rows_at_cache_lines(name: str) -> None:
    kinds = aligned.variants(aligned.Size(3, 4, 9), torch.float32, name)
    starts = {kind: make(0).args[0].stride() for kind, make in kinds.items()}
    tight, at_lines = ((1, 9), (1, 16)) if name == "G' H" else ((9, 1), (16, 1))
    assert starts == {aligned.TIGHT: tight, aligned.AT_LINES: at_lines}


def test_a_row_tells_everything() -> None:
    found = list(aligned.rows(aligned.parsed(["--rounds", "1"]), [aligned.Size(2, 4, 9)]))
    told = [(row["precision"], row["product"], row["begin"]) for row in found]
    assert told == list(product(("float32", "bfloat16"), NAMES, (aligned.TIGHT, aligned.AT_LINES)))
    assert found[0]["ratio"] == "1.000"
    assert (found[1]["rows"], found[1]["width"], found[1]["words"], found[1]["rounds"]) == (2, 4, 9, 1)
    assert tuple(found[0]) == aligned.COLUMNS
    assert "at cache lines" in aligned.line(found[1])


def test_a_row_is_there_before_the_next_size_is_measured() -> None:
    found = aligned.rows(aligned.parsed(["--rounds", "1"]), [aligned.Size(2, 4, 9), "not measured yet"])
    assert next(found)["words"] == 9


def test_a_precision_that_is_not_asked_for_is_not_measured() -> None:
    found = aligned.rows(aligned.parsed(["--rounds", "1", "--precisions", "float32"]), [aligned.Size(2, 4, 9)])
    assert [row["precision"] for row in found] == ["float32"] * 6
