"""Processes that work together over `torch.distributed`, or the test's own; losses and trainings that they share."""

import itertools
import json
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import asdict, replace
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor
from torch.multiprocessing.spawn import start_processes

from oracles.augmented_loss import Problem
from support.compare import Recorder
from support.losses import Tensors, make, tensors
from support.small_text import small_config
from tiedlm.config import from_json, to_json
from tiedlm.errors import TiedlmError
from tiedlm.losses.vocabulary_parallel import shard_of, vocabulary_parallel_augmented_cross_entropy
from tiedlm.native.ranks import Ranks
from tiedlm.runs.config import LossConfig, RunConfig
from tiedlm.runs.folder import RunFolder
from tiedlm.training import loop, step
from tiedlm.training.display import SilentDisplay
from tiedlm.training.loop import Trainer
from tiedlm.training.start import create_run, restore_run

SECONDS = 600
"""Long enough for a machine that does other things too; a lost rank is noticed by the others after half of it."""

Work = Callable[[Path, int], None]
"""What a rank does, given a folder for its results and its number; to be found by its name from another process."""


def run(work: Work, ranks: int, folder: Path) -> None:
    """Start that many processes, have each do the work as a rank of one group, and wait; an error of any is raised."""
    known = multiprocessing.get_all_start_methods()
    method = "forkserver" if "forkserver" in known else "spawn"  # the former imports torch once for all of them
    if method == "forkserver":
        multiprocessing.set_forkserver_preload(["torch", "torch.distributed", "numpy"])
    context = start_processes(_rank, (work, ranks, folder), ranks, join=False, start_method=method)
    assert context is not None
    deadline = time.monotonic() + SECONDS
    try:
        while not context.join(timeout=5):
            assert time.monotonic() < deadline, "a rank did not end"
    finally:
        for process in filter(None, context.processes):
            process.kill()


def _rank(rank: int, work: Work, ranks: int, folder: Path) -> None:
    torch.set_num_threads(1)
    with _group(folder, rank, ranks):
        work(folder, rank)


def alone(folder: Path) -> AbstractContextManager[None]:
    """Within the block this process is the only one of its group."""
    return _group(folder, 0, 1)


@contextmanager
def _group(folder: Path, rank: int, ranks: int) -> Iterator[None]:
    meeting = (folder / "meeting").as_uri()
    patience = timedelta(seconds=SECONDS / 2)
    dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=ranks, timeout=patience)
    try:
        yield
    finally:
        dist.destroy_process_group()


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


# ---- vocabulary-parallel losses that three ranks work out, all together and two of them

RANKS = {"three": (0, 1, 2), "two": (1, 2)}
"""The groups, as ranks of the three processes; in the second each has another number than among all."""
REDUCTIONS = ("mean", "sum", "none")
TARGETS = [4, 9, -100, 0, 4, 10, 3, -100, 4, 7, 0, 10, 5]
Results = dict[str, Any]


def cases() -> dict[str, tuple[Problem, dict[str, Any]]]:
    """Problems of 11 words, which neither two nor three ranks share evenly, and of 3; with options for the call."""
    found: dict[str, tuple[Problem, dict[str, Any]]] = {}
    for tied, biased, detach in itertools.product((True, False), repeat=3):
        problem = make(1, rows=13, words=11, width=5, tied=tied, biased=biased, targets=TARGETS, temperature=2.0)
        name = f"{'tied' if tied else 'untied'}{' biased' if biased else ''}{' detached' if detach else ''}"
        found[name] = problem, {"detach_target": detach, "chunk_rows": 5}
    sizes: dict[str, Any] = {"rows": 13, "words": 11, "width": 5}
    found["plain cross-entropy"] = make(2, **sizes, biased=True, targets=TARGETS, gamma=0.0), {"chunk_rows": 4}
    found["a row at a time"] = make(3, **sizes, tied=False, biased=True, targets=TARGETS), {"chunk_rows": 1}
    found["one target"] = make(4, **sizes, targets=[7] * 13, temperature=3.0), {}
    found["nothing counts"] = make(5, **sizes, biased=True, targets=[-100] * 13), {}
    found["a word for each of three"] = make(6, rows=5, words=3, width=2, biased=True, temperature=1.0), {}
    allowed = tuple(word in TARGETS for word in range(11))
    masked = {"allowed": tuple(word in (0, 3, 4) for word in range(11)), "temperature": 2.0}
    found["mask that leaves one rank without a word"] = make(10, **sizes, targets=[4, 0, 3] * 4 + [0], **masked), {}
    centred = {"centred": True, "allowed": allowed, "targets": TARGETS, "temperature": 2.0, "size": 0.7}
    found["centred"], found["centred untied"] = (
        (make(11, **sizes, tied=tied, biased=True, **centred), {"chunk_rows": 6}) for tied in (True, False)
    )
    weights = np.array([0.5, 2, 1, 0, 1, 3, 1, 1, 0, 1, 2, 1, 1])
    found["weighted"] = make(12, **sizes, biased=True, targets=TARGETS, weights=weights), {"chunk_rows": 5}
    found["large logits"] = make(7, **sizes, tied=False, size=5.0, temperature=1.0), {}
    found["high temperature"] = make(8, **sizes, temperature=1000.0, gamma=1.5), {"chunk_rows": 8}
    return found


