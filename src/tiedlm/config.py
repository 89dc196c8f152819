"""Configuration ⇄ JSON: frozen, keyword-only dataclasses and no silent guess.

A config class lists its fields with a docstring each and checks them, and how they go together, in `__post_init__`.
`to_json` and `from_json` are each other's inverse. Unknown or missing fields and wrong types are errors that name the
field's whole path and the nearest field that does exist.

Two things keep configs that were written once readable, and those that say nothing new as they were. A field that came
`later` may be missing, and is not written at the value that its absence means. Where a field may hold one of several
classes, a class variable `kind` tells them apart in JSON; an object without `kind` is of the one class that has none.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from tiedlm.errors import ConfigError, suggestion

ABSENT = "(no such field)"
"""What `differing` gives for a field that one of the two lacks."""
KIND = "kind"
_LATER = "later"

Config = TypeVar("Config")


def later(default: Any) -> Any:
    """Return the dataclass field of a setting that older configs lack; they mean `default`."""
    return dataclasses.field(default=default, metadata={_LATER: True})


def to_json(config: Any) -> dict[str, Any]:
    """Return a dataclass as plain JSON values: nested dictionaries, lists, strings, numbers, booleans, None."""
    values = {
        field.name: _value_to_json(getattr(config, field.name))
        for field in dataclasses.fields(config)
        if not (_LATER in field.metadata and getattr(config, field.name) == field.default)
    }
    name = _kind(type(config))
    return values if name is None else {KIND: name, **values}


def from_json(kind: type[Config], value: Any, path: str = "config") -> Config:
    """Return the config of class `kind` that `to_json` turned into `value`.

    Raises:
        ConfigError: an unknown or missing field, a value of another type, or one that the class refuses.
    """
    if not isinstance(value, dict):
        raise ConfigError(f"{path} must be an object with the fields of {kind.__name__}, but is {value!r}.")
    if _kind(kind) is not None:
        _of_kind([kind], value, path)
        value = {name: item for name, item in value.items() if name != KIND}
    hints = typing.get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(typing.cast(Any, kind))}
    for name in value:
        if name not in fields:
            raise ConfigError(f"{path} has no field {name!r}.{suggestion(name, fields)} Fields: {', '.join(fields)}.")
    missing = [name for name, field in fields.items() if name not in value and _LATER not in field.metadata]
    if missing:
        raise ConfigError(f"{path} lacks the field {missing[0]!r}: write all fields of {kind.__name__}.")
    return kind(**{name: _value_from_json(hints[name], value[name], f"{path}.{name}") for name in value})


def differing(one: Any, other: Any) -> dict[str, tuple[Any, Any]]:
    """Return field → (value in one, value in the other, `ABSENT` if it lacks the field) where two configs differ."""
    left, right = dict(_leaves(one)), dict(_leaves(other))
    pairs = {name: (left.get(name, ABSENT), right.get(name, ABSENT)) for name in [*left, *right]}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _leaves(config: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every field with its value: those that came later too, which JSON may leave out."""
    if (name := _kind(type(config))) is not None:
        yield prefix + KIND, name
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            yield from _leaves(value, f"{prefix}{field.name}.")
        else:
            yield prefix + field.name, value


def _value_to_json(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return to_json(value)
    if isinstance(value, (list, tuple)):
        return [_value_to_json(item) for item in value]
    if isinstance(value, dict):
        return {name: _value_to_json(item) for name, item in value.items()}
    return value


def _value_from_json(hint: Any, value: Any, path: str) -> Any:
    if dataclasses.is_dataclass(hint):
        return from_json(typing.cast(type, hint), value, path)
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        return _union_from_json(hint, value, path)
    if typing.get_origin(hint) is typing.Literal:
        return _literal_from_json(hint, value, path)
    if typing.get_origin(hint) is tuple:  # tuple[X, ...], a list in JSON
        items = _value_from_json(list, value, path)
        return tuple(_value_from_json(typing.get_args(hint)[0], item, f"{path}[{i}]") for i, item in enumerate(items))
    if typing.get_origin(hint) is dict:  # dict[str, X]; a plain `dict` holds any JSON
        items = _value_from_json(dict, value, path)
        return {
            name: _value_from_json(typing.get_args(hint)[1], item, f"{path}.{name}") for name, item in items.items()
        }
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        with suppress(OverflowError):
            return float(value)
        raise ConfigError(f"{path} must be of type float, but has {len(str(value))} digits, beyond 1.8e308.")
    if hint is typing.Any:
        return value
    expected = type(None) if hint is None else hint
    if not isinstance(value, expected) or (isinstance(value, bool) and expected is not bool):
        raise ConfigError(f"{path} must be of type {getattr(expected, '__name__', expected)}, but is {value!r}.")
    return value


def _union_from_json(hint: Any, value: Any, path: str) -> Any:
    members = typing.get_args(hint)
    if value is None and type(None) in members:
        return None
    others = [member for member in members if member is not type(None)]
    if all(map(dataclasses.is_dataclass, others)):
        return from_json(_of_kind(others, value, path), value, path)
    if len(others) == 1:
        return _value_from_json(others[0], value, path)
    raise ConfigError(f"{path} must be one of {hint}, but is {value!r}.")


def _kind(config: Any) -> str | None:
    """Return the `kind` that a class has as such; a field of that name is one like others."""
    fields = [field.name for field in dataclasses.fields(config)]
    return None if KIND in fields else getattr(config, KIND, None)


def _of_kind(classes: Sequence[type], value: Any, path: str) -> type:
    by_kind = {_kind(each): each for each in classes}
    kind = value.get(KIND) if isinstance(value, dict) else None
    if not isinstance(kind, str | None) or kind not in by_kind:
        known = [name for name in by_kind if name is not None]
        names = ", ".join([*map(repr, known), *(["or be left out"] if None in by_kind else [])])
        raise ConfigError(f"{path}.{KIND} must be one of {names}, but is {kind!r}.{suggestion(str(kind), known)}")
    return by_kind[kind]


def _literal_from_json(hint: Any, value: Any, path: str) -> Any:
    allowed = typing.get_args(hint)
    if value not in allowed:
        names = ", ".join(map(repr, allowed))
        raise ConfigError(
            f"{path} must be one of {names}, but is {value!r}.{suggestion(str(value), map(str, allowed))}"
        )
    return value
