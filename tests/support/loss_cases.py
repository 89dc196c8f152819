"""Losses to work out: drawn by hypothesis or made from a seed, as numpy problems for the oracle and tensors for us."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

from oracles.augmented_loss import Problem

Loss = Callable[..., Tensor]
"""`linear_augmented_cross_entropy` of any implementation."""


@dataclass(frozen=True)
class Tensors:
    """A problem as leaf tensors that ask for gradients, and the keyword arguments that are not tensors."""

    features: Tensor
    classifier: Tensor
    targets: Tensor
    table: Tensor | None
    bias: Tensor | None
    options: dict[str, Any] = field(default_factory=dict)

    def loss(self, function: Loss, /, **options: Any) -> Tensor:
        everything = {"table": self.table, "bias": self.bias, **self.options, **options}
        return function(self.features, self.classifier, self.targets, **everything)

    @property
    def leaves(self) -> dict[str, Tensor]:
        named = {name: getattr(self, name) for name in ("features", "classifier", "table", "bias")}
        return {name: tensor for name, tensor in named.items() if tensor is not None}

    def gradients(self, loss: Tensor, weights: Tensor | None = None) -> dict[str, Tensor]:
        """The gradient of `loss` by every leaf, zero where a leaf has no part in it."""
        found = torch.autograd.grad(loss, list(self.leaves.values()), weights, allow_unused=True)
        pairs = zip(self.leaves.items(), found, strict=True)
        return {name: torch.zeros_like(leaf) if gradient is None else gradient for (name, leaf), gradient in pairs}


def tensors(problem: Problem, dtype: torch.dtype = torch.float64) -> Tensors:
    """Return the problem as tensors of `dtype`."""

    def leaf(values: np.ndarray | None) -> Tensor | None:
        return None if values is None else torch.tensor(values, dtype=dtype).requires_grad_()

    features, classifier = leaf(problem.features), leaf(problem.classifier)
    assert features is not None
    assert classifier is not None
    names = ("temperature", "gamma", "ignore_index")
    options: dict[str, Any] = {name: getattr(problem, name) for name in names}
    options["center_table"] = problem.centred
    options["vocabulary_mask"] = None if problem.allowed is None else torch.tensor(problem.allowed)
    options["token_weights"] = None if problem.weights is None else torch.tensor(problem.weights, dtype=dtype)
    targets = torch.tensor(problem.targets)
    return Tensors(features, classifier, targets, leaf(problem.table), leaf(problem.bias), options)


def rounded(problem: Problem, dtype: torch.dtype) -> Problem:
    """Return the problem with its arrays rounded to `dtype`, so that a truth of it holds for tensors of `dtype`."""

    def cut(values: np.ndarray | None) -> np.ndarray | None:
        return None if values is None else torch.tensor(values).to(dtype).to(torch.float64).numpy()

    arrays = {name: cut(getattr(problem, name)) for name in ("features", "classifier", "table", "bias")}
    return Problem(**{**vars(problem), **arrays})


def make(
    seed: int = 0,
    *,
    rows: int = 6,
    words: int = 7,
    width: int = 3,
    tied: bool = True,
    table_width: int = 4,
    biased: bool = False,
    size: float = 1.0,
    targets: list[int] | None = None,
    **numbers: Any,
) -> Problem:
    """Return a problem with normal entries of standard deviation `size`; with no `targets`, they are drawn."""
    draw = np.random.default_rng(seed)
    features, classifier = size * draw.normal(size=(rows, width)), size * draw.normal(size=(words, width))
    table, bias = size * draw.normal(size=(words, table_width)), draw.normal(size=words)
    drawn = draw.integers(0, words, size=rows)
    return Problem(
        features=features,
        classifier=classifier,
        targets=drawn if targets is None else np.array(targets, dtype=np.int64),
        table=None if tied else table,
        bias=bias if biased else None,
        **numbers,
    )


TARGETS = ["drawn", "one word", "all different", "some ignored", "all ignored"]


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    """Problems of odd sizes: tied or not, biased or not, few or many distinct targets, mild to hard temperature."""
    rows, words = draw(st.integers(1, 9)), draw(st.integers(2, 11))
    seed, ignore_index = draw(st.integers(0, 2**31)), draw(st.sampled_from([-100, -1]))
    kind = draw(st.sampled_from(TARGETS))
    if kind == "all different":
        words = max(words, rows)
    targets = target_list(kind, np.random.default_rng(seed), rows, words, ignore_index)
    return make(
        seed,
        rows=rows,
        words=words,
        width=draw(st.integers(1, 5)),
        tied=draw(st.booleans()),
        table_width=draw(st.integers(1, 5)),
        biased=draw(st.booleans()),
        size=draw(st.sampled_from([0.3, 1.0, 3.0])),
        targets=targets,
        temperature=draw(st.sampled_from([0.5, 1.0, 3.7, 20.0, 1000.0])),
        gamma=draw(st.sampled_from([0.0, 0.5, 1.5])),
        ignore_index=ignore_index,
        allowed=draw(st.sampled_from([None, _allowed(seed, words, targets)])),
        centred=draw(st.booleans()),
        weights=draw(st.sampled_from([None, np.random.default_rng(seed).choice([0.0, 0.5, 1.0, 2.0], size=rows)])),
    )


def _allowed(seed: int, words: int, targets: list[int]) -> tuple[bool, ...]:
    """Return about half of the words, and all targets."""
    drawn = np.random.default_rng(seed).random(words) < 0.5
    return tuple(bool(drawn[word]) or word in targets for word in range(words))


def target_list(kind: str, draw: np.random.Generator, rows: int, words: int, ignore_index: int) -> list[int]:
    """Return targets of one of the kinds in `TARGETS`."""
    ids = draw.integers(0, words, size=rows)
    if kind == "one word":
        ids[:] = ids[0]
    elif kind == "all different":
        ids = draw.permutation(words)[:rows]
    elif kind == "some ignored":
        ids[draw.random(rows) < 0.5] = ignore_index
    elif kind == "all ignored":
        ids[:] = ignore_index
    return [int(word) for word in ids]
