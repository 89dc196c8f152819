"""No array that begins uninitialised is read before it is written, whatever the processor's products read beside it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from support.gpus import NEEDS_GPU
from support.native_code import needs_a_compiler
from tiedlm.losses import chunked
from tiedlm.losses.augmented import AugmentedLoss, Implementation, linear_augmented_cross_entropy

FORMS = pytest.mark.parametrize(
    "form",
    [
        "functional",
        "chunked",
        pytest.param("compiled", marks=needs_a_compiler),
        pytest.param("triton", marks=NEEDS_GPU),
    ],
)
TYPES = ["float32", "float64", "bfloat16", "float16", "autocast"]
OPTIONS: dict[str, dict[str, Any]] = {
    "augmented": {},
    "cross-entropy": {"gamma": 0.0},
    "each": {"reduction": "none"},
    "target held": {"detach_target": True},
    "centred, masked": {"center_table": True, "vocabulary_mask": True},
}


@pytest.fixture(autouse=True)
def memory_of_nan(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What PyTorch makes uninitialised holds NaN, and nothing made before is used again."""
    monkeypatch.setattr(chunked, "_cached", chunked._Cached())
    torch.use_deterministic_algorithms(True)
    assert torch.empty(3).isnan().all()
    yield
    torch.use_deterministic_algorithms(False)


@FORMS
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("case", OPTIONS)
@pytest.mark.parametrize("tied", [True, False])
def test_losses_and_gradients_are_finite(form: Implementation, dtype: str, case: str, tied: bool) -> None:
    if form == "compiled" and dtype == "float16":
        pytest.skip("there are no compiled loops for float16")
    device = "cuda" if form == "triton" else "cpu"
    kind = torch.float32 if dtype == "autocast" else getattr(torch, dtype)
    options = dict(OPTIONS[case])
    for rows, words, width in ((9, 301, 16), (33, 67, 100), (5, 8, 3)):
        draws = torch.Generator().manual_seed(words)

        def leaf(*size: int, draws: torch.Generator = draws) -> Tensor:
            return (0.3 * torch.randn(size, generator=draws)).to(device, kind).requires_grad_()

        features, classifier, bias = leaf(rows, width), leaf(words, width), leaf(words)
        table = None if tied else leaf(words, width + 3)
        targets = torch.randint(words, (rows,), generator=draws).to(device)
        targets[1] = -100
        if "vocabulary_mask" in options:
            options["vocabulary_mask"] = torch.arange(words, device=device) >= 0
        with torch.autocast(device, torch.bfloat16, enabled=dtype == "autocast"):
            loss = linear_augmented_cross_entropy(
                features, classifier, targets, table=table, bias=bias, implementation=form, **options
            )
        assert loss.isfinite().all()
        leaves = [features, classifier, bias, *([] if table is None or loss is None else [table])]
        for gradient in torch.autograd.grad(loss.sum(), leaves, allow_unused=True):
            assert gradient is None or gradient.isfinite().all(), (rows, words, width)


def test_a_tied_table_trains_in_bfloat16() -> None:
    torch.manual_seed(0)
    table, loss = nn.Embedding(301, 16), AugmentedLoss(gamma=0.65)
    optimizer = torch.optim.SGD(table.parameters(), 0.1)
    for _ in range(200):
        words = torch.randint(301, (64,))
        with torch.autocast("cpu", torch.bfloat16):
            value = loss(table(words), table.weight, words.roll(-1))
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        assert table.weight.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("kept", [True, False])
def test_what_lies_between_rows_is_zero(dtype: torch.dtype, kept: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not kept:
        monkeypatch.setattr(chunked, "MAX_CACHED_BYTES", 0)
    for words in (301, 7, 33, 301):  # of an array that was used for other words, too
        logits = chunked._logits_buffer(5, torch.zeros(words, 2, dtype=dtype))
        rows = logits.as_strided((5, logits.stride(0)), (logits.stride(0), 1))
        assert rows.shape[1] > words
        assert (rows[:, words:] == 0).all()
        rows.fill_(torch.nan)
