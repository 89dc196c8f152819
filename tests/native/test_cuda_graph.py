"""A replayed function: its buffers, its results, what it may not read; with a GPU's own capture where there is one."""

from collections.abc import Callable, Sequence
from functools import partial

import pytest
import torch
from torch import Tensor

from support.gpu import GPU, rerun
from tiedlm.errors import ArgumentError
from tiedlm.native.cuda_graph import Captured, CudaGraph, Function, capture

CPU = torch.device("cpu")
CAPTURE = {"cpu": rerun, "cuda": capture}


def scaled_and_summed(values: Tensor, factor: Tensor) -> tuple[Tensor, ...]:
    return values * factor, (values * factor).sum()


@pytest.mark.parametrize("device", ["cpu", GPU])
def test_every_call_works_on_its_own_inputs(device: str) -> None:
    replayed = CudaGraph(scaled_and_summed, torch.device(device), capture=CAPTURE[device])
    first, _ = replayed(torch.tensor([1.0, 4.0]), torch.tensor(3.0))
    for values, factor in ([1.0, 2.0], 3.0), ([5.0, -7.0], 2.0), ([0.5, 0.25], -1.0):
        product, total = replayed(torch.tensor(values), torch.tensor(factor))
        assert first.tolist() == [3.0, 12.0]  # results are the caller's own
        assert product.tolist() == [factor * value for value in values]
        assert total.item() == factor * sum(values)
        assert product.device.type == device


def test_it_is_captured_once_and_runs_at_every_call() -> None:
    captures, runs = [], []

    def capture(function: Function, places: Sequence[Tensor]) -> tuple:
        captures.append(len(places))
        run, results = rerun(function, places)
        return (lambda: (runs.append(1), run())), results

    replayed = CudaGraph(scaled_and_summed, CPU, capture=capture)
    for _ in range(3):
        replayed(torch.ones(2), torch.tensor(2.0))
    assert (captures, len(runs)) == ([2], 1 + 3)  # one to compare


def test_what_cannot_be_captured_is_called() -> None:
    def capture(function: Function, places: Sequence[Tensor]) -> Captured:
        raise RuntimeError("operation not permitted when stream is capturing\nmore of it")

    replayed = CudaGraph(scaled_and_summed, CPU, capture=capture)
    with pytest.warns(UserWarning, match=r"No CUDA graph .* \(operation not permitted when stream is capturing\)"):
        product, _ = replayed(torch.tensor([1.0, 2.0]), torch.tensor(3.0))
    assert (product.tolist(), replayed.is_graph) == ([3.0, 6.0], False)
    product, _ = replayed(torch.tensor([1.0, 2.0]), torch.tensor(5.0))  # no second warning
    assert product.tolist() == [5.0, 10.0]


@pytest.mark.parametrize("wrong", [torch.zeros_like, torch.neg, lambda product: product * torch.nan])
def test_a_wrong_replay_is_not_used(wrong: Callable[[Tensor], Tensor]) -> None:
    def capture(function: Function, places: Sequence[Tensor]) -> Captured:
        run, (product, total) = rerun(function, places)
        return run, (wrong(product), total)

    values, replayed = torch.tensor([[1.0, 2.0], [3.0, 5.0]]), CudaGraph(scaled_and_summed, CPU, capture=capture)
    with pytest.warns(UserWarning, match="result 0 of a replay is off by"):
        product, _ = replayed(values, torch.tensor(3.0))
    assert product.tolist() == [[3.0, 6.0], [9.0, 15.0]]


def test_a_replay_that_writes_nothing_is_not_used() -> None:
    """What was captured may hold the right values from the start, as where another device ran the function."""

    def capture(function: Function, places: Sequence[Tensor]) -> Captured:
        return (lambda: None), function(*places)

    replayed = CudaGraph(scaled_and_summed, CPU, capture=capture)
    with pytest.warns(UserWarning, match="result 0 of a replay is off by nan"):
        product, _ = replayed(torch.tensor([1.0, 2.0]), torch.tensor(3.0))
    assert product.tolist() == [3.0, 6.0]


def test_a_replay_that_leaves_something_else_behind_is_not_used() -> None:
    left = [torch.zeros(1)]

    def function(values: Tensor) -> tuple[Tensor]:
        left[0] = values + 1
        return (values,)

    def capture(function: Function, places: Sequence[Tensor]) -> Captured:
        results = function(*places)
        return partial(left[0].fill_, 0), results  # pyright: ignore[reportReturnType]

    replayed = CudaGraph(function, CPU, lambda: left, capture)
    with pytest.warns(UserWarning, match="result 1 of a replay is off by 3, its largest entry being 3"):
        replayed(torch.tensor([2.0]))
    assert left[0].item() == 3


@pytest.mark.parametrize("other", [torch.ones(3), torch.ones(1, 2)])
def test_other_shapes_are_refused(other: Tensor) -> None:
    replayed = CudaGraph(scaled_and_summed, CPU, capture=rerun)
    replayed(torch.ones(2), torch.tensor(2.0))
    with pytest.raises(ArgumentError, match=r"captured with \[\[2\], \[\]\]"):
        replayed(other, torch.tensor(2.0))
