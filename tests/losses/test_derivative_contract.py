"""The table of `docs/loss.md`: which kinds of derivative each form of the loss gives, and which it refuses."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Replicate, distribute_tensor
from torch.func import grad, jvp, vmap

from support.compare import assert_close
from support.gpu import NEEDS_GPU, needs_a_compiler
from support.processes import alone
from tiedlm.errors import ArgumentError
from tiedlm.losses.augmented import augmented_cross_entropy, linear_augmented_cross_entropy
from tiedlm.losses.vocabulary_parallel import vocabulary_parallel_augmented_cross_entropy

# PyTorch's forward mode warns of its own use of TorchScript
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")

Loss = Callable[..., Tensor]
DRAWS = torch.Generator().manual_seed(0)
FEATURES, CLASSIFIER, TANGENT = (torch.randn(rows, 3, dtype=torch.float64, generator=DRAWS) for rows in (5, 7, 5))
TARGETS = torch.tensor([3, 1, -100, 6, 3])
FORMS: dict[str, Loss] = {
    "functional": partial(linear_augmented_cross_entropy, implementation="functional"),
    "chunked": partial(linear_augmented_cross_entropy, implementation="chunked"),
    "compiled": partial(linear_augmented_cross_entropy, implementation="compiled"),
    "triton": partial(linear_augmented_cross_entropy, implementation="triton"),
    "vocabulary-parallel": partial(vocabulary_parallel_augmented_cross_entropy, words=7),
}
MARKS = {"compiled": needs_a_compiler, "triton": NEEDS_GPU}


def truth(features: Tensor, reduction: str = "mean") -> Tensor:
    return FORMS["functional"](features, CLASSIFIER, TARGETS, reduction=reduction)


def gradient(loss: Loss, features: Tensor) -> Tensor:
    leaf = features.detach().requires_grad_()
    return torch.autograd.grad(loss(leaf), leaf)[0]


def backward(loss: Loss) -> tuple[object, object]:
    assert_close(gradient(loss, FEATURES), gradient(truth, FEATURES), 1e-12)
    leaf = FEATURES.clone().requires_grad_()
    factors = torch.tensor([1.0, -2.5], dtype=torch.float64)
    (batched,) = torch.autograd.grad(loss(leaf), leaf, factors, is_grads_batched=True)
    return batched, factors.view(2, 1, 1) * gradient(truth, FEATURES)


def double_backward(loss: Loss) -> tuple[object, object]:
    hessian = torch.autograd.functional.hessian
    return hessian(loss, FEATURES), hessian(truth, FEATURES)


def forward_mode(loss: Loss) -> tuple[object, object]:
    with forward_ad.dual_level():
        try:
            dual = loss(forward_ad.make_dual(FEATURES, TANGENT))
        except ArgumentError:
            dual = None  # the same must come of jvp
        else:
            assert_close(forward_ad.unpack_dual(dual).tangent, (gradient(truth, FEATURES) * TANGENT).sum(), 1e-12)
    tangent = jvp(loss, (FEATURES,), (TANGENT,))[1]
    assert dual is not None
    return tangent, (gradient(truth, FEATURES) * TANGENT).sum()


def compile(loss: Loss) -> tuple[object, object]:
    compiled = torch.compile(lambda features: 2 * loss(features), fullgraph=True, backend="aot_eager")
    return gradient(compiled, FEATURES), 2 * gradient(truth, FEATURES)


def vmapped(loss: Loss) -> tuple[object, object]:
    both = torch.stack([FEATURES, TANGENT])
    return vmap(loss)(both), torch.stack([truth(FEATURES), truth(TANGENT)])


def func_grad(loss: Loss) -> tuple[object, object]:
    both = torch.stack([FEATURES, TANGENT])
    assert_close(grad(loss)(FEATURES), gradient(truth, FEATURES), 1e-12)
    return vmap(grad(loss))(both), torch.stack([gradient(truth, features) for features in both])


WAYS: dict[str, Callable[[Loss], tuple[object, object]]] = {
    "backward": backward,
    "double backward": double_backward,
    "forward mode": forward_mode,
    "compile": compile,
    "vmap": vmapped,
    "func.grad": func_grad,
}


def cells() -> Iterator[object]:
    """Form, way and what is due of them, from the table in the documentation."""
    page = (Path(__file__).parents[2] / "docs" / "loss.md").read_text()
    header, _, *rows = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("|")]
    assert header == ["form", *WAYS]
    assert [row[0] for row in rows] == list(FORMS)
    for form, *answers in rows:
        for way, answer in zip(WAYS, answers, strict=True):
            yield pytest.param(form, way, answer, marks=MARKS.get(form, ()))


@pytest.mark.parametrize(("form", "way", "answer"), list(cells()))
def test_each_cell_of_the_table(form: str, way: str, answer: str, tmp_path: Path) -> None:
    device = "cuda" if form == "triton" else "cpu"
    classifier, targets = CLASSIFIER.to(device), TARGETS.to(device)

    def loss(features: Tensor) -> Tensor:
        return FORMS[form](features.to(device), classifier, targets).to("cpu")

    with alone(tmp_path):
        if answer == "right":
            assert_close(*WAYS[way](loss), 1e-12)
            return
        assert answer == "refused"
        refusal = "call it outside" if way == "compile" else "use (implementation )?'functional'"
        with pytest.raises(Exception if way == "compile" else ArgumentError, match=refusal):
            WAYS[way](loss)


@pytest.mark.filterwarnings("ignore:The .grad attribute")  # which PyTorch's compiler reads of every input
def test_outside_the_graph_the_vocabulary_parallel_loss_is_right_under_a_compiler(tmp_path: Path) -> None:
    loss: Any = torch.compiler.disable(vocabulary_parallel_augmented_cross_entropy)
    with alone(tmp_path):
        compiled = torch.compile(lambda features: 2 * loss(features, CLASSIFIER, TARGETS, words=7), backend="aot_eager")
        assert_close(gradient(compiled, FEATURES), 2 * gradient(truth, FEATURES), 1e-12)


def test_a_transform_inside_a_compiled_graph_is_refused_too() -> None:
    loss = partial(FORMS["chunked"], classifier=CLASSIFIER, targets=TARGETS)
    for transform in (grad(loss), lambda features: jvp(loss, (features,), (features,))):
        with pytest.raises(Exception, match="use implementation 'functional'"):
            torch.compile(transform, fullgraph=True, backend="eager")(FEATURES)


def test_the_definition_is_traced_with_targets_that_vary() -> None:
    def loss(targets: Tensor) -> Tensor:
        return FORMS["functional"](FEATURES, CLASSIFIER, targets, vocabulary_mask=torch.arange(7) != 5)

    both = torch.stack([TARGETS, TARGETS.flip(0)])
    due = torch.stack([loss(targets) for targets in both])
    assert_close(vmap(loss)(both), due, 1e-12)
    assert_close(torch.compile(loss, fullgraph=True, backend="eager")(both[1]), due[1], 1e-12)
    logits = torch.compile(augmented_cross_entropy, fullgraph=True, backend="eager")
    given = FEATURES @ CLASSIFIER.T, CLASSIFIER[TARGETS.clamp(0)] @ CLASSIFIER.T, TARGETS
    assert_close(logits(*given), augmented_cross_entropy(*given), 1e-12)


@pytest.mark.parametrize("form", ["functional", "chunked", "vocabulary-parallel"])
def test_tensors_spread_over_processes_are_refused_and_their_whole_ones_taken(form: str, tmp_path: Path) -> None:
    with alone(tmp_path):
        mesh = init_device_mesh("cpu", (1,))
        spread = distribute_tensor(CLASSIFIER.clone(), mesh, [Replicate()])
        spread.requires_grad_()
        with pytest.raises(ArgumentError, match=r"classifier is a DTensor.* use classifier\.full_tensor"):
            FORMS[form](FEATURES, spread, TARGETS)
        FORMS[form](FEATURES, spread.full_tensor(), TARGETS).backward()
        leaf = CLASSIFIER.clone().requires_grad_()
        FORMS["functional"](FEATURES, leaf, TARGETS).backward()
        assert isinstance(spread.grad, DTensor)
        assert_close(spread.grad.full_tensor(), leaf.grad, 1e-12)
