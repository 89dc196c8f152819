"""Parts of the chunked algorithm that a loss alone does not show: its memory, sums of gradients, products in blocks."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from support.gpu import NEEDS_GPU, needs_a_compiler
from tiedlm.losses import chunked
from tiedlm.losses.augmented import AugmentedLoss, Implementation, linear_augmented_cross_entropy
from tiedlm.losses.chunked import _logits_buffer, _TableGrad

TABLE = torch.zeros(7, 2)


@pytest.fixture(autouse=True)
def nothing_cached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunked, "_cached", chunked._Cached())


def test_the_same_memory_serves_again_but_no_other_thread() -> None:
    first = _logits_buffer(4, TABLE)
    assert _logits_buffer(2, TABLE).data_ptr() == first.data_ptr()
    assert _logits_buffer(9, TABLE).shape == (9, 7)
    assert _logits_buffer(4, TABLE).data_ptr() == _logits_buffer(9, TABLE).data_ptr()
    assert _logits_buffer(4, TABLE.double()).dtype == torch.float64
    others: list[int] = []
    thread = threading.Thread(target=lambda: others.append(_logits_buffer(4, TABLE).data_ptr()))
    thread.start()
    thread.join()
    assert others != [_logits_buffer(4, TABLE).data_ptr()]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("words", [1, 7, 16, 32, 33, 1001])
def test_every_row_begins_at_a_cache_line(words: int, dtype: torch.dtype) -> None:
    logits = _logits_buffer(3, torch.zeros(words, 2, dtype=dtype))
    assert (logits.shape, logits.dtype, logits.stride(1)) == ((3, words), dtype, 1)
    assert {row.data_ptr() % 64 for row in logits} == {0}
    assert logits.stride(0) * dtype.itemsize < words * dtype.itemsize + 64  # and not further apart than need be
    between = logits.as_strided((3, logits.stride(0)), (logits.stride(0), 1))[:, words:]
    assert (between == 0).all()  # which oneDNN's 16-bit products read
    between.fill_(torch.nan)
    again = _logits_buffer(3, torch.zeros(words, 2, dtype=dtype))
    assert (again.as_strided(between.shape, between.stride(), words) == 0).all()


def test_memory_made_in_inference_mode_serves_a_training_afterwards() -> None:
    features, targets = torch.ones(3, 2, requires_grad=True), torch.tensor([0, 1, 6])
    with torch.inference_mode():
        due = linear_augmented_cross_entropy(features, TABLE, targets, implementation="chunked")
    loss = linear_augmented_cross_entropy(features, TABLE, targets, implementation="chunked")
    loss.backward()
    assert float(loss.detach()) == float(due)


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


# ---- no array that begins uninitialised is read before it is written

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


@pytest.fixture
def memory_of_nan() -> Iterator[None]:
    """What PyTorch makes uninitialised holds NaN, and nothing made before is used again."""
    torch.use_deterministic_algorithms(True)
    assert torch.empty(3).isnan().all()
    yield
    torch.use_deterministic_algorithms(False)


@pytest.mark.usefixtures("memory_of_nan")
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


@pytest.mark.usefixtures("memory_of_nan")
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
