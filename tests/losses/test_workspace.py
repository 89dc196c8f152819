"""The kept array of logits: one a thread and type, as large as was asked for, never where it does not belong."""

from __future__ import annotations

import threading

import pytest
import torch

from tiedlm.losses import workspace
from tiedlm.losses.linear import linear_augmented_cross_entropy
from tiedlm.losses.workspace import logits_buffer

WORDS = torch.zeros(7, 2)
LINE = 64
"""Bytes of a cache line."""


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workspace, "_kept", workspace._Kept())


def test_the_same_memory_serves_again_and_grows_when_it_must() -> None:
    first = logits_buffer(4, WORDS)
    assert first.shape == (4, 7)
    assert logits_buffer(2, WORDS).data_ptr() == first.data_ptr()
    assert logits_buffer(9, WORDS).shape == (9, 7)
    assert logits_buffer(4, WORDS).data_ptr() == logits_buffer(9, WORDS).data_ptr()


def test_types_and_threads_have_their_own() -> None:
    own = logits_buffer(4, WORDS)
    assert logits_buffer(4, WORDS.double()).dtype == torch.float64
    others: list[int] = []
    kept = own.data_ptr()
    thread = threading.Thread(target=lambda: others.append(logits_buffer(4, WORDS).data_ptr()))
    thread.start()
    thread.join()
    assert others != [kept]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("words", [1, 7, 16, 32, 33, 1001])
def test_every_row_begins_at_a_cache_line(words: int, dtype: torch.dtype) -> None:
    logits = logits_buffer(3, torch.zeros(words, 2, dtype=dtype))
    assert logits.shape == (3, words)
    assert logits.dtype == dtype
    assert logits.stride(1) == 1
    assert {row.data_ptr() % LINE for row in logits} == {0}
    assert logits.stride(0) * dtype.itemsize < words * dtype.itemsize + LINE  # and not further apart than need be


def test_what_is_too_large_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workspace, "MOST_KEPT_BYTES", 4 * 7 * 3)
    logits_buffer(3, WORDS)
    kept = dict(workspace._kept.arrays)
    assert len(kept) == 1
    assert logits_buffer(4, WORDS).shape == (4, 7)
    assert workspace._kept.arrays == kept


def test_memory_made_in_inference_mode_serves_a_training_afterwards() -> None:
    features, targets = torch.ones(3, 2, requires_grad=True), torch.tensor([0, 1, 6])
    with torch.inference_mode():
        due = linear_augmented_cross_entropy(features, WORDS, targets, implementation="chunked")
    loss = linear_augmented_cross_entropy(features, WORDS, targets, implementation="chunked")
    loss.backward()
    assert float(loss.detach()) == float(due)


def test_a_loss_is_not_changed_by_the_next_one() -> None:
    targets = torch.tensor([0, 1, 6])
    features = [torch.full((3, 2), value, requires_grad=True) for value in (1.0, 2.0)]
    table = torch.randn(7, 2, generator=torch.Generator().manual_seed(0))
    losses = [linear_augmented_cross_entropy(one, table, targets, implementation="chunked") for one in features]
    together = [torch.autograd.grad(loss, one)[0] for loss, one in zip(losses, features, strict=True)]
    for one, found in zip(features, together, strict=True):
        alone = linear_augmented_cross_entropy(one, table, targets, implementation="chunked")
        assert torch.equal(torch.autograd.grad(alone, one)[0], found)