def arriving(problem: Problem) -> np.ndarray:
    """The weight of each loss in the sum that is differentiated where the reduction is "none"."""
    return np.random.default_rng(0).normal(size=len(problem.targets))


def shard(problem: Problem, rank: int, ranks: int, dtype: torch.dtype = torch.float64) -> Tensors:
    """The problem's tensors with a rank's rows of each table."""
    whole, held = tensors(problem, dtype), shard_of(len(problem.classifier), rank, ranks)

    def cut(table: Tensor | None) -> Tensor | None:
        return None if table is None else table.detach()[held.start : held.stop].clone().requires_grad_()

    classifier = cut(whole.classifier)
    assert classifier is not None
    mask = whole.options["vocabulary_mask"]
    mask = None if mask is None else mask[held.start : held.stop]
    options = {**whole.options, "words": len(problem.classifier), "vocabulary_mask": mask}
    return replace(whole, classifier=classifier, table=cut(whole.table), bias=cut(whole.bias), options=options)


def work(folder: Path, rank: int) -> None:
    """What each of three processes does."""
    pair = dist.new_group([1, 2])
    found: Results = {"outside": refusal(lambda: computed(make(), 0, 1, group=pair)) if rank == 0 else ""}
    for name, call in refused_calls(rank).items():
        found[f"refused/{name}"] = refusal(call)
    found |= worked_out("three", rank, 3, None)
    if rank in RANKS["two"]:
        found |= worked_out("two", rank - 1, 2, pair)
    found |= with_a_reduction_left_out(rank)
    found["largest"] = largest_array(rank)
    np.savez(folder / f"{rank}.npz", **found)


def worked_out(world: str, rank: int, ranks: int, group: Any) -> Results:
    found: Results = {}
    for name, (problem, options) in cases().items():
        if ranks > len(problem.classifier):
            continue
        for reduction in REDUCTIONS:
            results = computed(problem, rank, ranks, group=group, reduction=reduction, **options)
            found |= {f"{world}/{name}/{reduction}/{key}": value for key, value in results.items()}
    return found


def computed(problem: Problem, rank: int, ranks: int, **options: Any) -> Results:
    ours = shard(problem, rank, ranks)
    loss = ours.loss(vocabulary_parallel_augmented_cross_entropy, **options)
    weights = torch.tensor(arriving(problem)) if options.get("reduction") == "none" else None
    gradients = ours.gradients(loss, weights)
    return {"loss": loss.detach().numpy(), **{name: gradient.numpy() for name, gradient in gradients.items()}}


def refused_calls(rank: int) -> dict[str, Callable[[], Any]]:
    """Calls of three ranks of which one, the last, is wrong or unlike the others."""
    last, problem = rank == 2, make(words=11, targets=[1, 10, 3, 4, 5, 6])
    other = replace(problem, targets=problem.targets[::-1].copy())
    heavy, light = (replace(problem, weights=np.full(6, weight)) for weight in (2.0, 1.0))
    forbidding = replace(problem, allowed=(True,) * 10 + (False,))

    def frozen() -> Any:
        ours = shard(problem, rank, 3)
        ours.features.requires_grad_(not last)
        return ours.loss(vocabulary_parallel_augmented_cross_entropy)

    def broken() -> Any:
        ours = replace(shard(problem, rank, 3), options={"words": None if last else 11})
        return ours.loss(vocabulary_parallel_augmented_cross_entropy)

    return {
        "another's rows": lambda: computed(problem, 0 if last else rank, 3),
        "another temperature": lambda: computed(problem, rank, 3, temperature=3.0 if last else 2.0),
        "other targets": lambda: computed(other if last else problem, rank, 3),
        "other weights": lambda: computed(heavy if last else light, rank, 3),
        "a forbidden target": lambda: computed(forbidding, rank, 3),
        "another reduction": lambda: computed(problem, rank, 3, reduction="sum" if last else "mean"),
        "fewer gradients": frozen,
        "no number of words": broken,
    }


