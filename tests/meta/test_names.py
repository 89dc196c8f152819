"""Small files, small functions, one concept each under its own name, and every public name explained."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import PurePosixPath

import pytest

from meta.sources import files

FILE_LINES = 200
FUNCTION_LINES = 40

# A file or function that is longer and better so, and why: "path" or "path:function".
LONGER: dict[str, str] = {}

SAY_NOTHING = {"utils", "util", "helpers", "helper", "common", "misc", "tools", "stuff", "base"}

Function = ast.FunctionDef | ast.AsyncFunctionDef
Definition = Function | ast.ClassDef


def says_nothing(path: str) -> bool:
    """Whether a file or one of its folders has a name under which anything could stand."""
    stems = PurePosixPath(path).with_suffix("").parts
    return any(word in SAY_NOTHING for stem in stems for word in stem.lower().split("_"))


def long_file(source: str) -> bool:
    return len(source.splitlines()) > FILE_LINES


def long_functions(source: str) -> list[str]:
    """Functions whose code, without its docstring, spans more than `FUNCTION_LINES` lines."""
    functions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, Function)]
    return [node.name for node in functions if _code_lines(node) > FUNCTION_LINES]


def _code_lines(function: Function) -> int:
    first = function.body[0]
    docstring = (first.end_lineno or 0) - first.lineno + 1 if ast.get_docstring(function) else 0
    return (function.end_lineno or 0) - function.lineno + 1 - docstring


def unexplained(source: str) -> list[str]:
    """The module, and its public classes, functions, methods and properties, that have no docstring."""
    tree = ast.parse(source)
    missing = [] if ast.get_docstring(tree) or not tree.body else ["module"]
    return missing + [name for name, node in _public(tree, "") if not ast.get_docstring(node)]


def _public(parent: ast.Module | ast.ClassDef, prefix: str) -> Iterator[tuple[str, Definition]]:
    for node in parent.body:
        if isinstance(node, Definition) and not node.name.startswith("_") and not _is_variant(node):
            yield prefix + node.name, node
            if isinstance(node, ast.ClassDef):
                yield from _public(node, f"{prefix}{node.name}.")


def _is_variant(node: Definition) -> bool:
    """An overload, a setter, or a method of a base class that explains it: told where it is first written."""
    marks = {ast.unparse(mark).split(".")[-1] for mark in node.decorator_list}
    return bool(marks & {"overload", "override", "setter"})


SOURCES = {name: path.read_text() for name, path in files("src/**/*.py").items()}


def test_every_file_says_what_it_holds() -> None:
    assert [name for name in files("src/**/*.py", "tests/**/*.py", "benchmarks/**/*.py") if says_nothing(name)] == []


def test_files_are_short() -> None:
    assert [name for name, source in SOURCES.items() if long_file(source) and name not in LONGER] == []


def test_functions_are_short() -> None:
    found = [f"{name}:{function}" for name, source in SOURCES.items() for function in long_functions(source)]
    assert [function for function in found if function not in LONGER] == []


def test_every_exception_is_needed() -> None:
    long = {name for name, source in SOURCES.items() if long_file(source)}
    long |= {f"{name}:{function}" for name, source in SOURCES.items() for function in long_functions(source)}
    assert sorted(set(LONGER) - long) == []


def test_every_public_name_is_explained() -> None:
    assert {name: names for name, source in SOURCES.items() if (names := unexplained(source))} == {}


@pytest.mark.parametrize("path", ["src/tiedlm/utils.py", "src/tiedlm/misc/loss.py", "tests/loss_helpers.py"])
def test_a_name_that_says_nothing_is_found(path: str) -> None:
    assert says_nothing(path)


def test_the_other_checks_can_fail() -> None:
    assert not says_nothing("src/tiedlm/layers/variational.py")
    assert long_file("a = 1\n" * 201)
    assert not long_file("a = 1\n" * 200)
    body = "    a = 1\n" * 40
    assert long_functions(f"class A:\n  def f(self):\n{body}") == ["f"]
    assert long_functions(f'def f():\n    """Words.\n\n    More.\n    """\n{body[:-10]}') == []
    assert unexplained("a = 1") == ["module"]
    assert unexplained('"""M."""\ndef f(): ...\ndef _g(): ...\nclass A:\n    def m(self): ...') == ["f", "A", "A.m"]
    assert unexplained('"""M."""\n@overload\ndef f(): ...\ndef f():\n    """Told."""') == []
    assert unexplained("") == []
