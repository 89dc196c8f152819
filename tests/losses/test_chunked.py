"""Parts of the chunked algorithm that a loss alone does not show: memory, chunks, sums of gradients, products."""

from __future__ import annotations

import threading

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tiedlm.losses import chunked
from tiedlm.losses.augmented import linear_augmented_cross_entropy
from tiedlm.losses.chunked import MAX_CHUNK_WEIGHT, _chunks, _logits_buffer, _rescale_for_fp16, _TableGrad

TABLE = torch.zeros(7, 2)


@pytest.fixture(autouse=True)
def nothing_cached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunked, "_cached", chunked._Cached())


def test_the_same_memory_serves_again_and_grows_when_it_must(monkeypatch: pytest.MonkeyPatch) -> None:
    first = _logits_buffer(4, TABLE)
    assert first.shape == (4, 7)
    assert _logits_buffer(2, TABLE).data_ptr() == first.data_ptr()
    assert _logits_buffer(9, TABLE).shape == (9, 7)
    assert _logits_buffer(4, TABLE).data_ptr() == _logits_buffer(9, TABLE).data_ptr()
    monkeypatch.setattr(chunked, "MAX_CACHED_BYTES", 4 * 7 * 9)
    cached = dict(chunked._cached.arrays)
    assert _logits_buffer(10, TABLE).shape == (10, 7)
    assert chunked._cached.arrays == cached


def test_types_and_threads_have_their_own() -> None:
    own = _logits_buffer(4, TABLE)
    assert _logits_buffer(4, TABLE.double()).dtype == torch.float64
    others: list[int] = []
    thread = threading.Thread(target=lambda: others.append(_logits_buffer(4, TABLE).data_ptr()))
    thread.start()
    thread.join()
    assert others != [own.data_ptr()]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("words", [1, 7, 16, 32, 33, 1001])
def test_every_row_begins_at_a_cache_line(words: int, dtype: torch.dtype) -> None:
    logits = _logits_buffer(3, torch.zeros(words, 2, dtype=dtype))
    assert (logits.shape, logits.dtype, logits.stride(1)) == ((3, words), dtype, 1)
    assert {row.data_ptr() % 64 for row in logits} == {0}
    assert logits.stride(0) * dtype.itemsize < words * dtype.itemsize + 64  # and not further apart than need be


def test_memory_made_in_inference_mode_serves_a_training_afterwards() -> None:
    features, targets = torch.ones(3, 2, requires_grad=True), torch.tensor([0, 1, 6])
    with torch.inference_mode():
        due = linear_augmented_cross_entropy(features, TABLE, targets, implementation="chunked")
    loss = linear_augmented_cross_entropy(features, TABLE, targets, implementation="chunked")
    loss.backward()
    assert float(loss.detach()) == float(due)


@given(rows=st.integers(0, 40), rows_at_once=st.integers(1, 12))
def test_chunks_are_equal_and_cover_every_row_once(rows: int, rows_at_once: int) -> None:
    chunks = list(_chunks(rows, rows_at_once))
    sizes = [chunk.stop - chunk.start for chunk in chunks]
    assert [row for chunk in chunks for row in range(rows)[chunk]] == list(range(rows))
    assert len(sizes) == -(-rows // rows_at_once)
    assert not sizes or max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize(("rows_at_once", "heaviest"), [(5, 5e-6), (1, 4e-6)])
def test_weights_of_float16_products_have_a_unit_of_the_heaviest_chunk(rows_at_once: int, heaviest: float) -> None:
    weights = torch.tensor([1e-6, 4e-6, 0.0])
    chunks = list(_chunks(3, rows_at_once))
    scaled, unit = _rescale_for_fp16(weights, chunks, torch.float16)
    assert scaled is not None
    assert unit is not None
    assert float(unit) == pytest.approx(heaviest / MAX_CHUNK_WEIGHT)
    assert torch.allclose(scaled * unit, weights)
    assert _rescale_for_fp16(weights, chunks, torch.bfloat16) == (weights, None)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("max_bytes", [0, 2**20])
@pytest.mark.parametrize("rows", [3, 12])
def test_a_sum_is_exact_whichever_product_it_comes_from(
    dtype: torch.dtype, max_bytes: int, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Small integers and their sums are exact in bfloat16, so each way must give the same."""
    monkeypatch.setattr(chunked, "MAX_TRANSPOSED_BYTES", max_bytes)
    draw = torch.Generator().manual_seed(0)
    left, right = (torch.randint(-3, 4, (rows, width), generator=draw).double() for width in (7, 5))
    total = _TableGrad(torch.zeros(7, 5), torch.float32)
    assert not _TableGrad(torch.zeros(7, 5), torch.float32).whole().any()
    for times in (1, 2):
        total.add_matmul(left.to(dtype), right.to(dtype))
        assert torch.equal(total.whole().double(), times * left.T @ right)
    total.add_rows(torch.tensor([1, 1]), torch.ones(2, 5))
    assert torch.equal(total.whole()[1].double(), 2 * left.T[1] @ right + 2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("words", [1, 15, 16, 17, 32, 50])
def test_each_word_has_its_logit(words: int, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunked, "BLOCK_WORDS", 16)
    generator = torch.Generator().manual_seed(words)
    rows = torch.randn(7, 24, generator=generator).to(dtype)
    table = torch.randn(words, 24, generator=generator).to(dtype)
    truth = rows.double() @ table.double().T
    whole = torch.full((9, words), torch.nan, dtype=dtype)
    logits = chunked._matmul_into(whole[:7], rows, table)
    assert logits.data_ptr() == whole.data_ptr()
    slack = {torch.float32: 1e-6, torch.bfloat16: 2**-7}[dtype]
    assert float((logits.double() - truth).abs().max()) <= slack * float(truth.abs().max())
    assert bool(whole[7:].isnan().all())