def refusal(call: Callable[[], Any]) -> str:
    try:
        call()
    except (TiedlmError, TypeError, KeyboardInterrupt) as error:
        return f"{type(error).__name__}: {error}"
    return "not refused"


THROUGH = make(9, rows=8, words=11, width=4, temperature=2.0)
"""Tied and in one chunk, so that each kind of reduction happens once."""


def with_a_reduction_left_out(rank: int) -> Results:
    """`THROUGH` as it comes out where no rank takes part in the n-th reduction, for each n."""
    whole = dist.all_reduce
    with mock.patch.object(dist, "all_reduce", side_effect=whole) as counted:
        computed(THROUGH, rank, 3)
    found: Results = {"reductions": counted.call_count}
    for left_out in range(counted.call_count):
        numbers = itertools.count()

        def partly(*arguments: Any, numbers: Any = numbers, left_out: int = left_out) -> Any:
            return None if next(numbers) == left_out else whole(*arguments)

        with mock.patch.object(dist, "all_reduce", partly):
            found |= {f"left out/{left_out}/{key}": value for key, value in computed(THROUGH, rank, 3).items()}
    return found


def largest_array(rank: int) -> int:
    """Entries of the largest array that a rank makes for 40 rows at a time of 211 words."""
    ours = shard(make(4, rows=100, words=211, width=5, biased=True), rank, 3)
    with Recorder() as recorder:
        ours.gradients(ours.loss(vocabulary_parallel_augmented_cross_entropy, chunk_rows=40))
    return recorder.largest


# ---- trainings over two processes, and what each writes down; the same in one, to compare with

STEPS, WORDS = 50, 5
"""So many windows of so many words, which are less than one epoch."""
KINDS = {"float32": torch.float32, "float64": torch.float64, "untied": torch.float64}
"""What is trained: the config, in float64 with weight decay; and the untied network with cross-entropy, whose words'
gradient is sparse, without a mask on its input."""


def write_config(folder: Path) -> RunConfig:
    config = small_config(folder / "text")
    training = replace(config.training, epochs=2, steps=20, learning_rate=1.0, clip_norm=0.7)
    config = replace(config, training=training, runtime=replace(config.runtime, save_seconds=300.0))
    (folder / "config.json").write_text(json.dumps(to_json(config)))
    return config


def read_config(folder: Path) -> RunConfig:
    return from_json(RunConfig, json.loads((folder / "config.json").read_text()))


def weights_after_steps(folder: Path, run: str, kind: str, ranks: Ranks) -> dict[str, np.ndarray]:
    """Weights and carried state of all streams after `STEPS` windows."""
    config, cache = read_config(folder), folder / "cache"
    if kind == "float64":
        config = replace(config, training=replace(config.training, weight_decay=1e-2))
    if kind == "untied":
        config = replace(config, model=replace(config.model, tied=False, keep_input=1.0), loss=LossConfig())
    ranks.on_rank0(lambda: create_run(config, folder / run, None, None, cache))
    run_folder = RunFolder.open(folder / run)
    state = restore_run(run_folder, None, cache)
    state.model.to(KINDS[kind])
    state.carried = state.model.initial_state(config.training.streams)
    trainer = Trainer(run_folder, state, SilentDisplay(), ranks)
    for inputs, targets in islice(trainer.streams.windows(WORDS), STEPS):
        trainer.train_window(inputs, targets)
    carried = [trainer.shard.gather(part) for part in trainer.state.carried]
    found = {name: weight.numpy() for name, weight in state.model.state_dict().items()}
    sums = [trainer.state.progress.loss_sum, trainer.state.progress.cross_entropy_sum]
    return {**found, "h": carried[0].numpy(), "c": carried[1].numpy(), "sums": np.array(sums)}


