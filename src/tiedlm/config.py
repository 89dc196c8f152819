"""Configuration ⇄ JSON: frozen, keyword-only dataclasses, a version, and no silent guess.

A config class lists its fields with a docstring each and checks them, and how they go together, in `__post_init__`.
`to_json` and `from_json` are each other's inverse. Unknown or missing fields and wrong types are errors that name the
field's whole path and the nearest field that does exist.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Iterator
from typing import Any, TypeVar

from tiedlm.errors import ConfigError, suggestion

CONFIG_VERSION = 1

ABSENT = "(no such field)"
"""What `differing` gives for a field that one of the two lacks."""

Config = TypeVar("Config")


def to_json(config: Any) -> dict[str, Any]:
    """Return a dataclass as plain JSON values: nested dictionaries, lists, strings, numbers, booleans, None."""
    return {field.name: _value_to_json(getattr(config, field.name)) for field in dataclasses.fields(config)}


def from_json(kind: type[Config], value: Any, path: str = "config") -> Config:
    """Return the config of class `kind` that `to_json` turned into `value`.

    Raises:
        ConfigError: an unknown or missing field, a value of another type, or one that the class refuses.
    """
    if not isinstance(value, dict):
        raise ConfigError(f"{path} must be an object with the fields of {kind.__name__}, but is {value!r}.")
    hints = typing.get_type_hints(kind)
    fields = [field.name for field in dataclasses.fields(kind)]  # pyright: ignore[reportArgumentType]
    for name in value:
        if name not in fields:
            raise ConfigError(f"{path} has no field {name!r}.{suggestion(name, fields)} Fields: {', '.join(fields)}.")
    missing = [name for name in fields if name not in value]
    if missing:
        raise ConfigError(f"{path} lacks the field {missing[0]!r}: write all fields of {kind.__name__}.")
    return kind(**{name: _value_from_json(hints[name], value[name], f"{path}.{name}") for name in fields})


def differing(one: dict[str, Any], other: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return field → (value in one, value in the other) where two configs as JSON differ; `training.epochs` is a field.

    Fields that only one has come with `ABSENT` for the other.
    """
    own, theirs = dict(_leaves(one)), dict(_leaves(other))
    pairs = {name: (own.get(name, ABSENT), theirs.get(name, ABSENT)) for name in [*own, *theirs]}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _leaves(value: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, item in value.items():
        if isinstance(item, dict):
            yield from _leaves(item, f"{prefix}{name}.")
        else:
            yield prefix + name, item


def _value_to_json(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return to_json(value)
    if isinstance(value, (list, tuple)):
        return [_value_to_json(item) for item in value]
    return value


def _value_from_json(hint: Any, value: Any, path: str) -> Any:
    if dataclasses.is_dataclass(hint):
        return from_json(typing.cast(type, hint), value, path)
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        return _union_from_json(hint, value, path)
    if typing.get_origin(hint) is typing.Literal:
        return _literal_from_json(hint, value, path)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    expected = type(None) if hint is None else hint
    if not isinstance(value, expected) or (isinstance(value, bool) and expected is not bool):
        raise ConfigError(f"{path} must be of type {getattr(expected, '__name__', expected)}, but is {value!r}.")
    return value


def _union_from_json(hint: Any, value: Any, path: str) -> Any:
    members = typing.get_args(hint)
    if value is None and type(None) in members:
        return None
    others = [member for member in members if member is not type(None)]
    if len(others) == 1:
        return _value_from_json(others[0], value, path)
    raise ConfigError(f"{path} must be one of {hint}, but is {value!r}.")


def _literal_from_json(hint: Any, value: Any, path: str) -> Any:
    allowed = typing.get_args(hint)
    if value not in allowed:
        names = ", ".join(map(repr, allowed))
        raise ConfigError(
            f"{path} must be one of {names}, but is {value!r}.{suggestion(str(value), map(str, allowed))}"
        )
    return value
