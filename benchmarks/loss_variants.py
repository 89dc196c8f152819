"""The losses that are compared: stock cross-entropy, the augmented loss as it reads, and ours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from tiedlm.losses.linear import Implementation, linear_augmented_cross_entropy

TEMPERATURE, GAMMA = 20.0, 0.65


@dataclass(frozen=True)
class Case:
    """One size of the problem, with its tensors."""

    rows: int
    words: int
    width: int
    features: Tensor
    classifier: Tensor
    targets: Tensor


def made(rows: int, words: int, width: int) -> Case:
    """Return a case with targets as uneven as a text's (Zipf: 360 to 390 of 700 are distinct)."""
    draw = torch.Generator().manual_seed(0)
    features = torch.randn(rows, width, generator=draw).requires_grad_()
    classifier = (torch.randn(words, width, generator=draw) / width**0.5).requires_grad_()
    frequencies = (torch.arange(words) + 2.7) ** -1.1
    return Case(rows, words, width, features, classifier, torch.multinomial(frequencies, rows, True, generator=draw))


Loss = Callable[[Case], Tensor]


def stock(case: Case) -> Tensor:
    """Return plain cross-entropy as everybody writes it."""
    return F.cross_entropy(F.linear(case.features, case.classifier), case.targets)


def torch_linear(case: Case) -> Tensor:
    """Return PyTorch's own cross-entropy from features, which holds a part of the logits at a time."""
    return F.linear_cross_entropy(case.features, case.classifier, case.targets)


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
    """Whether it can be run at the largest size."""

    @property
    def label(self) -> str:
        """Return name and gradient in one word."""
        return f"{self.name}/{self.gradient}"

    def step(self, case: Case) -> Callable[[], None]:
        """Return one forward and backward pass, with gradients made anew."""

        def step() -> None:
            case.features.grad = case.classifier.grad = None
            self.loss(case).backward()

        return step


def _ours(implementation: Implementation) -> list[Variant]:
    return [
        Variant(implementation, "plain", lambda case: ours(case, implementation, 0.0, detach=False)),
        Variant(implementation, "detached", lambda case: ours(case, implementation, GAMMA, detach=True)),
        Variant(implementation, "through", lambda case: ours(case, implementation, GAMMA, detach=False)),
    ]


VARIANTS = [
    Variant("cross_entropy", "plain", stock),
    Variant("torch_linear_cross_entropy", "plain", torch_linear),
    Variant("naive", "detached", lambda case: naive(case, detach=True), large=False),
    Variant("naive", "through", lambda case: naive(case, detach=False), large=False),
    *_ours("chunked"),
    *_ours("compiled"),
]
"""The first is the one that the others are compared with."""
