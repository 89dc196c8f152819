"""The losses against the oracle's loops over tokens and words, and against finite differences, on many drawn problems.

    python benchmarks/proofs.py --examples 1000 --gradchecks 500

The problems are those of the tests, in float64: odd sizes, tied or not, biased or not, one distinct target or all
different, ignored targets, masks, weights, temperatures from 0.5 to 1,000. Each part is written to
`results/proofs.json` when it ends; parts that are there for the same sources are not repeated. The exit status is 1
where a problem fails.
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
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from hypothesis import Phase, given, settings

from harness import RESULTS, facts, positive

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from oracles import augmented_loss
from oracles.augmented_loss import Problem
from support import losses as loss_checks
from support import processes
from support.compare import assert_close, error
from support.losses import Loss, problems
from tiedlm.files import read_json, write_json
from tiedlm.losses import augmented
from tiedlm.losses.augmented import linear_augmented_cross_entropy
from tiedlm.losses.vocabulary_parallel import vocabulary_parallel_augmented_cross_entropy
from tiedlm.native.build import FOLDER

SAME_EVERYWHERE = settings(deadline=None, database=None, derandomize=True, phases=[Phase.generate])
CHUNK_ROWS = (1, 2, 3, 5, 9, 100, None)
Part = dict[str, Any]


def vocabulary_parallel(features: Any, classifier: Any, targets: Any, **options: Any) -> Any:
    """Return the vocabulary-parallel loss of a single rank, which holds all words."""
    vocab_size = {"words": len(classifier)}
    return vocabulary_parallel_augmented_cross_entropy(features, classifier, targets, **vocab_size, **options)


def implementations() -> dict[str, Callable[[int], Loss]]:
    """Return name -> number of the problem -> the loss; chunk sizes alternate."""
    chunked = functools.partial(linear_augmented_cross_entropy, implementation="chunked")

    def with_chunks(loss: Loss) -> Callable[[int], Loss]:
        return lambda number: functools.partial(loss, chunk_rows=CHUNK_ROWS[number % len(CHUNK_ROWS)])

    return {
        "functional": lambda _: functools.partial(linear_augmented_cross_entropy, implementation="functional"),
        "chunked": with_chunks(chunked),
        "compiled": with_chunks(functools.partial(linear_augmented_cross_entropy, implementation="compiled")),
        # as it is captured for a GPU, from shapes alone
        "chunked, no host sync": with_chunks(functools.partial(chunked, host_sync=False)),
        "vocabulary-parallel": with_chunks(vocabulary_parallel),
    }


def check_drawn(check: Callable[[Loss, Problem, bool], None], losses: Callable[[int], Loss], examples: int) -> Part:
    """Return how many drawn problems fail a check, in groups of seven with the target detached or not."""
    numbers, kinds, failures = itertools.count(), Counter[str](), []

    @settings(SAME_EVERYWHERE, max_examples=examples)
    @given(problems())
    def each(problem: Problem) -> None:
        number, distinct = next(numbers), {int(problem.targets[row]) for row in problem.scored}
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
        kinds.update(name for name, holds in special.items() if holds)
        try:
            check(losses(number), problem, number // len(CHUNK_ROWS) % 2 == 1)
        except (AssertionError, RuntimeError) as reason:  # the latter from a gradient that differs
            failures.append(f"{reason} in {problem}")

    start = time.perf_counter()
    each()
    seconds = round(time.perf_counter() - start, 1)
    part = {"examples": next(numbers), "failures": len(failures), "first": failures[:3], "seconds": seconds}
    return {**part, "of_them": dict(sorted(kinds.items()))}


def oracle(losses: Callable[[int], Loss], examples: int) -> Part:
    """Return failures against the oracle, and the largest relative errors of values and gradients."""
    worst: dict[str, float] = {}
    share = 0.0

    def recorded(actual: Any, truth: Any, relative: float, what: str = "result", *, rounding: float = 0.0) -> None:
        nonlocal share
        assert_close(actual, truth, relative, what, rounding=rounding)
        relative_error = error(actual, truth)
        if relative_error < float("inf"):  # a truth of 0 has no scale
            scale = float(torch.as_tensor(truth).abs().max())
            share = max(share, relative_error / (relative + (rounding / scale if scale else 0)))
            worst[what] = max(worst.get(what, 0), relative_error)

    def check(loss: Loss, problem: Problem, detach: bool) -> None:
        loss_checks.check_oracle(loss, problem, detach_target=detach)

    with mock.patch.object(loss_checks, "assert_close", recorded):
        part = check_drawn(check, losses, examples)
    errors = {what: float(f"{value:.2g}") for what, value in sorted(worst.items())}
    return {**part, "worst_relative_error": errors, "worst_share_of_what_is_allowed": round(share, 3)}


def gradchecks(losses: Callable[[int], Loss], checks: int) -> Part:
    """Return failures against finite differences: two checks a problem, of the mean and of the separate losses."""

    def check(loss: Loss, problem: Problem, _: bool) -> None:  # a difference would go through a detached target
        loss_checks.check_gradcheck(loss, problem, absolute=loss_checks.difference_bits(problem))

    part = check_drawn(check, losses, -(-checks // 2))
    return {"gradchecks": 2 * part["examples"], **part}


def sources_sha256() -> str:
    """Return a checksum of the sources of the losses, of the C++ loops and of the oracle."""
    files = [*sorted(Path(augmented.__file__).parent.glob("*.py")), *sorted(FOLDER.iterdir())]
    return hashlib.sha256(b"".join(path.read_bytes() for path in [*files, Path(augmented_loss.__file__)])).hexdigest()


def run(options: argparse.Namespace) -> Part:
    """Do what is missing in the output, writing after every part."""
    settings_ = {"examples": options.examples, "gradchecks": options.gradchecks, "losses_sha256": sources_sha256()}
    results = read_json(options.output) if options.output.exists() else {}
    if any(results.get(name) != value for name, value in settings_.items()):
        results = {**facts(), **settings_, "parts": {}}
    for name, losses in implementations().items():
        for kind, work, count in (("oracle", oracle, options.examples), ("gradcheck", gradchecks, options.gradchecks)):
            if f"{kind} {name}" not in results["parts"]:
                results["parts"][f"{kind} {name}"] = work(losses, count)
                write_json(options.output, results)
    return results


def main(arguments: list[str] | None = None) -> int:
    """Check, write, print, and return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--examples", type=positive, default=1000, help="oracle comparisons of each (default: 1,000)")
    parser.add_argument("--gradchecks", type=positive, default=500, help="gradchecks of each (default: 500)")
    parser.add_argument("--output", type=Path, default=RESULTS / "proofs.json", help="JSON to write")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder, processes.alone(Path(folder)):
        results = run(options)
    for name, part in results["parts"].items():
        worst = max(part.get("worst_relative_error", {}).values(), default=0.0)
        error_text = f", worst relative error {worst:.2g}" if worst else ""
        print(f"{name:<36}{part['examples']} problems, {part['failures']} failures{error_text}, {part['seconds']} s")
        print("".join(f"{failure}\n" for failure in part["first"]), end="")
    return int(any(part["failures"] for part in results["parts"].values()))


if __name__ == "__main__":
    sys.exit(main())
