"""What every form of the linear augmented loss must satisfy: invariances, shapes, views, partial gradients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from oracles import augmented_loss
from support.compare import assert_close
from support.loss_cases import Loss, Tensors, make, tensors


def check_same(
    left: Tensors,
    right: Tensors,
    implementation: Loss,
    change: Callable[[str, Tensor], Tensor],
    relative: float = 1e-12,
) -> None:
    """Both losses agree, and so do their gradients, once `change` has been made to the left one's."""
    one, two = left.loss(implementation), right.loss(implementation)
    assert_close(one, two, relative, "loss")
    found, truth = left.gradients(one), right.gradients(two)
    for name, gradient in found.items():
        assert_close(change(name, gradient), truth[name], relative, f"gradient of {name}")


def check_order_of_rows(implementation: Loss) -> None:
    """Rows may come in any order: the loss stays, and the gradient of the features follows the rows."""
    problem = make(11, rows=9, tied=False, biased=True, targets=[3, 0, -100, 3, 6, 0, 1, -100, 3])
    order = np.random.default_rng(1).permutation(9)
    moved = replace(problem, features=problem.features[order], targets=problem.targets[order])
    straight = tensors(problem)

    def back(name: str, gradient: Tensor) -> Tensor:
        return gradient[torch.tensor(np.argsort(order))] if name == "features" else gradient

    check_same(tensors(moved), straight, implementation, back)


def check_ignored_rows(implementation: Loss) -> None:
    """Rows with an ignored target might as well not be there."""
    problem = make(12, rows=6, targets=[3, -100, 1, -100, 3, -100], biased=True)
    kept = problem.scored
    short = replace(problem, features=problem.features[kept], targets=problem.targets[kept])
    whole = tensors(problem)
    gradient = whole.gradients(whole.loss(implementation))["features"]
    assert (gradient[[1, 3, 5]] == 0).all()
    check_same(whole, tensors(short), implementation, lambda name, g: g[kept] if name == "features" else g)


def check_all_ignored(implementation: Loss) -> None:
    """A batch without a single target has the loss 0 and gradients of 0, not 0 / 0."""
    problem = make(rows=3, targets=[-100] * 3, tied=False, biased=True)
    for reduction in ("mean", "sum", "none"):
        ours = tensors(problem)
        loss = ours.loss(implementation, reduction=reduction)
        assert (loss == 0).all()
        for gradient in ours.gradients(loss.sum()).values():
            assert (gradient == 0).all()


def check_strided_views(implementation: Loss) -> None:
    """Arrays that are not contiguous, or repeat one row in memory, are read as what they show."""
    problem = make(13, rows=6, words=8, width=4, tied=False, table_width=4, biased=True)
    ours = tensors(problem)
    views = Tensors(
        features=ours.features.detach().repeat_interleave(2, dim=1)[:, ::2].requires_grad_(),
        classifier=ours.classifier.detach().T.contiguous().T.requires_grad_(),
        targets=torch.stack([ours.targets, ours.targets + 1], dim=1)[:, 0],
        table=torch.cat([ours.table, ours.table], dim=1).detach()[:, :4].requires_grad_(),  # pyright: ignore
        bias=ours.bias.detach().repeat_interleave(3)[::3].requires_grad_(),  # pyright: ignore
        options=ours.options,
    )
    assert not any(view.is_contiguous() for view in [*views.leaves.values(), views.targets])
    check_same(views, ours, implementation, lambda _, gradient: gradient)
    row = ours.features.detach()[:1]
    repeated = replace(ours, features=row.expand(6, 4).requires_grad_())
    check_same(repeated, replace(ours, features=row.repeat(6, 1).requires_grad_()), implementation, lambda _, g: g)


def check_windows(implementation: Loss) -> None:
    """Features [T, B, D] with targets [T, B] are the same as T x B rows, and "none" keeps their shape."""
    problem = make(14, rows=6, targets=[3, -100, 1, 5, 3, 0])
    flat = tensors(problem)
    shaped = replace(
        flat, features=flat.features.detach().view(3, 2, 3).requires_grad_(), targets=flat.targets.view(3, 2)
    )
    check_same(shaped, flat, implementation, lambda name, g: g.view(6, 3) if name == "features" else g)
    assert shaped.loss(implementation, reduction="none").shape == (3, 2)


