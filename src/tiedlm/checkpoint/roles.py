"""The roles that files play in a run folder, and the names of those files. Imports no torch."""

from __future__ import annotations

import re

from tiedlm.errors import ArgumentError, suggestion

FIXED = {"config": "json", "vocabulary": "json", "environment": "json"}
"""Roles whose file is written once, when the folder is made, with the suffix of the file."""

VERSIONED = {"weights": "safetensors", "state": "safetensors", "progress": "json", "scores": "json", "moves": "json"}
"""Roles whose file every save may replace, with the suffix of the file."""

ROLES = FIXED | VERSIONED

JOURNAL_NAME = "journal.jsonl"
MANIFEST_NAME = "manifest.json"

_VERSIONED_NAME = "(?:" + "|".join(rf"{role}-[0-9]{{6,}}\.{suffix}" for role, suffix in VERSIONED.items()) + ")"
_PARTIAL = r"\.[0-9]+\.partial"
_LEFTOVER = re.compile(rf"{_VERSIONED_NAME}(?:{_PARTIAL})?|{re.escape(MANIFEST_NAME)}{_PARTIAL}")


def check_role(role: str) -> None:
    """Raise an `ArgumentError` unless `role` is one of `ROLES`."""
    if role not in ROLES:
        raise ArgumentError(f"A run folder has no role {role!r}.{suggestion(role, ROLES)} Roles: {', '.join(ROLES)}.")


def file_name(role: str, commit: int) -> str:
    """Return the name of the file that plays `role` when it is saved by the commit of this number."""
    return f"{role}.{FIXED[role]}" if role in FIXED else f"{role}-{commit:06d}.{VERSIONED[role]}"


def is_name_of(role: str, name: str) -> bool:
    """Return whether `file_name` could have given `name` for `role` (so it is never a path that leads elsewhere)."""
    if role in FIXED:
        return name == file_name(role, 0)
    return re.fullmatch(rf"{role}-[0-9]{{6,}}\.{VERSIONED[role]}", name) is not None


def may_be_leftover(name: str) -> bool:
    """Return whether a file of this name was written by a save, and may be deleted where the manifest lacks it."""
    return _LEFTOVER.fullmatch(name) is not None
