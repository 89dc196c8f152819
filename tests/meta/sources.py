"""What the tests of the project's shape read: its files, and the imports in a piece of Python."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src"
PACKAGE = "tiedlm"

Sources = Mapping[str, str]
"""The text of modules, by dotted name; a package stands under its own name (`tiedlm.losses`)."""


@dataclass(frozen=True)
class Import:
    """One imported thing: `import module`, or `from module import name`."""

    module: str
    name: str | None
    line: int
    for_types: bool
    """Stands under `if TYPE_CHECKING:` and does not happen when the program runs."""


def package_sources() -> dict[str, str]:
    """The text of every module of the package."""
    return {module_name(path): path.read_text() for path in sorted((SOURCE / PACKAGE).rglob("*.py"))}


def module_name(path: Path) -> str:
    """The dotted name of a file under `src/`."""
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room(module: str) -> str:
    """The first part of the name below the package: `losses` for `tiedlm.losses.chunked`, empty for the package."""
    return module.partition(".")[2].partition(".")[0]


@cache
def imports(source: str) -> tuple[Import, ...]:
    """Every import in the source, within functions too, and `import_module` and `__import__` of a literal name."""
    tree = ast.parse(source)
    for_types = {id(node) for block in _type_blocks(tree) for node in ast.walk(block)}
    return tuple(
        Import(module, name, getattr(node, "lineno", 0), id(node) in for_types)
        for node in ast.walk(tree)
        for module, name in _imported(node)
    )


def _type_blocks(tree: ast.Module) -> Iterator[ast.stmt]:
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            yield from node.body


def _imported(node: ast.AST) -> Iterator[tuple[str, str | None]]:
    if isinstance(node, ast.Import):
        yield from ((alias.name, None) for alias in node.names)
    if isinstance(node, ast.ImportFrom):
        yield from (("." * node.level + (node.module or ""), alias.name) for alias in node.names)
    if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in ("import_module", "__import__"):
        yield from ((str(arg.value), None) for arg in node.args[:1] if isinstance(arg, ast.Constant))


def project_imports(module: str, sources: Sources) -> list[tuple[str, Import]]:
    """The modules of the package that `module` imports, by the names they have in `sources`, with the import itself.

    `from tiedlm.losses import chunked` leads to the module `tiedlm.losses.chunked`; where there is no such module, the
    name comes out of `tiedlm.losses`.
    """
    found = []
    for one in imports(sources[module]):
        if one.module.split(".")[0] == PACKAGE:
            submodule = f"{one.module}.{one.name}"
            found.append((submodule if submodule in sources else one.module, one))
    return found


def files(*patterns: str) -> dict[str, Path]:
    """The project's files that match, by their name relative to its root; caches are left out."""
    paths = {path for pattern in patterns for path in ROOT.glob(pattern) if path.is_file()}
    return {path.relative_to(ROOT).as_posix(): path for path in sorted(paths) if "__pycache__" not in path.parts}
