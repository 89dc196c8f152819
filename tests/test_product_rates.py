from __future__ import annotations

import pytest
import torch

from tiedlm import product_rates
from tiedlm.product_rates import product_gflops, slowdown


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_rate_is_that_of_the_fastest_product_after_the_first(
    monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype
) -> None:
    seconds = iter([1e-9, 0.5, 0.25, 0.75, 1.0, 1.0, 1.0, 0.5, 2.0])
    asked = []

    def timed(left: torch.Tensor, right: torch.Tensor) -> float:
        asked.append((left.shape, right.shape, left.dtype, right.dtype))
        return next(seconds)

    monkeypatch.setattr(product_rates, "_seconds", timed)
    assert product_gflops(dtype) == pytest.approx(2 * 256 * 256 * 2048 / 0.25 / 1e9, rel=1e-12)
    assert set(asked) == {((256, 256), (2048, 256), dtype, dtype)}


def test_the_slowdown_is_above_one_where_the_type_is_the_slower_one(monkeypatch: pytest.MonkeyPatch) -> None:
    rates = {torch.float32: 80.0, torch.bfloat16: 8.0}
    monkeypatch.setattr(product_rates, "product_gflops", rates.__getitem__)
    assert slowdown(torch.bfloat16) == 10.0
    assert slowdown(torch.float32) == 1.0


def test_both_types_have_a_rate_here() -> None:
    assert product_gflops(torch.float32) > 0.01
    assert slowdown(torch.bfloat16) > 0.001


def test_the_weights_that_a_training_draws_do_not_depend_on_it() -> None:
    before = torch.get_rng_state()
    slowdown(torch.bfloat16)
    assert torch.equal(torch.get_rng_state(), before)
