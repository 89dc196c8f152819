"""The losses that are compared are the same where they should be, and are compared fairly."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from support.compare import assert_close
from support.scripts import benchmark
from tiedlm.native.build import compiler_unavailable

losses, variants, memory = benchmark("losses"), benchmark("loss_variants"), benchmark("loss_memory")
HERE = [variant for variant in variants.VARIANTS if variant.runs_on("cpu")]
SMALL = (40, 300, 16)


@pytest.mark.parametrize("variant", HERE, ids=lambda variant: variant.label)
def test_each_variant_is_what_its_name_says(variant) -> None:
    """Values and gradients are those of the loss as it reads, or of stock cross-entropy."""
    case = variants.made(*SMALL)
    if variant.gradient == "plain":
        truth = variants.stock(case)
    else:
        truth = variants.naive(case, detach=variant.gradient == "detached")
    leaves = (case.features, case.classifier)
    right = torch.autograd.grad(truth, leaves)
    variant.step(case)()
    assert_close(variant.loss(case), truth, 1e-5)
    for leaf, gradient in zip(leaves, right, strict=True):
        assert_close(leaf.grad, gradient, 1e-4)


def test_every_implementation_is_measured_in_every_form() -> None:
    labels = {variant.label for variant in variants.VARIANTS}
    forms = ("plain", "detached", "through")
    assert {f"{name}/{form}" for name in ("functional", "chunked", "compiled", "triton") for form in forms} <= labels
    assert {"torch_linear/plain", "torch_linear_chunked/plain", "liger/plain", "cut/plain"} <= labels
    assert {"naive/detached", "naive/through"} <= labels
    assert variants.VARIANTS[0].label == "cross_entropy/plain"


def test_variants_run_where_they_can() -> None:
    names = {variant.name for variant in HERE}
    assert {"chunked", "torch_linear"} <= names
    assert ("compiled" in names) == (compiler_unavailable() is None)
    assert not {"triton", "liger", "cut"} & names
    large = {variant.name for variant in losses.variants_at((4096, 128_000, 512), "cpu")}
    assert {"naive", "functional"} <= names - large
    assert "compiled" not in {variant.name for variant in losses.variants_at((8, 8, 8), "cuda")}
    some = losses.variants_at((8, 8, 8), "cpu", losses.parsed(["--only", "chunked"]).only)
    assert {variant.name for variant in some} == {losses.VARIANTS[0].name, "chunked"}


def test_targets_are_as_uneven_as_a_text_s() -> None:
    assert 340 < len(variants.made(700, 10_000, 2).targets.unique()) < 400
    case = variants.made(8, 20, 3, dtype=torch.bfloat16)
    assert (case.features.dtype, case.classifier.dtype) == (torch.bfloat16, torch.bfloat16)
    assert case.classifier.is_leaf
    assert case.classifier.requires_grad


def test_memory_is_what_a_pass_holds_beyond_inputs_and_gradients() -> None:
    """Stock cross-entropy has the logits and their gradient, and gives the first back no sooner; a chunk's are few."""
    case = variants.made(1000, 20_000, 64)
    logits = 1000 * 20_000 * 4 / 2**20
    found = {
        name: memory.extra_memory_mib(case, next(variant for variant in HERE if variant.label == f"{name}/plain"))
        for name in ("cross_entropy", "chunked")
    }
    assert 2 * logits - 5 < found["cross_entropy"] < 3 * logits + 40
    assert found["chunked"] < found["cross_entropy"]


def test_a_row_tells_everything(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(losses, "memory_in_a_process", lambda *_: 12.4)
    monkeypatch.setattr(losses, "variants_at", lambda *_: HERE[:2])
    first, second = losses.rows(SMALL, losses.parsed(["--rounds", "2"]))
    assert (first["loss"], first["gradient"], first["ratio_to_stock"]) == ("cross_entropy", "plain", "1.000")
    assert (second["loss"], second["rounds"], second["dtype"], second["extra_memory_mib"]) == (
        "torch_linear",
        2,
        "float32",
        "12",
    )
    assert tuple(first) == losses.COLUMNS
    assert "torch_linear/plain" in losses.line(second)


def test_a_row_is_there_before_the_next_memory_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    told = iter([12.4])
    monkeypatch.setattr(losses, "memory_in_a_process", lambda *_: next(told))
    monkeypatch.setattr(losses, "variants_at", lambda *_: HERE[:2])
    assert next(losses.rows(SMALL, losses.parsed(["--rounds", "1"])))["extra_memory_mib"] == "12"
