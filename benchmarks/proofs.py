"""The losses against the oracle's loops over tokens and words, and against finite differences, on many drawn problems.

    python benchmarks/proofs.py --examples 1000 --gradchecks 500

The problems are those of the tests: odd sizes, tied or not, biased or not, one distinct target or all different,
ignored targets, masks, weights, temperatures from 0.5 to 1,000, all in float64. What is found is written to
`benchmarks/results/proofs.json` part by part; parts that are there for the same sources are not done again. The status
is 1 where anything failed.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import itertools
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from hypothesis import Phase, given, settings

from command_line import positive
from machine import facts

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from oracles import augmented_loss
from oracles.augmented_loss import Problem
from support import loss_truth, ranks
from support.compare import assert_close, error
from support.loss_cases import Loss, problems
from tiedlm.errors import RunError
from tiedlm.files import read_json, write_json
from tiedlm.losses import chunked, functional
from tiedlm.losses.vocabulary_parallel import vocabulary_parallel_augmented_cross_entropy
from tiedlm.native.build import FOLDER
from tiedlm.replay import leaving_values_unread

RESULTS = Path(__file__).parent / "results" / "proofs.json"
DRAWN = settings(deadline=None, database=None, derandomize=True, phases=[Phase.generate])
"""The same problems every time, on a machine of any speed."""
CHUNK_ROWS = (1, 2, 3, 5, 9, 100, None)
UNREAD = "values unread"
"""The chunked loss as it is captured for a GPU, from shapes alone."""
Part = dict[str, Any]


def parallel(features: Any, classifier: Any, targets: Any, **options: Any) -> Any:
    """Return the vocabulary-parallel loss of a single rank, which holds all words."""
    words = {"words": len(classifier)}
    return vocabulary_parallel_augmented_cross_entropy(features, classifier, targets, **words, **options)


def implementations() -> dict[str, Callable[[int], Loss]]:
    """Return name → number of the example → the loss; the size of a chunk goes round."""

    def sized(loss: Loss) -> Callable[[int], Loss]:
        return lambda number: functools.partial(loss, chunk_rows=CHUNK_ROWS[number % len(CHUNK_ROWS)])

    return {
        "functional": lambda _: functional.linear_augmented_cross_entropy,
        "chunked": sized(chunked.linear_augmented_cross_entropy),
        "compiled": sized(functools.partial(chunked.linear_augmented_cross_entropy, passes="compiled")),
        UNREAD: sized(chunked.linear_augmented_cross_entropy),
        "vocabulary-parallel": sized(parallel),
    }


def checked(check: Callable[[Loss, Problem, bool], None], losses: Callable[[int], Loss], examples: int) -> Part:
    """Return how many drawn problems fail a check, every other one with its target detached."""
    numbers, kinds = itertools.count(), Counter[str]()
    failures: list[str] = []

    @settings(DRAWN, max_examples=examples)
    @given(problems())
    def each(problem: Problem) -> None:
        number = next(numbers)
        kinds.update(_kinds(problem))
        try:
            check(losses(number), problem, number // len(CHUNK_ROWS) % 2 == 1)
        except (AssertionError, RuntimeError) as reason:  # the latter from a gradient that differs
            failures.append(f"{reason} in {problem}")

    began = time.perf_counter()
    each()
    seconds = round(time.perf_counter() - began, 1)
    return {"examples": next(numbers), "failures": len(failures), "first": failures[:3], "seconds": seconds} | {
        "of_them": dict(sorted(kinds.items()))
    }


def _kinds(problem: Problem) -> list[str]:
    """Return what is special to a problem."""
    distinct = {int(problem.targets[row]) for row in problem.scored}
    special = {
        "tied": problem.table is None,
        "biased": problem.bias is not None,
        "masked": problem.allowed is not None,
        "centred": problem.centred,
        "weighted": problem.weights is not None,
        "gamma 0": problem.gamma == 0,
        "nothing counts": not distinct,
        "one distinct target": len(distinct) == 1,
        "all targets different": len(distinct) == len(problem.targets) > 1,
    }
    return [name for name, holds in special.items() if holds]


def oracle(losses: Callable[[int], Loss], examples: int) -> Part:
    """Return what the comparison with the oracle finds: failures, and how far values and gradients are off at most."""
    worst: dict[str, float] = {}
    closest = 0.0

    def recorded(actual: Any, truth: Any, relative: float, what: str = "result", *, rounding: float = 0.0) -> None:
        nonlocal closest
        assert_close(actual, truth, relative, what, rounding=rounding)
        found = error(actual, truth)
        if found < float("inf"):  # a truth of 0 has no scale
            scale = float(torch.as_tensor(truth).abs().max())
            closest = max(closest, found / (relative + (rounding / scale if scale else 0)))
            worst[what] = max(worst.get(what, 0), found)

    def check(loss: Loss, problem: Problem, detach: bool) -> None:
        loss_truth.check_oracle(loss, problem, detach_target=detach)

    with mock.patch.object(loss_truth, "assert_close", recorded):
        part = checked(check, losses, examples)
    figures = {what: float(f"{value:.2g}") for what, value in sorted(worst.items())}
    return {**part, "worst_relative_error": figures, "worst_share_of_what_is_allowed": round(closest, 3)}


def gradchecks(losses: Callable[[int], Loss], checks: int) -> Part:
    """Return what finite differences find: two checks a problem, of the mean and of the separate losses."""

    def check(loss: Loss, problem: Problem, detach: bool) -> None:
        del detach  # a difference would go through the target
        loss_truth.check_gradcheck(loss, problem, absolute=loss_truth.difference_bits(problem))

    part = checked(check, losses, -(-checks // 2))
    return {"gradchecks": 2 * part["examples"], **part}


def run(options: argparse.Namespace) -> Part:
    """Do what is not there yet, writing after every part."""
    found = found_before(options.output)
    asked = {"examples": options.examples, "gradchecks": options.gradchecks, "losses_sha256": sources_sha256()}
    if any(found.get(name) != value for name, value in asked.items()):
        found = {**facts(), **asked, "parts": {}}
    for name, losses in implementations().items():
        for kind, work, count in (("oracle", oracle, options.examples), ("gradcheck", gradchecks, options.gradchecks)):
            if f"{kind} {name}" in found["parts"]:
                continue
            with leaving_values_unread() if name == UNREAD else nullcontext():
                part = found["parts"][f"{kind} {name}"] = work(losses, count)
            write_json(options.output, found)
            print(f"{kind:<10}{name:<20}{part['examples']} examples, {part['failures']} failures", flush=True)
    return found


def found_before(path: Path) -> Part:
    """Return what an earlier call found, nothing where there was none; end where it cannot be read."""
    try:
        return read_json(path) if path.exists() else {}
    except RunError as error:
        sys.exit(f"{error} Move it away to begin another.")


def sources_sha256() -> str:
    """Return a checksum of the losses' sources and of the oracle."""
    folder = Path(functional.__file__).parent
    files = [*sorted(folder.glob("*.py")), *sorted(FOLDER.iterdir()), Path(augmented_loss.__file__)]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def parsed(arguments: list[str] | None = None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--examples", type=positive, default=1000, help="oracle comparisons of each (default: 1,000)")
    parser.add_argument("--gradchecks", type=positive, default=500, help="gradchecks of each (default: 500)")
    parser.add_argument("--output", type=Path, default=RESULTS, help="JSON to write")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Check, write, print."""
    options = parsed(arguments)
    with tempfile.TemporaryDirectory() as folder, ranks.alone(Path(folder)):
        found = run(options)
    failures = sum(part["failures"] for part in found["parts"].values())
    for name, part in found["parts"].items():
        worst = max(part.get("worst_relative_error", {}).values(), default=0.0)
        told = f", worst relative error {worst:.2g}" if worst else ""
        print(f"{name:<32}{part['examples']} problems, {part['failures']} failures{told}, {part['seconds']} s")
        for failure in part["first"]:
            print(failure)
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
