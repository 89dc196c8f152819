"""How many small wrong changes to `src/tiedlm/losses` its tests notice.

    python benchmarks/mutants.py --mutants 300          # run, or go on; results/mutants.jsonl has a line for each
    python benchmarks/mutants.py --again                # those that survived, once there are more tests
    python benchmarks/mutants.py --report

The changes (`mutant_changes`) are drawn with a seed from all there are in the modules that can run here. Each is put
into a copy of the package, where the tests of the changed module run first and then others that are likely to notice
it, until one fails. A change that no test can notice may be named, with the reason, in `equivalent_mutants.json`.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import os
import random
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import mutant_runs
from command_line import positive
from mutant_changes import Change, changed, changes
from mutant_tests import COMPILED, tests_of
from tiedlm.training.environment import commit

FOLDER = Path(__file__).parent
RESULTS, EQUIVALENT = FOLDER / "results" / "mutants.jsonl", FOLDER / "equivalent_mutants.json"
SOURCES = mutant_runs.PROJECT / mutant_runs.LOSSES
NEED_TRITON = ("passes_triton", "triton_kernels", "triton_teacher")
Record = dict[str, Any]
Mutant = tuple[str, Change]
"""A module of the losses, and what is changed in it."""


def modules() -> list[str]:
    """Return the modules whose code can run here."""
    found = sorted(path.stem for path in SOURCES.glob("[a-z]*.py"))
    return [name for name in found if importlib.util.find_spec("triton") or name not in NEED_TRITON]


def drawn(count: int, seed: int) -> list[Mutant]:
    """Return that many changes, the same ones first for every count."""
    everything = [(name, change) for name in modules() for change in changes((SOURCES / f"{name}.py").read_text())]
    random.Random(seed).shuffle(everything)
    return everything[:count]


def key(module: str, change: Change) -> list[str]:
    """Return what tells a change from all others, wherever its line has moved to."""
    lines = (SOURCES / f"{module}.py").read_text().splitlines()
    line = lines[change.line - 1]
    same = [other.strip() for other in lines[: change.line]].count(line.strip())
    column = change.column - (len(line) - len(line.lstrip()))
    return [module, line.strip(), f"{same}:{column}", change.before, change.after]


def judged(mutant: Mutant, tree: Path) -> Record:
    """Run the tests against a change and return the line to be written."""
    module, change = mutant
    text = (SOURCES / f"{module}.py").read_text()
    outcome = mutant_runs.run(tree, module, changed(text, change), tests_of(module))
    place = {"module": module, "line": change.line, "column": change.column, "kind": change.kind}
    known = {"key": key(module, change), "sha256": hashlib.sha256(text.encode()).hexdigest(), "commit": commit()}
    return {**place, "before": change.before, "after": change.after, **outcome._asdict(), **known}


def check_unchanged(tree: Path, tests: Iterable[str]) -> None:
    """End where a test fails without any change: it would notice every one."""
    text = (SOURCES / "problem.py").read_text()
    for test in tests:
        outcome = mutant_runs.run(tree, "problem", text, [test])
        print(f"unchanged {outcome.seconds:>7} s  {test}", flush=True)
        if outcome.outcome != "survived":
            sys.exit(f"{test} without any change: {outcome.outcome} {outcome.by}")


def latest(path: Path) -> dict[tuple[str, ...], Record]:
    """Return the last line for each change; one at the file's end that was cut short is left out, and told."""
    lines, _, cut = (path.read_text() if path.exists() else "").rpartition("\n")
    if cut:
        print(f"{path}: the last line was cut short and is left out, as if its change had not been run.")
    try:
        return {tuple(record["key"]): record for record in map(json.loads, lines.splitlines())}
    except json.JSONDecodeError as error:
        sys.exit(f"{path} has a line that is no JSON and begins with {error.doc[:60]!r}: take it out, and start again.")


