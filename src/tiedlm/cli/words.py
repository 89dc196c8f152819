"""The words of a command line told apart before they are parsed: options with their values, and the others.

A recipe decides which defaults the other options have, so `train` must know it before tyro can parse the rest.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple


class Words(NamedTuple):
    """What a command line holds."""

    others: list[str]
    """Words that are neither options nor their values."""
    options: dict[str, str]
    """Option, without its dashes and in hyphens, to its value; switches have an empty one."""
    rest: Sequence[str] = ()
    """The command line without `others`."""


def split_words(arguments: Sequence[str], switches: Collection[str]) -> Words:
    """Return options and other words; `switches` are the options without a value, by their names without dashes.

    Both `--name value` and `--name=value` are known; the last of several is taken, as tyro does.
    """
    rest: list[str] = []
    found, waiting = Words([], {}, rest), None
    for word in arguments:
        if waiting is not None or word.startswith("-"):
            rest.append(word)
        if waiting is not None:
            found.options[waiting], waiting = word, None
        elif not word.startswith("--"):
            if word != "-h":
                found.others.append(word)
        else:
            name, equals, value = word[2:].partition("=")
            name = name.replace("_", "-")
            found.options[name] = value
            waiting = None if equals or name in switches else name
    return found
