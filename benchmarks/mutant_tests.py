"""Which tests run against a changed module of the losses, and in which order: its own, and the quick ones, first."""

from __future__ import annotations

SLOW = "compil"
"""Tests with this in their names may call a compiler, which takes seconds."""
CALL_A_COMPILER = {"test_linear", "test_operator"}
"""Modules with such tests among others; only the module that is changed gets them from its own."""
COMPILED = {"passes_compiled", "compiler"}
"""Modules of the losses that only such tests know."""
CHECKS = ["test_arguments", "test_linear", "test_functional", "test_operator", "test_chunked"]
ALONE = "one_rank or narrow or extreme or arguments"
"""Tests of `test_vocabulary_parallel` that start no processes."""
SHARDS = [
    *("test_shards", "test_shard_sweep", "test_shard_operator"),
    *(f"test_vocabulary_parallel -k {choice}" for choice in (ALONE, f"not ({ALONE})")),
]
OWN = {
    "config": "../test_config",
    "passes_compiled": "test_passes",
    "vocabulary_parallel": f"test_vocabulary_parallel -k {ALONE}",
}
"""Modules whose tests are found elsewhere, or best elsewhere."""
OTHERS = {
    "arguments": [*CHECKS, "test_module", SHARDS[-2]],
    "call": ["test_linear", "test_chunked", "test_operator"],
    "chunked": ["test_linear", "test_operator"],
    "compiler": ["test_linear"],
    "config": [],
    "functional": ["test_arguments", "test_linear", "test_operator"],
    "gradient_sums": ["test_sweep", "test_chunked", "test_operator", "test_linear"],
    "inputs": CHECKS,
    "linear": ["test_module", "test_arguments"],
    "module": ["test_linear"],
    "operator": ["test_linear", "test_chunked"],
    "passes": ["test_linear", "test_chunked", "test_operator"],
    "passes_compiled": ["test_passes_compiled", "test_chunked", "test_linear"],
    "problem": ["test_sweep", "test_chunked", "test_operator", "test_linear"],
    "shard_operator": SHARDS,
    "shard_sweep": SHARDS,
    "shards": SHARDS,
    "sweep": ["test_chunked", "test_linear", "test_operator"],
    "vocabulary_parallel": SHARDS[-2:],
}
"""For a module the tests of others that are likely to notice."""


def tests_of(module: str) -> list[str]:
    """Return modules of tests, some with a choice as of pytest's `-k`; what is slow comes last, and only its own."""
    own = OWN.get(module, f"test_{module}")
    tests = list(dict.fromkeys([own, *OTHERS.get(module, CHECKS)]))
    if module in COMPILED:
        return tests
    quick = [f"{test} -k not {SLOW}" if test in {*CALL_A_COMPILER, "test_passes"} else test for test in tests]
    return [*quick, f"{own} -k {SLOW}"] if own in CALL_A_COMPILER else quick
