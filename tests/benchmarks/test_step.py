"""The steps that are compared do the same work, and are compared fairly."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from support.scripts import benchmark
from tiedlm.recipes.catalogue import recipe

step, variants, windows = benchmark("step"), benchmark("step_variants"), benchmark("step_windows")


@pytest.fixture(autouse=True)
def few_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenth of the vocabulary: the sizes are another's to measure."""
    torch.manual_seed(0)
    monkeypatch.setattr(windows, "WORDS", 1_000)
    monkeypatch.setattr(variants, "WORDS", 1_000)


@pytest.fixture
def some(tmp_path: Path) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Windows of made-up words."""
    words, found = windows.windows(2, tmp_path)
    assert words == "zipf"
    return found


def test_made_up_words_fill_the_windows_and_are_uneven(some) -> None:
    assert [tuple(part.shape) for window in some for part in window] == [(35, 20)] * 4
    assert torch.equal(some[0][0][1:], some[0][1][:-1])
    ids = windows.zipf_ids(100_000, seed=0)
    counts = np.bincount(ids, minlength=1_000)
    assert counts[0] / counts[9] == pytest.approx((10 + 2.7) / (1 + 2.7), rel=0.1)
    assert (windows.zipf_ids(100_000, seed=0) == ids).all()


def test_the_penn_treebank_is_taken_where_it_is(data_dir: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("TIEDLM_CACHE_DIR", str(tmp_path))
    assert windows.has_ptb(data_dir)
    assert not windows.has_ptb(tmp_path)
    words, [(_, targets)] = windows.windows(1, data_dir)
    assert words == "ptb"
    assert targets[:, 0].tolist() == windows.ptb_ids(data_dir)[:35].tolist()


@pytest.mark.parametrize("variant", variants.VARIANTS, ids=lambda variant: variant.name)
def test_every_step_begins_at_chance_and_learns(variant, some) -> None:
    once = variant.make()
    losses = [once(*some[0]) / some[0][1].numel() for _ in range(5)]
    assert losses[0] == pytest.approx(math.log(1_000), rel=0.03)
    assert losses[-1] < losses[0] - 0.05


def test_each_variant_is_what_its_name_says() -> None:
    configs = {variant.name: variant.config() for variant in variants.VARIANTS if variant.model != variants.PLAIN}
    assert len(configs) == 8
    real = recipe("ptb-small-real")
    for precision in ("float32", "bfloat16"):
        assert configs[f"ptb-small-re/{precision}"] == with_precision(recipe("ptb-small-re"), precision)
        through, detached = (configs[f"ptb-small-real/{name}/{precision}"] for name in ("through", "detached"))
        assert (through.loss.detach_target, detached.loss.detach_target) == (False, True)
        assert replace(through.loss, detach_target=True) == replace(real.loss, detach_target=True) == detached.loss
    assert variants.VARIANTS[0].name == "plain-lstm/float32"


def with_precision(config, precision):
    return replace(config, runtime=replace(config.runtime, precision=precision))


def test_rounds_are_counted_after_the_warm_up(some, monkeypatch) -> None:
    taken: list[str] = []

    class Fake:
        def __init__(self, name: str) -> None:
            self.name = name

        def make(self):
            return lambda inputs, targets: taken.append(self.name)

    seconds = step.measure([Fake("a"), Fake("b")], some * 4)
    assert {name: len(times) for name, times in seconds.items()} == {"a": 5, "b": 5}
    assert [sorted(taken[i : i + 2]) for i in range(0, 16, 2)] == [["a", "b"]] * 8
    assert len({tuple(taken[i : i + 2]) for i in range(0, 16, 2)}) == 2


def test_a_row_tells_everything(tmp_path: Path, monkeypatch, some) -> None:
    monkeypatch.setattr(step, "memory_in_a_process", lambda *_: {"before_mib": 100.0, "peak_mib": 150.4})
    options = step.parsed(["--batches", "1", "--data-dir", str(tmp_path)])
    first, second = step.rows(options, variants.VARIANTS[:2])
    assert (first["model"], second["model"]) == ("plain-lstm", "ptb-small-vd")
    assert first["ratio_to_plain"] == "1.000"
    assert (first["words"], first["batches"]) == ("zipf", 1)
    assert (first["peak_memory_mib"], first["step_memory_mib"]) == ("150", "50")
    assert "plain-lstm" in step.line(first)
    assert tuple(first) == step.COLUMNS


def test_memory_grows_with_the_steps(some) -> None:
    used = step.memory(variants.VARIANTS[0], some)
    assert 0 < used["before_mib"] <= used["peak_mib"]