def check_not_finite(implementation: Loss) -> None:
    """A logit that is not a finite number shows in the loss."""
    for gamma, wrong in [(0.0, np.nan), (0.0, np.inf), (0.5, np.nan), (0.5, np.inf), (0.5, -np.inf)]:
        problem = make(15, targets=[1, 2, 3, 4, 5, 6], width=1, gamma=gamma)
        problem.classifier[:] = 1.0
        problem.features[3] = wrong
        for reduction in ("mean", "sum"):
            loss = tensors(problem).loss(implementation, reduction=reduction)
            assert not torch.isfinite(loss), (gamma, wrong, reduction)
    problem = make(16, targets=[0, 0, 0, 0, 0, 0], tied=False)
    assert problem.table is not None
    problem.table[5] = np.inf
    assert not torch.isfinite(tensors(problem).loss(implementation))


def check_tying_by_hand(implementation: Loss) -> None:
    """A classifier that is passed as table too is a tied one, gradient and all."""
    problem = make(17, temperature=2.0)
    one, two = tensors(problem), tensors(problem)
    left, right = one.loss(implementation, table=one.classifier), two.loss(implementation)
    assert_close(left, right, 1e-14)
    found, truth = one.gradients(left), two.gradients(right)
    assert_close(found["classifier"], truth["classifier"], 1e-12)


def check_gradients_asked_for(implementation: Loss) -> None:
    """Any one leaf may ask for a gradient alone, and gets the one it gets in company; without any, there is none."""
    problem = make(18, tied=False, biased=True)
    whole = tensors(problem)
    truth = whole.gradients(whole.loss(implementation))
    for wanted, right in truth.items():
        ours = tensors(problem)
        for name, leaf in ours.leaves.items():
            leaf.requires_grad_(name == wanted)
        for reduction, weights in (("mean", None), ("none", torch.full((6,), 1 / 6, dtype=torch.float64))):
            loss = ours.loss(implementation, reduction=reduction)
            (found,) = torch.autograd.grad(loss, ours.leaves[wanted], weights)
            assert_close(found, right, 1e-12, f"gradient of {wanted} alone ({reduction})")
    for leaf in (ours := tensors(problem)).leaves.values():
        leaf.requires_grad_(False)
    assert not ours.loss(implementation).requires_grad
    with torch.no_grad():
        assert not whole.loss(implementation).requires_grad


def check_backward_twice(implementation: Loss) -> None:
    """A kept graph gives the same gradient again, scaled by what arrives; inputs are left as they were."""
    ours = tensors(make(19, biased=True))
    before = {name: leaf.detach().clone() for name, leaf in ours.leaves.items()}
    loss = ours.loss(implementation)
    leaves = list(ours.leaves.values())
    once = torch.autograd.grad(loss, leaves, retain_graph=True)
    again = torch.autograd.grad(-3 * loss, leaves)
    for left, right in zip(again, once, strict=True):
        assert_close(left, -3 * right, 1e-14)
    for name, leaf in ours.leaves.items():
        assert torch.equal(leaf, before[name])


def check_terms(terms: Callable[..., Any]) -> None:
    """Total = cross-entropy + gamma tau divergence, in every reduction; the two parts carry no gradient."""
    problem = make(20, targets=[3, -100, 1, 5, 3, 0], biased=True, gamma=0.7, temperature=9.0)
    for reduction in ("mean", "sum", "none"):
        ours = tensors(problem)
        found = terms(
            ours.features,
            ours.classifier,
            ours.targets,
            bias=ours.bias,
            gamma=0.7,
            temperature=9.0,
            reduction=reduction,
        )
        plain = replace(problem, gamma=0.0)
        due = augmented_loss.values(plain) if reduction == "none" else augmented_loss.reduced(plain, reduction)
        assert_close(found.cross_entropy, due, 1e-12)
        assert_close(found.total, found.cross_entropy + 0.7 * 9.0 * found.divergence, 1e-14)
        assert found.total.requires_grad
        assert not found.cross_entropy.requires_grad
        assert not found.divergence.requires_grad


def check_contract(implementation: Loss) -> None:
    """Every check above that needs no more than the implementation."""
    check_order_of_rows(implementation)
    check_ignored_rows(implementation)
    check_all_ignored(implementation)
    check_strided_views(implementation)
    check_windows(implementation)
    check_not_finite(implementation)
    check_tying_by_hand(implementation)
    check_gradients_asked_for(implementation)
    check_backward_twice(implementation)
