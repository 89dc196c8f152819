"""The losses that are compared: stock cross-entropy, the augmented loss as it reads, ours, and others' for a GPU."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from tiedlm.losses.linear import Implementation, linear_augmented_cross_entropy
from tiedlm.native.build import compiler_unavailable

TEMPERATURE, GAMMA = 20.0, 0.65
LIGER, CUT = "liger_kernel", "cut_cross_entropy"
"""Packages that are no dependency of ours: their losses are measured where somebody has installed them."""


@dataclass(frozen=True)
class Case:
    """One size of the problem, with its tensors."""

    rows: int
    words: int
    width: int
    features: Tensor
    classifier: Tensor
    targets: Tensor


def made(rows: int, words: int, width: int, device: str = "cpu", dtype: torch.dtype = torch.float32) -> Case:
    """Return a case with targets as uneven as a text's (Zipf: 360 to 390 of 700 are distinct)."""
    draw = torch.Generator().manual_seed(0)
    features = torch.randn(rows, width, generator=draw).to(device, dtype).requires_grad_()
    classifier = torch.randn(words, width, generator=draw).div_(width**0.5).to(device, dtype).requires_grad_()
    frequencies = (torch.arange(words) + 2.7) ** -1.1
    targets = torch.multinomial(frequencies, rows, True, generator=draw).to(device)
    return Case(rows, words, width, features, classifier, targets)


Loss = Callable[[Case], Tensor]


def stock(case: Case) -> Tensor:
    """Return plain cross-entropy as everybody writes it."""
    return F.cross_entropy(F.linear(case.features, case.classifier), case.targets)


def torch_linear(case: Case) -> Tensor:
    """Return PyTorch's own cross-entropy from features, which by default holds all logits, as the stock one does."""
    return F.linear_cross_entropy(case.features, case.classifier, case.targets)


def torch_chunked(case: Case) -> Tensor:
    """Return the same where it is asked to hold a part of the logits at a time, as many as it picks."""
    options = torch.nn.LinearCrossEntropyOptions()
    return F.linear_cross_entropy(case.features, case.classifier, case.targets, options=options)


def liger(case: Case) -> Tensor:
    """Return the fused cross-entropy of Liger kernels (a GPU's)."""
    theirs = importlib.import_module(f"{LIGER}.transformers.functional")
    return theirs.liger_fused_linear_cross_entropy(case.features, case.classifier, case.targets)


def cut(case: Case, form: str) -> Tensor:
    """Return Apple's cut cross-entropy (a GPU's): `cce` leaves out small gradients, `cce_exact` none."""
    theirs = importlib.import_module(CUT)
    return theirs.linear_cross_entropy(case.features, case.classifier, case.targets, impl=form)


def naive(case: Case, *, detach: bool) -> Tensor:
    """Return the augmented loss as its equations read, with a soft target for every row."""
    logits = F.linear(case.features, case.classifier)
    with torch.set_grad_enabled(not detach):
        target = F.softmax(F.linear(case.classifier[case.targets], case.classifier) / TEMPERATURE, 1)
    divergence = F.kl_div(F.log_softmax(logits / TEMPERATURE, 1), target, reduction="batchmean")
    return F.cross_entropy(logits, case.targets) + GAMMA * TEMPERATURE * divergence


def ours(case: Case, implementation: Implementation, gamma: float, *, detach: bool) -> Tensor:
    """Return the library's loss."""
    return linear_augmented_cross_entropy(
        case.features,
        case.classifier,
        case.targets,
        temperature=TEMPERATURE,
        gamma=gamma,
        detach_target=detach,
        implementation=implementation,
    )


@dataclass(frozen=True)
class Variant:
    """A loss, and which gradient of it."""

    name: str
    gradient: str
    """`plain` cross-entropy; the augmented loss with its target `detached`, or differentiated `through` it."""
    loss: Loss
    large: bool = True
    """Whether it can be run at the largest sizes."""
    devices: tuple[str, ...] = ("cpu", "cuda")
    here: Callable[[], bool] = lambda: True
    """Whether this machine has what it needs."""

    @property
    def label(self) -> str:
        """Return name and gradient in one word."""
        return f"{self.name}/{self.gradient}"

    def runs_on(self, device: str) -> bool:
        """Return whether it can be run on a device of this type here."""
        return device in self.devices and self.here()

    def step(self, case: Case) -> Callable[[], None]:
        """Return one forward and backward pass, with gradients made anew; on a GPU it waits for the end."""

        def step() -> None:
            case.features.grad = case.classifier.grad = None
            self.loss(case).backward()
            if case.features.is_cuda:
                torch.cuda.synchronize()

        return step


def _installed(module: str) -> Callable[[], bool]:
    return lambda: importlib.util.find_spec(module) is not None


def _ours(implementation: Implementation, **where: Any) -> list[Variant]:
    def variant(gradient: str, gamma: float, detach: bool) -> Variant:
        return Variant(implementation, gradient, lambda case: ours(case, implementation, gamma, detach=detach), **where)

    return [variant("plain", 0.0, False), variant("detached", GAMMA, True), variant("through", GAMMA, False)]


VARIANTS = [
    Variant("cross_entropy", "plain", stock),
    Variant("torch_linear", "plain", torch_linear),
    Variant("torch_linear_chunked", "plain", torch_chunked),
    Variant("liger", "plain", liger, devices=("cuda",), here=_installed(LIGER)),
    Variant("cut", "plain", lambda case: cut(case, "cce"), devices=("cuda",), here=_installed(CUT)),
    Variant("cut_exact", "plain", lambda case: cut(case, "cce_exact"), devices=("cuda",), here=_installed(CUT)),
    Variant("naive", "detached", lambda case: naive(case, detach=True), large=False),
    Variant("naive", "through", lambda case: naive(case, detach=False), large=False),
    *_ours("functional", large=False),
    *_ours("chunked"),
    *_ours("compiled", devices=("cpu",), here=lambda: compiler_unavailable() is None),
    *_ours("triton", devices=("cuda",), here=_installed("triton")),
]
"""The first is the one that the others are compared with."""
