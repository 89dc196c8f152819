"""The shape of the package: who may import whom, what an import loads, and where the public names live."""

from __future__ import annotations

import ast
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import tiedlm

PROJECT = Path(__file__).resolve().parents[1]
SOURCE = PROJECT / "src"

# From the bottom to the top; a folder imports from itself and from those below it.
ROWS = (
    ("errors", "config", "files", "seeding"),
    ("native",),
    ("losses",),
    ("nn",),
    ("data",),
    ("runs",),
    ("evaluation",),
    ("training",),
    ("hub",),
    ("recipes",),
    ("paper",),
    ("cli",),
    ("__main__",),
)
ROW = {folder: row for row, folders in enumerate(ROWS) for folder in folders}
CONFIGS = 1  # configs import no torch and no code: whatever stands above the first row may import them


def _modules() -> dict[str, ast.Module]:
    modules = {}
    for path in sorted((SOURCE / "tiedlm").rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        modules[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = ast.parse(path.read_text())
    return modules


MODULES = _modules()


def _imports(tree: ast.Module) -> Iterator[tuple[str, bool]]:
    """Each imported name of the package, and whether only type checkers see the import; within functions too."""
    blocks = [node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)]
    for_types = {id(node) for block in blocks for part in block.body for node in ast.walk(part)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, id(node) in for_types) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "write the whole name in imports"
            for alias in node.names:
                submodule = f"{node.module}.{alias.name}"
                yield (submodule if submodule in MODULES else str(node.module)), id(node) in for_types


def _row(module: str) -> int:
    return CONFIGS if module.endswith(".config") else ROW[module.split(".")[1]]


def _package_imports(module: str) -> set[str]:
    return {name for name, for_types in _imports(MODULES[module]) if name in MODULES and not for_types} - {module}


@pytest.mark.parametrize("module", [name for name in MODULES if name != "tiedlm"])
def test_a_module_imports_from_its_own_folder_and_those_below(module: str) -> None:
    upward = [
        target
        for target in _package_imports(module) - {"tiedlm"}
        if target.split(".")[1] != module.split(".")[1] and _row(target) > ROW[module.split(".")[1]]
    ]
    assert upward == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    TopologicalSorter({name: _package_imports(name) for name in MODULES if name != "tiedlm"}).prepare()


@pytest.mark.parametrize("path", sorted((PROJECT / "tests" / "oracles").glob("*.py")), ids=lambda path: path.name)
def test_oracles_import_nothing_of_the_package(path: Path) -> None:
    assert not any(name.split(".")[0] == "tiedlm" for name, _ in _imports(ast.parse(path.read_text())))


@pytest.mark.parametrize("module", [name for name in MODULES if name != "tiedlm.__main__"])
def test_a_module_can_be_imported(module: str) -> None:
    assert importlib.import_module(module).__name__ == module


@pytest.mark.parametrize("name", tiedlm.__all__)
def test_a_public_name_is_where_the_package_says(name: str) -> None:
    assert getattr(tiedlm, name) is not None


def test_an_unknown_public_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(AttributeError, match=r"no attribute 'perplexty'.* mean 'perplexity'"):
        getattr(tiedlm, "perplexty")  # noqa: B009 - a plain attribute would be refused by the type checker


PROBE = """
import json, sys
try:
    {statement}
finally:
    print(json.dumps(sorted({{name.partition(".")[0] for name in sys.modules}})), file=sys.stderr)
"""
COMMAND = "from tiedlm.cli.main import main; sys.exit(main())"


def _loaded(statement: str, *arguments: str) -> set[str]:
    """The top-level modules that a statement loads in a fresh interpreter."""
    command = [sys.executable, "-c", PROBE.format(statement=statement), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "COLUMNS": "100"}, timeout=120)
    lists = [line for line in done.stderr.splitlines() if line.startswith('["')]
    assert lists, done.stderr
    assert "Traceback" not in done.stderr
    return set(json.loads(lists[-1]))


@pytest.mark.parametrize(
    ("statement", "arguments"),
    [
        ("import tiedlm; dir(tiedlm); tiedlm.RunConfig; tiedlm.__version__", ()),
        (COMMAND, ("--help",)),
        (COMMAND, ("train", "--help")),
        (COMMAND, ("trian",)),
    ],
)
def test_help_and_configs_load_nothing_heavy(statement: str, arguments: tuple[str, ...]) -> None:
    loaded = _loaded(statement, *arguments)
    assert "tiedlm" in loaded
    assert loaded & {"torch", "numpy", "safetensors", "pooch", "requests"} == set()


def test_a_training_does_not_load_torchs_compiler() -> None:
    """It takes two seconds; decorators of `torch.compiler`, and operators of `torch.library.custom_op`, import it."""
    loss = "tiedlm.linear_augmented_cross_entropy(torch.ones(2, 3), torch.ones(4, 3), torch.zeros(2, dtype=torch.long))"
    assert "torch" in _loaded(f"import torch, tiedlm.training.loop; {loss}; assert 'torch._dynamo' not in sys.modules")
