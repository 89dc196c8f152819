"""Losses to work out, and what ties every form of the loss to the truth: the oracle, differences, invariances."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from hypothesis import strategies as st
from torch import Tensor

from oracles import augmented_loss
from oracles.augmented_loss import Problem
from support.compare import Call, assert_close, error, operator_recorded

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


# ---- against the truth


def check_oracle(implementation: Loss, problem: Problem, relative: float = 1e-12, **options: Any) -> None:
    """Value and all gradients, of a weighted sum, a sum and a mean, against the loops over tokens and words."""
    detach = options.get("detach_target", False)
    weights = {reduction: augmented_loss.token_weights(problem, reduction) for reduction in ("mean", "sum")}
    weights["none"] = np.random.default_rng(0).normal(size=len(problem.targets))
    losses = augmented_loss.values(problem)
    for reduction, weight in weights.items():
        ours = tensors(problem)
        loss = ours.loss(implementation, reduction=reduction, **options)
        own = 1.0 if problem.weights is None else problem.weights
        due = own * losses if reduction == "none" else weight @ losses
        rounding = value_bits(problem) * max(1.0, float(np.abs(weight).sum()))
        assert_close(loss, due, relative, f"loss ({reduction})", rounding=rounding)
        truth = augmented_loss.gradients(problem, weight * own if reduction == "none" else weight, detach_target=detach)
        arriving = torch.tensor(weight) if reduction == "none" else None
        check_gradients(ours.gradients(loss, arriving), truth, relative, gradient_bits(problem, weight))


def check_gradients(
    found: dict[str, Tensor], truth: augmented_loss.Gradients, relative: float, rounding: float = 0.0
) -> None:
    """Every gradient against the oracle's, each relative to its own scale."""
    for name, gradient in found.items():
        assert_close(gradient, getattr(truth, name), relative, f"gradient of {name}", rounding=rounding)


def value_bits(problem: Problem, dtype: torch.dtype = torch.float64) -> float:
    """The error that the last bits of the logarithms make in the loss of one token, as an absolute size.

    The divergence is what logarithms of about log V and logits / tau leave of one another; it counts gamma tau times.
    """
    logarithm = 1 + math.log(len(problem.classifier))
    tau = problem.temperature
    return (
        2 * torch.finfo(dtype).eps * (1 + problem.gamma * tau) * (logarithm + largest_logit(problem) * max(1, 1 / tau))
    )


def gradient_bits(problem: Problem, weights: np.ndarray) -> float:
    """The error that the last bits of probabilities and logits make in a gradient, as an absolute size.

    A probability near 1 less its target is 0 up to the last bits of 1, and a logit has the last bits of its products'
    sum; a gradient is that times weight, gamma and the entries of an array.
    """
    arrays = (problem.features, problem.classifier, problem.teacher_table)
    entries = max(1.0, *(float(np.abs(array).max()) for array in arrays))
    largest = 1 + largest_logit(problem) * max(1, 1 / problem.temperature)
    return torch.finfo(torch.float64).eps * float(np.abs(weights).sum()) * (1 + problem.gamma) * largest * entries


def largest_logit(problem: Problem) -> float:
    """The largest sum of absolute products behind any logit, the student's or the teacher's."""
    table = problem.teacher_table
    logits = np.abs(problem.features) @ np.abs(problem.classifier).T
    return float(max(logits.max(), (np.abs(table) @ np.abs(table).T).max()))


STEP = 1e-6
"""Of finite differences."""


def check_gradcheck(implementation: Loss, problem: Problem, absolute: float = 1e-9, **options: Any) -> None:
    """Autograd against finite differences, of the mean and of the separate losses."""
    ours = tensors(problem)
    names, leaves = list(ours.leaves), list(ours.leaves.values())
    for reduction in ("mean", "none"):

        def function(*arrays: Tensor, reduction: str = reduction) -> Tensor:
            moved = replace(ours, **dict(zip(names, arrays, strict=True)))
            return moved.loss(implementation, reduction=reduction, **options)

        assert torch.autograd.gradcheck(function, leaves, eps=STEP, atol=absolute, rtol=1e-6)


def difference_bits(problem: Problem) -> float:
    """The error of a finite difference, as an absolute size: last bits of the loss over the step, and its curvature.

    The loss bends most where a probability turns over, which it does within 1 or tau of a logit: its third derivative
    is some multiple of the third power of what a logit moves by in these units, per unit of an entry.
    """
    weight = 1.0 if problem.weights is None else max(1.0, float(problem.weights.max()))
    arrays = (problem.features, problem.classifier, problem.teacher_table)
    entries = max(1.0, *(float(np.abs(array).max()) for array in arrays))
    tau = problem.temperature
    bent = entries**3 + problem.gamma * tau * (entries / tau) ** 3 * (1 + largest_logit(problem) / tau)
    return weight * (value_bits(problem) / STEP + STEP**2 * bent) + 1e-9


