"""The product of logits: every block of words, of any last length, in its place and nowhere else."""

from __future__ import annotations

import pytest
import torch

from tiedlm.losses import logits
from tiedlm.losses.logits import logits_into

ROUNDING = {torch.float32: 1e-6, torch.bfloat16: 2**-7}


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logits, "BLOCK_WORDS", 16)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("words", [1, 15, 16, 17, 32, 50])
def test_each_word_has_its_logit(words: int, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(words)
    rows = torch.randn(7, 24, generator=generator).to(dtype)
    table = torch.randn(words, 24, generator=generator).to(dtype)
    truth = rows.double() @ table.double().T
    whole = torch.full((9, words), torch.nan, dtype=dtype)
    found = logits_into(whole[:7], rows, table)
    assert found.data_ptr() == whole.data_ptr()
    assert float((found.double() - truth).abs().max()) <= ROUNDING[dtype] * float(truth.abs().max())
    assert bool(whole[7:].isnan().all())
