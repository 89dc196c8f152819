"""Imports are declared, declarations used, installed packages pinned, and the version is written in one place."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from importlib import metadata

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import tiedlm
from meta.sources import PACKAGE, ROOT, files, imports, package_sources

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
RUNTIME = [Requirement(line) for line in PROJECT["dependencies"]]
EXTRAS = {name: [Requirement(line) for line in lines] for name, lines in PROJECT["optional-dependencies"].items()}
SOURCES = package_sources()
CONSTRAINTS = (ROOT / "constraints.txt").read_text()

# Folders of `tests/`, whose modules are imported by their names.
TEST_ROOMS = {"meta", "oracles", "support"}


def names(requirements: Iterable[Requirement]) -> set[str]:
    return {canonicalize_name(requirement.name) for requirement in requirements}


@cache
def distributions() -> Mapping[str, list[str]]:
    return metadata.packages_distributions()


def undeclared(source: str, declared: set[str], own: set[str]) -> set[str]:
    """Imported top-level names that are neither of the standard library, nor our own, nor of a declared dependency."""
    known = {*sys.stdlib_module_names, *own}
    tops = {one.module.split(".")[0] for one in imports(source)} - known
    return {top for top in tops if not {canonicalize_name(d) for d in distributions().get(top, [top])} & declared}


def pins(text: str) -> dict[str, Version]:
    """The versions that a constraints file pins; a line that pins none exactly is a ValueError."""
    found = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            match = re.fullmatch(r"([\w.-]+)==([\w.]+)", line)
            if match is None:
                raise ValueError(f"{line!r} pins no exact version")
            found[canonicalize_name(match[1])] = Version(match[2])
    return found


Requires = Callable[[str], Iterable[str]]


def needed(roots: Iterable[Requirement], requires: Requires) -> set[str]:
    """Everything that installing `roots` installs here, by name, with what that needs in its turn."""
    found: set[str] = set()
    ahead = [(requirement, "") for requirement in roots]
    seen = set()
    while ahead:
        requirement, extra = ahead.pop()
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": extra}):
            continue
        found.add(canonicalize_name(requirement.name))
        for wanted in ["", *requirement.extras]:
            if (requirement.name, wanted) not in seen:
                seen.add((requirement.name, wanted))
                ahead += [(Requirement(line), wanted) for line in requires(requirement.name)]
    return found


def installed_requires(name: str) -> Iterable[str]:
    try:
        return metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return []


def versions_written(sources: Mapping[str, str], version: str) -> list[str]:
    """Modules that write a version of the package down again, under its name or as a literal."""
    return [
        name
        for name, source in sources.items()
        for node in ast.walk(ast.parse(source))
        if (isinstance(node, ast.Assign) and "__version__" in map(ast.unparse, node.targets))
        or (isinstance(node, ast.Constant) and node.value == version)
    ]


@pytest.mark.parametrize("module", SOURCES)
def test_the_package_imports_what_is_declared(module: str) -> None:
    declared = names([*RUNTIME, *(one for extra in EXTRAS if extra != "dev" for one in EXTRAS[extra])])
    assert undeclared(SOURCES[module], declared, {PACKAGE}) == set()


@pytest.mark.parametrize("name", files("tests/**/*.py", "benchmarks/**/*.py"))
def test_tests_and_benchmarks_import_what_is_declared(name: str) -> None:
    declared = names([*RUNTIME, *(one for extra in EXTRAS.values() for one in extra)])
    beside = {path.stem for path in files(name)[name].parent.glob("*.py")}  # scripts import each other by name
    assert undeclared(files(name)[name].read_text(), declared, {PACKAGE, *TEST_ROOMS, *beside}) == set()


def test_every_dependency_is_used() -> None:
    tops = {one.module.split(".")[0] for source in SOURCES.values() for one in imports(source)}
    used = {canonicalize_name(name) for top in tops for name in distributions().get(top, [])}
    assert names(RUNTIME) - used == set()


def test_everything_that_make_installs_is_pinned() -> None:
    roots = [*RUNTIME, *EXTRAS["dev"], Requirement("hatchling")]
    assert needed(roots, installed_requires) - set(pins(CONSTRAINTS)) == set()


def test_pins_are_within_the_declared_ranges() -> None:
    pinned = pins(CONSTRAINTS)
    for requirement in (*RUNTIME, *EXTRAS["dev"]):
        assert requirement.specifier.contains(pinned[canonicalize_name(requirement.name)]), requirement


def test_torch_is_pinned_as_the_makefile_reads_it() -> None:
    assert re.findall(r"^torch==.*$", CONSTRAINTS, re.MULTILINE) == [f"torch=={pins(CONSTRAINTS)['torch']}"]


def test_one_place_holds_the_version() -> None:
    assert tiedlm.__version__ == PROJECT["version"], "the metadata is old: install the package again"
    assert versions_written(SOURCES, PROJECT["version"]) == []
    assert f"## {PROJECT['version']}" in (ROOT / "CHANGELOG.md").read_text()


def test_the_package_tells_type_checkers_that_it_has_types() -> None:
    assert (ROOT / "src" / PACKAGE / "py.typed").is_file()


def test_the_licence_is_whole() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert PROJECT["license"] == "Apache-2.0"
    assert "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text


def test_an_undeclared_import_is_found() -> None:
    source = "import json, numpy.linalg, tiedlm.errors\ndef f():\n    from pytest import fixture\n    import nowhere"
    assert undeclared(source, {"numpy"}, {"tiedlm"}) == {"pytest", "nowhere"}
    assert undeclared(source, {"numpy", "pytest", "nowhere"}, {"tiedlm"}) == set()


def test_what_is_needed_is_followed_to_its_end() -> None:
    shelf = {"a": ["b>=1", "c; extra == 'more'", "z; python_version < '3'"], "b": ["d"], "c": [], "d": ["a"]}
    assert needed([Requirement("a")], shelf.__getitem__) == {"a", "b", "d"}
    assert needed([Requirement("a[more]>=2")], shelf.__getitem__) == {"a", "b", "c", "d"}


@pytest.mark.parametrize("line", ["torch>=2.10", "torch", "torch==2.*", "-e ."])
def test_a_line_that_pins_nothing_is_found(line: str) -> None:
    with pytest.raises(ValueError, match="pins no exact version"):
        pins(f"# tiedlm\nnumpy==2.4.6\n{line}\n")


def test_a_second_version_is_found() -> None:
    sources = {"a": "__version__ = read()", "b": "VERSION = '0.1.0'", "c": "from tiedlm import __version__"}
    assert versions_written(sources, "0.1.0") == ["a", "b"]
