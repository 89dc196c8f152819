"""Imports are declared, declarations used, what `make` installs pinned, and the version in one place."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import tiedlm

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
RUNTIME = [Requirement(line) for line in PROJECT["dependencies"]]
EXTRAS = {name: [Requirement(line) for line in lines] for name, lines in PROJECT["optional-dependencies"].items()}
PINNED = {
    canonicalize_name(name): Version(version)
    for name, version in re.findall(r"^([\w.-]+)==([\w.]+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
}


def _names(requirements: Iterable[Requirement]) -> set[str]:
    return {canonicalize_name(requirement.name) for requirement in requirements}


def _imported_distributions() -> set[str]:
    """The distributions that the package imports, within functions too; an unknown module stands for itself."""
    tops = set()
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                tops |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                tops.add(str(node.module).split(".")[0])
    distributions = metadata.packages_distributions()
    others = tops - {*sys.stdlib_module_names, "tiedlm"}
    return {canonicalize_name(name) for top in others for name in distributions.get(top, [top])}


def test_imports_are_declared_and_dependencies_are_used() -> None:
    imported = _imported_distributions()
    optional = [requirement for name, extra in EXTRAS.items() if name != "dev" for requirement in extra]
    assert imported - _names([*RUNTIME, *optional]) == set()
    assert _names(RUNTIME) - imported == set()


def test_everything_that_make_installs_is_pinned() -> None:
    needed, ahead = set(), [(requirement, "") for requirement in (*RUNTIME, *EXTRAS["dev"], Requirement("hatchling"))]
    seen: set[tuple[str, str]] = set()
    while ahead:
        requirement, parent_extra = ahead.pop()
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": parent_extra}):
            continue
        needed.add(canonicalize_name(requirement.name))
        for extra in {"", *requirement.extras}:
            if (requirement.name, extra) not in seen:
                seen.add((requirement.name, extra))
                try:
                    lines = metadata.requires(requirement.name) or []
                except metadata.PackageNotFoundError:
                    lines = []
                ahead += [(Requirement(line), extra) for line in lines]
    assert needed - set(PINNED) == set()


def test_every_line_pins_one_version_within_the_declared_range() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and line[0] != "#"]
    assert len(lines) == len(PINNED)
    for requirement in (*RUNTIME, *EXTRAS["dev"]):
        assert requirement.specifier.contains(PINNED[canonicalize_name(requirement.name)]), requirement


def test_the_version_is_in_one_place() -> None:
    assert tiedlm.__version__ == PROJECT["version"], "the metadata is old: install the package again"
    assert f"## {PROJECT['version']}" in (ROOT / "CHANGELOG.md").read_text()
