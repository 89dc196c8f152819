"""Small wrong changes to a Python module: what each replaces, found in its syntax tree and made in its text.

Annotations, assertions, f-strings and docstrings are left alone: the first three say nothing that a test could notice
but through words, and strings are changed only where they are compared.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from typing import NamedTuple, TypeVar

Node = TypeVar("Node", bound=ast.AST)


class Change(NamedTuple):
    """One wrong change to a module's text."""

    kind: str
    line: int
    column: int
    """Of the first character, both from 1."""
    before: str
    after: str
    start: int
    end: int
    """Where `before` stands, in bytes."""


COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Div,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
METHODS = {"amax": "amin", "max": "min", "min": "max", "any": "all", "all": "any", "zeros_like": "ones_like"}
"""Functions that are called for one another."""
DROPPED = {"to", "detach", "contiguous", "clone", "float", "double", "reshape"}
"""Methods whose call is left out."""
SYMMETRIC = {"max", "min", "promote_types"}
"""Functions whose arguments may come in any order."""


def changes(text: str) -> list[Change]:
    """Return every change to a module, in the order of its text."""
    starts = _starts(text)
    found = [
        _change(kind, node, new, text, starts)
        for node in _nodes(ast.parse(text))
        for kind, new in _replacements(node)  # what a replacement leaves as it was is no change
    ]
    return sorted((one for one in found if one.before != one.after), key=lambda one: (one.start, one.end, one.after))


def changed(text: str, change: Change) -> str:
    """Return the module's text with the change made."""
    whole = text.encode()
    return (whole[: change.start] + change.after.encode() + whole[change.end :]).decode()


def _nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes that may be changed: those within annotations, assertions and f-strings may not."""
    yield node
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns") or isinstance(value, ast.JoinedStr):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not isinstance(child, ast.Assert | ast.JoinedStr):
                yield from _nodes(child)


def _replacements(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Yield kinds of changes with what stands in the node's place."""
    match node:
        case ast.Compare():
            yield from _of_comparison(node)
        case ast.BinOp() | ast.AugAssign() if type(node.op) in ARITHMETIC:
            yield "arithmetic", _with(node, op=ARITHMETIC[type(node.op)]())
        case ast.BoolOp():
            yield "logic", _with(node, op=ast.Or() if isinstance(node.op, ast.And) else ast.And())
        case ast.UnaryOp():
            yield "negation", node.operand
        case ast.Constant():
            yield from _of_constant(node)
        case ast.If() | ast.IfExp() if not _turned_round_elsewhere(node.test):
            yield "condition", _with(node, test=ast.UnaryOp(ast.Not(), node.test))
        case ast.Call():
            yield from _of_call(node)
    if isinstance(node, ast.AugAssign | ast.Raise) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)):
        yield "statement", ast.Pass()


def _of_comparison(node: ast.Compare) -> Iterator[tuple[str, ast.AST]]:
    for index, operation in enumerate(node.ops):
        operations = [*node.ops]
        operations[index] = COMPARISONS[type(operation)]()
        yield "comparison", _with(node, ops=operations)
    for index, side in enumerate(node.comparators):
        if isinstance(side, ast.Constant) and isinstance(side.value, str):
            sides = [*node.comparators]
            sides[index] = ast.Constant(side.value + " ")
            yield "constant", _with(node, comparators=sides)


def _of_constant(node: ast.Constant) -> Iterator[tuple[str, ast.AST]]:
    match node.value:
        case bool():
            yield "constant", ast.Constant(not node.value)
        case int() | float():
            yield "constant", ast.Constant(node.value + 1)


def _turned_round_elsewhere(test: ast.expr) -> bool:
    """Return whether another change turns this condition round, or nothing that runs depends on it."""
    if isinstance(test, ast.Compare):
        return isinstance(test.ops[0], ast.Is | ast.IsNot | ast.Eq | ast.NotEq | ast.In | ast.NotIn)
    negated = isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not)
    return negated or (isinstance(test, ast.Name) and test.id == "TYPE_CHECKING")


def _of_call(node: ast.Call) -> Iterator[tuple[str, ast.AST]]:
    function = node.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    for index, (left, right) in enumerate(zip(node.args, node.args[1:], strict=False)):
        if name not in SYMMETRIC and not isinstance(left, ast.Starred) and not isinstance(right, ast.Starred):
            yield "swapped", _with(node, args=[*node.args[:index], right, left, *node.args[index + 2 :]])
    for index in range(len(node.keywords)):
        yield "option left out", _with(node, keywords=[*node.keywords[:index], *node.keywords[index + 1 :]])
    if isinstance(function, ast.Attribute):
        if function.attr in METHODS:
            yield "function", _with(node, func=_with(function, attr=METHODS[function.attr]))
        if function.attr in DROPPED:
            yield "call left out", function.value


def _with(node: Node, **fields: object) -> Node:
    """Return a copy of the node with other fields."""
    other = copy.copy(node)
    for name, value in fields.items():
        setattr(other, name, value)
    return other


def _starts(text: str) -> list[int]:
    """Return where each line begins, in bytes."""
    starts = [0]
    for line in text.encode().splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    return starts


def _change(kind: str, node: ast.AST, new: ast.AST, text: str, starts: list[int]) -> Change:
    """Return the change that puts `new` in the place of `node`; of a condition, that of the `if` alone."""
    if isinstance(node, ast.If) and isinstance(new, ast.If):
        node, new = node.test, new.test
    assert isinstance(node, ast.expr | ast.stmt)
    assert node.end_lineno is not None
    assert node.end_col_offset is not None
    start, end = starts[node.lineno - 1] + node.col_offset, starts[node.end_lineno - 1] + node.end_col_offset
    before, after = text.encode()[start:end].decode(), ast.unparse(new)
    if isinstance(new, ast.expr) and not isinstance(new, ast.Constant | ast.Name | ast.Call | ast.Attribute):
        after = f"({after})"
    return Change(kind, node.lineno, node.col_offset + 1, before, after, start, end)