def check_near_certain_and_extreme(implementation: Loss, logit: float, dtype: torch.dtype, relative: float) -> None:
    """Logits of +-`logit`: values and gradients are finite, and right on the scale of what they are made of."""
    classifier = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.5, 0.5]]) * logit**0.5
    features = np.array([[1.0, 0.0], [1.0, 0.0], [-0.5, 1.0], [0.0, -1.0]]) * logit**0.5
    problem = Problem(features=features, classifier=classifier, targets=np.array([0, 2, 1, 3]))
    problem = rounded(problem, dtype)
    ours = tensors(problem, dtype)
    loss = ours.loss(implementation, reduction="none")
    assert_close(loss, augmented_loss.values(problem), relative, "loss")
    found = ours.gradients(loss, torch.ones_like(loss))
    check_gradients(found, augmented_loss.gradients(problem, np.ones(4)), relative)


def check_float32(implementation: Loss, problem: Problem) -> None:
    """In float32 the separate losses and all gradients are right to a few last bits of what they are made of."""
    problem = rounded(problem, torch.float32)
    weights = augmented_loss.token_weights(problem, "mean")
    ours = tensors(problem, torch.float32)
    each = ours.loss(implementation, reduction="none")
    rounding, eps = value_bits(problem, torch.float32), torch.finfo(torch.float32).eps
    assert each.dtype == torch.float32
    assert_close(each, augmented_loss.values(problem), 1e-6, "loss", rounding=rounding)
    truth = augmented_loss.gradients(problem, weights)
    loss = ours.loss(implementation)
    assert_close(loss, weights @ augmented_loss.values(problem), 1e-6, "mean loss", rounding=rounding)
    check_gradients(ours.gradients(loss), truth, 2e-6 + eps * problem.temperature)


def check_bfloat16_autocast(implementation: Loss, problem: Problem) -> None:
    """Under autocast the products are bfloat16 and the rest float32; no worse than stock cross-entropy is there."""
    problem = rounded(problem, torch.float32)
    stock = replace(problem, table=None, gamma=0.0)
    with torch.autocast("cpu", torch.bfloat16):
        ours, theirs = tensors(problem, torch.float32), tensors(stock, torch.float32)
        with operator_recorded() as recorder:
            loss = ours.loss(implementation)
            found = ours.gradients(loss)
        logits = F.linear(theirs.features, theirs.classifier)
        stock_loss = F.cross_entropy(logits if theirs.bias is None else logits + theirs.bias, theirs.targets)
    _check_bfloat16_operators(recorder.calls)
    assert loss.dtype == torch.float32
    weights = augmented_loss.token_weights(problem, "mean")
    yardstick = _errors(theirs.gradients(stock_loss), augmented_loss.gradients(stock, weights))
    errors = _errors(found, augmented_loss.gradients(problem, weights))
    for name in ("features", "classifier"):
        assert found[name].dtype == torch.float32
        assert errors[name] <= 1.5 * yardstick[name], (name, errors, yardstick)
    assert errors.get("table", 0.0) <= 2**-7
    due, stock_due = (augmented_loss.reduced(one, "mean") for one in (problem, stock))
    assert error(loss, due) <= 1.5 * error(stock_loss, stock_due) + 2**-12  # either may be right by luck


def check_low_precision_tables(implementation: Loss, problem: Problem, dtype: torch.dtype) -> None:
    """Tables of 16 bits, without autocast: a float32 loss, and gradients of their type, right to its last bits."""
    problem = rounded(problem, dtype)
    ours = tensors(problem, dtype)
    loss = ours.loss(implementation)
    assert loss.dtype == torch.float32
    eps = torch.finfo(dtype).eps
    assert_close(loss, augmented_loss.reduced(problem, "mean"), 2 * eps)
    truth = augmented_loss.gradients(problem, augmented_loss.token_weights(problem, "mean"))
    for name, gradient in ours.gradients(loss).items():
        assert gradient.dtype == dtype
        assert_close(gradient, getattr(truth, name), 2 * eps, f"gradient of {name}")


def _check_bfloat16_operators(calls: list[Call]) -> None:
    products = [call for call in calls if any(name in call.name for name in ("aten.mm", "aten.addmm"))]
    assert products
    assert all(call.dtypes == {torch.bfloat16} for call in products), products
    rest = [call for call in calls if any(name in call.name for name in ("softmax", "exp", "log", "sum", "mul", "div"))]
    assert rest
    assert all(torch.bfloat16 not in call.dtypes for call in rest), rest


def _errors(found: dict[str, Tensor], truth: augmented_loss.Gradients) -> dict[str, float]:
    return {name: error(gradient, getattr(truth, name)) for name, gradient in found.items()}


# ---- what every form keeps to


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
