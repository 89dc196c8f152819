"""What importing costs, and that every name is where the front door says it is."""

from __future__ import annotations

import ast
import importlib
import json
import os
import subprocess
import sys

import pytest

import tiedlm
from meta.sources import PACKAGE, imports, package_sources

SOURCES = package_sources()
HEAVY = {"torch", "numpy", "safetensors", "pooch", "requests"}

# Runs a statement in a fresh interpreter, then tells what it has loaded on the last line of the standard error.
PROBE = """
import json, sys
try:
    {statement}
finally:
    print(json.dumps(sorted({{name.partition(".")[0] for name in sys.modules}})), file=sys.stderr)
"""


def run(statement: str, *arguments: str) -> tuple[subprocess.CompletedProcess[str], set[str]]:
    """The finished process and the top-level modules that the statement has loaded in it."""
    command = [sys.executable, "-c", PROBE.format(statement=statement), *arguments]
    environment = {**os.environ, "COLUMNS": "100"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=False)
    loaded = [line for line in done.stderr.splitlines() if line.startswith('["')]
    assert loaded, done.stderr
    return done, set(json.loads(loaded[-1]))


def test_importing_the_package_loads_nothing_heavy() -> None:
    done, loaded = run("import tiedlm; dir(tiedlm); tiedlm.RunConfig; tiedlm.__version__")
    assert done.returncode == 0, done.stderr
    assert PACKAGE in loaded
    assert loaded & HEAVY == set()


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["trian"]])
def test_help_and_a_misspelled_command_load_nothing_heavy(arguments: list[str]) -> None:
    done, loaded = run("import sys; from tiedlm.cli.main import main; sys.exit(main())", *arguments)
    assert (done.returncode == 0) == ("--help" in arguments), done.stderr
    assert "Traceback" not in done.stderr
    assert loaded & HEAVY == set()


def test_a_training_does_not_wait_for_torchs_compiler() -> None:
    """Two seconds; decorators of `torch.compiler` import it."""
    done, loaded = run("import tiedlm.training.loop; assert 'torch._dynamo' not in sys.modules")
    assert done.returncode == 0, done.stderr
    assert "torch" in loaded


def test_the_probe_can_see_torch() -> None:
    _, loaded = run("import tiedlm; tiedlm.TiedTable")
    assert {"torch"} <= loaded & HEAVY


@pytest.mark.parametrize("module", [name for name in SOURCES if name != f"{PACKAGE}.__main__"])  # that one is run
def test_every_module_can_be_imported(module: str) -> None:
    assert importlib.import_module(module).__name__ == module


@pytest.mark.parametrize("name", tiedlm.__all__)
def test_every_public_name_is_at_home(name: str) -> None:
    assert getattr(tiedlm, name) is not None


def front_door_gaps(source: str, homes: dict[str, str], names: list[str]) -> set[str]:
    """Names on which the imports for type checkers, the table of homes and the list of public names do not agree."""
    for_types = {(one.module, one.name) for one in imports(source) if one.for_types}
    table = {(module, name) for name, module in homes.items()}
    listed = {name for name in names if not name.startswith("__")}
    return {name or "" for _, name in for_types ^ table} | (set(homes) ^ listed)


def test_the_three_lists_of_public_names_agree() -> None:
    homes = next(
        ast.literal_eval(node.value)
        for node in ast.parse(SOURCES[PACKAGE]).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_HOMES"
    )
    assert front_door_gaps(SOURCES[PACKAGE], homes, tiedlm.__all__) == set()
    assert dir(tiedlm) == sorted(tiedlm.__all__)


def test_a_gap_between_the_lists_is_found() -> None:
    source = "if TYPE_CHECKING:\n    from tiedlm.a import one, two"
    homes = {"one": "tiedlm.a", "two": "tiedlm.a"}
    assert front_door_gaps(source, homes, ["one", "two", "__version__"]) == set()
    assert front_door_gaps(source, homes, ["one"]) == {"two"}
    assert front_door_gaps(source, {**homes, "two": "tiedlm.b"}, ["one", "two"]) == {"two"}
    assert front_door_gaps(source, {"one": "tiedlm.a"}, ["one"]) == {"two"}


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(AttributeError, match=r"no attribute 'perplexty'.* mean 'perplexity'"):
        getattr(tiedlm, "perplexty")  # noqa: B009 - a plain attribute would be refused by the type checker