def train(folder: Path, run: str, ranks: Ranks, **changes: Any) -> RunFolder:
    config = read_config(folder)
    config = replace(config, **{name: value for name, value in changes.items() if name != "training"})
    config = replace(config, training=replace(config.training, **changes.get("training", {})))
    return loop.train(config, folder / run, cache_dir=folder / "cache", display=SilentDisplay(), ranks=ranks)


def resume(folder: Path, run: str, ranks: Ranks) -> RunFolder:
    return loop.resume(folder / run, cache_dir=folder / "cache", display=SilentDisplay(), ranks=ranks)


def at_window(epoch: int, window: int, act: Callable[[], object]) -> Any:
    """A patch of the loop that does something just before a window is trained."""
    whole = Trainer.train_window

    def watched(trainer: Trainer, inputs: Any, targets: Any) -> None:
        if (trainer.state.progress.epoch, trainer.state.progress.window) == (epoch, window):
            act()
        whole(trainer, inputs, targets)

    return mock.patch.object(Trainer, "train_window", watched)


def train_together(folder: Path, rank: int) -> None:
    """What each of two processes does."""
    ranks, last = Ranks.from_group(None), rank == 1
    for kind in KINDS:
        found: dict[str, Any] = weights_after_steps(folder, f"steps-{kind}", kind, ranks)
        np.savez(folder / f"{kind}-{rank}.npz", **found)
    train(folder, "whole", ranks)
    refusals = {
        "another seed": refusal(lambda: train(folder, "none", ranks, seed=rank)),
        "five streams": refusal(lambda: train(folder, "none", ranks, training={"streams": 5})),
        "too short a text": refusal(lambda: train(folder, "none", ranks, training={"steps": 100_000})),
        "a folder that is there": refusal(lambda: train(folder, "whole", ranks)),
        "no folder": refusal(lambda: resume(folder, "none", ranks)),
        "one that resumes": refusal(lambda: (resume if last else train)(folder, "whole", ranks)),
        "stopped by the last": stopped(folder, "stopped-by-the-last", ranks, at=(1, 5), by=1),
        "stopped by the first": stopped(folder, "stopped-by-the-first", ranks, at=(2, 3), by=0),
        "not a number": not_a_number(folder, ranks),
    }
    (folder / f"refusals-{rank}.json").write_text(json.dumps(refusals))


def stopped(folder: Path, run: str, ranks: Ranks, *, at: tuple[int, int], by: int) -> str:
    """Train until one rank is asked to stop, then go on to the end; return what the first training ended with."""
    with ExitStack() as patches:
        if ranks.rank == by:
            patches.enter_context(at_window(*at, lambda: os.kill(os.getpid(), signal.SIGTERM)))
        ended = refusal(lambda: train(folder, run, ranks))
    ranks.on_rank0(
        lambda: (folder / f"{run}.json").write_text(json.dumps(asdict(RunFolder.open(folder / run).record.progress)))
    )
    resume(folder, run, ranks)
    return ended


def not_a_number(folder: Path, ranks: Ranks) -> str:
    """Train until the last rank's loss is not a number, then go on; return what the first training ended with."""
    whole = vars(step)["linear_augmented_terms"]

    def poisoned(*arguments: Any, **options: Any) -> Any:
        terms = whole(*arguments, **options)
        return terms._replace(total=terms.total * float("nan"))

    with ExitStack() as patches:
        if ranks.rank == 1:
            fault = mock.patch.object(step, "linear_augmented_terms", poisoned)
            patches.enter_context(at_window(1, 6, fault.start))
            patches.callback(fault.stop)
        ended = refusal(lambda: train(folder, "not-a-number", ranks))
    resume(folder, "not-a-number", ranks)
    return ended


def killed(folder: Path, rank: int) -> None:
    """Train, saving now and then, until the last rank is killed; the first says how it ended."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # which the first is sent once the last has died
    with at_window(2, 4, lambda: os.kill(os.getpid(), signal.SIGKILL) if rank == 1 else None):
        runtime = replace(read_config(folder).runtime, save_seconds=0.05)
        ended = refusal(lambda: train(folder, "killed", Ranks.from_group(None), runtime=runtime))
    (folder / f"refusals-{rank}.json").write_text(json.dumps(ended))


def go_on(folder: Path, rank: int) -> None:
    resume(folder, "killed", Ranks.from_group(None))
