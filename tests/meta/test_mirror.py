"""Tests mirror the package: `tiedlm/corpora/text.py` is tested in `tests/corpora/test_text.py`."""

from __future__ import annotations

import re
from collections.abc import Collection
from fnmatch import fnmatch
from pathlib import PurePosixPath

from meta.sources import PACKAGE, files

# Modules without a test file of their own: why, and the test file that stands in for it (below `tests/`), if any.
EXEMPT = {
    "*__init__.py": ("re-exports names, and each must be importable", "meta/test_imports.py"),
    "axes.py": ("a legend, without code", None),
    "*/config.py": ("fields and their checks, all of one kind", "test_config.py"),
    "recipes/*.py": ("values without behaviour, all held against the published rows", "recipes/test_catalogue.py"),
}

# Folders of tests that stand for no room of the package.
BESIDE = ("benchmarks", "meta", "oracles", "support")


def place(module: str) -> str:
    """Where the tests of a module belong."""
    path = PurePosixPath(module)
    return str(path.with_name(f"test_{path.name}"))


def untested(modules: Collection[str], tests: Collection[str]) -> list[str]:
    """Modules with neither a test file nor an exemption; both by their path below the package and below `tests/`."""
    return [
        module
        for module in modules
        if place(module) not in tests and not any(fnmatch(module, pattern) for pattern in EXEMPT)
    ]


def homeless(modules: Collection[str], tests: Collection[str]) -> list[str]:
    """Test files in a folder that is no room of the package: what they tested has moved, or was never there."""
    rooms = {str(PurePosixPath(module).parent) for module in modules} | {"."}
    return [
        test
        for test in tests
        if PurePosixPath(test).parts[0] not in BESIDE and str(PurePosixPath(test).parent) not in rooms
    ]


def without_tests(text: str) -> bool:
    return re.search(r"^\s*(async )?def test_|^class .*(TestCase|StateMachine)", text, re.MULTILINE) is None


def unused_exemptions(modules: Collection[str]) -> list[str]:
    return [pattern for pattern in EXEMPT if not any(fnmatch(module, pattern) for module in modules)]


def below(folder: str, pattern: str) -> list[str]:
    return [name.removeprefix(f"{folder}/") for name in files(f"{folder}/{pattern}")]


def absent_stand_ins(tests: Collection[str]) -> list[str]:
    return [test for _, test in EXEMPT.values() if test is not None and test not in tests]


MODULES = below(f"src/{PACKAGE}", "**/*.py")
TESTS = below("tests", "**/test_*.py")


def test_every_module_has_its_test_file() -> None:
    assert untested(MODULES, TESTS) == []


def test_every_exemption_is_needed() -> None:
    assert unused_exemptions(MODULES) == []


def test_every_exempt_module_is_tested_where_it_is_said() -> None:
    assert absent_stand_ins(TESTS) == []


def test_every_test_file_is_in_the_room_it_tests() -> None:
    assert homeless(MODULES, TESTS) == []


def test_every_test_file_holds_tests() -> None:
    assert [name for name, path in files("tests/**/test_*.py").items() if without_tests(path.read_text())] == []


def test_these_checks_can_fail() -> None:
    modules = ["losses/__init__.py", "losses/chunked.py", "losses/config.py", "axes.py", "tying.py"]
    assert untested(modules, ["losses/test_chunked.py", "tying/test_tying.py"]) == ["tying.py"]
    assert untested(modules, ["test_tying.py", "test_chunked.py"]) == ["losses/chunked.py"]
    assert untested(modules, ["test_tying.py", "losses/test_chunked.py"]) == []
    assert homeless(modules, ["test_tying.py", "loss/test_chunked.py", "meta/test_a.py"]) == ["loss/test_chunked.py"]
    assert unused_exemptions(["losses/chunked.py", "axes.py"]) == ["*__init__.py", "*/config.py", "recipes/*.py"]
    assert absent_stand_ins(["test_config.py", "meta/test_imports.py"]) == ["recipes/test_catalogue.py"]
    assert without_tests("def check_something():\n    pass\n")
    assert not without_tests("class TestLoss:\n    def test_it(self): ...\n")
