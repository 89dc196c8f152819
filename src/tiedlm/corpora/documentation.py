"""Where the Python standard library keeps its documentation as text: reference topics and docstrings.

Everything is read from source files and parsed; no module is imported, so nothing of it runs.

* Topics: the language reference, as `pydoc` shows it, a dictionary of texts in `pydoc_data/topics.py`.
* Docstrings: of every module, class and function in the `.py` files of the library, in the order of the source.
  Left out are test packages, and whatever lies in the same folder but is not of the library (`site-packages`).

A unit is a topic (`topic assert`) or a whole top-level module or package (`module asyncio`), so that what belongs
together stays together.
"""

from __future__ import annotations

import ast
import sys
import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from tiedlm.errors import CorpusError

TEST_FOLDERS = frozenset({"test", "tests", "idle_test"})
BLOCKS = ("body", "handlers", "cases", "orelse", "finalbody")
Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def read_units(library: Path) -> dict[str, list[str]]:
    """Return the documentation texts of the library in the folder `library` by name of the unit, both in fixed order.

    Raises:
        CorpusError: the folder holds no Python sources, no reference topics, or a file that cannot be read as Python.
    """
    units = {f"topic {name}": [text] for name, text in sorted(_topics(library).items())}
    for path in _source_files(library):
        top = path.relative_to(library).parts[0].removesuffix(".py")
        units.setdefault(f"module {top}", []).extend(docstrings(_parsed(path)))
    return units


def docstrings(tree: ast.Module) -> Iterator[str]:
    """Yield the docstrings of a parsed module without their indentation, in the order in which they are written."""
    for node in _documented(tree):
        if text := ast.get_docstring(node):
            yield text


def _documented(node: ast.AST) -> Iterator[Documented]:
    if isinstance(node, Documented):
        yield node
    for block in BLOCKS:  # statements only: no docstring stands within an expression
        for statement in getattr(node, block, ()):
            yield from _documented(statement)


def _topics(library: Path) -> dict[str, str]:
    path = library / "pydoc_data" / "topics.py"
    if not path.is_file():
        raise CorpusError(
            f"The corpus `builtin` is made of the documentation in Python's own library, but {path} is missing. "
            "Use a Python that was installed with the sources of its library, or another corpus (`synthetic`, or text "
            "files of your own)."
        )
    for node in _parsed(path).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict):
            with suppress(ValueError):
                return ast.literal_eval(node.value)
    raise CorpusError(
        f"{path} does not hold a dictionary of texts, as it does in Python 3.11 to 3.14: the file is damaged. "
        "Repair the Python installation, or use another corpus."
    )


def _source_files(library: Path) -> list[Path]:
    found = []
    for top in library.iterdir():
        if top.name.removesuffix(".py") in sys.stdlib_module_names and top.name != "pydoc_data":
            found += [top] if top.suffix == ".py" else top.rglob("*.py")
    relative = (path.relative_to(library).parts for path in found)
    return [library.joinpath(*parts) for parts in sorted(relative) if not TEST_FOLDERS.intersection(parts)]


def _parsed(path: Path) -> ast.Module:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the library's own escapes, which are not the user's business
            return ast.parse(path.read_bytes(), filename=str(path))
    except (OSError, SyntaxError, ValueError) as error:
        raise CorpusError(
            f"{path}, a file of Python's own library, cannot be read as Python ({error}). "
            "Repair the Python installation, or use another corpus."
        ) from error