def drop_cut_line(path: Path) -> None:
    """Take a last line that was cut short out of the file: the next one would be joined to it."""
    if path.exists():
        os.truncate(path, path.read_bytes().rfind(b"\n") + 1)


def open_mutants(mutants: Iterable[Mutant], records: dict[tuple[str, ...], Record], again: bool) -> list[Mutant]:
    """Return those without a result, or those that survived when they were last run."""

    def is_open(mutant: Mutant) -> bool:
        record = records.get(tuple(key(*mutant)))
        return record is not None and record["outcome"] == "survived" if again else record is None

    return [mutant for mutant in mutants if is_open(mutant)]


def report(mutants: list[Mutant], records: dict[tuple[str, ...], Record]) -> str:
    """Return counts for each module, and where the survivors stand."""
    reasons = {tuple(one["key"]): one["reason"] for one in json.loads(EQUIVALENT.read_text())}
    found = [(mutant, records[name]) for mutant in mutants if (name := tuple(key(*mutant))) in records]
    lines = [f"{len(mutants)} changes drawn, {len(found)} run; modules: {', '.join(modules())}"]
    counted = [one for one in found if not (one[1]["outcome"] == "survived" and tuple(key(*one[0])) in reasons)]
    lines.append(f"{len(found) - len(counted)} of them cannot be noticed (equivalent_mutants.json)")
    for name in [*modules(), None]:
        outcomes = [record["outcome"] for (module, _), record in counted if name in (module, None)]
        if outcomes:
            noticed = len(outcomes) - outcomes.count("survived")
            endless = f", {outcomes.count('timeout')} of them by the clock" if "timeout" in outcomes else ""
            share = f"{noticed / len(outcomes):.1%}"
            lines.append(f"{name or 'all':<20}{noticed:>5} of {len(outcomes):>4} noticed, {share}{endless}")
    for (module, change), record in counted:
        if record["outcome"] == "survived":
            what = f"{_short(change.before)}  ->  {_short(change.after)}"
            lines.append(
                f"survived  {mutant_runs.LOSSES / module}.py:{change.line}:{change.column} {change.kind}: {what}"
            )
    return "\n".join(lines)


def _short(text: str) -> str:
    return " ".join(text.split())


def parsed(arguments: list[str] | None = None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--mutants", type=positive, default=300, help="how many changes are drawn (default: 300)")
    parser.add_argument("--seed", type=int, default=0, help="of the draw (default: 0)")
    parser.add_argument("--again", action="store_true", help="run those that survived once more")
    parser.add_argument("--report", action="store_true", help="say what was found, and run nothing")
    parser.add_argument("--output", type=Path, default=RESULTS, help="lines to append to")
    return parser.parse_args(arguments)


def run(mutants: list[Mutant], output: Path) -> None:
    """Judge each and append a line to the output; those that only a compiler's tests can notice come last."""
    with tempfile.TemporaryDirectory(prefix="tiedlm-mutants-") as folder:
        tree = mutant_runs.copied(Path(folder) / "tree")
        mutant_runs.prepare(tree)
        checked: set[str] = set()
        drop_cut_line(output)
        for mutant in sorted(mutants, key=lambda mutant: mutant[0] in COMPILED):
            tests = tests_of(mutant[0])
            check_unchanged(tree, (test for test in tests if test not in checked))
            checked.update(tests)
            record = judged(mutant, tree)
            with output.open("a") as file:
                file.write(json.dumps(record) + "\n")
            print(f"{record['outcome']:<10}{record['seconds']:>7} s  {mutant[0]}:{mutant[1].line}", flush=True)


def main() -> None:
    """Run what is still open, and say what was found."""
    options = parsed()
    mutants = drawn(options.mutants, options.seed)
    if not options.report:
        os.nice(10)
        run(open_mutants(mutants, latest(options.output), options.again), options.output)
    print(report(mutants, latest(options.output)))


if __name__ == "__main__":
    main()
