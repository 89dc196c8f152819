"""A list of seeds as people write it: `0-4`, `0,2,5`, `0-2,7`."""

from __future__ import annotations

import re

from tiedlm.errors import ArgumentError

MOST = 1000
"""Seeds of one list: more are a slip of the finger."""
_PART = re.compile(r"(\d{1,18})(?:-(\d{1,18}))?", re.ASCII)


def parse_seeds(text: str) -> list[int]:
    """Return the seeds of a list, in its order.

    Raises:
        ArgumentError: another form, a range that runs down, a seed that stands there twice, or too many; the nearest
            list that can be meant is told.
    """
    seeds: list[int] = []
    for part in text.replace(" ", "").split(","):
        found = _PART.fullmatch(part)
        if found is None:
            raise ArgumentError(_told(text, f"{part!r} is neither a seed nor a range of seeds"))
        first, last = int(found[1]), int(found[2] or found[1])
        if last < first:
            raise ArgumentError(_told(text, f"the range {part} runs down"))
        if last - first >= MOST or len(seeds) >= MOST:
            raise ArgumentError(_told(text, f"more than {MOST} seeds are too many for one command", nearest=False))
        seeds += range(first, last + 1)
    twice = next((seed for seed in seeds if seeds.count(seed) > 1), None)
    if twice is not None:
        raise ArgumentError(_told(text, f"the seed {twice} stands there twice"))
    return seeds


def _told(text: str, fault: str, *, nearest: bool = True) -> str:
    advice = f" Did you mean {near}?" if nearest and (near := _nearest(text)) else ""
    return f"The list of seeds {text!r} is not readable: {fault}.{advice} Write seeds and ranges, as in 0-4 or 0,2,5."


def _nearest(text: str) -> str | None:
    """Return the list whose numbers are those of `text`, each once; two with a sign of a range between are a range."""
    if len(text) > MOST:
        return None
    clear = re.sub(r"\s*(\.\.+|:|–|—|-+|\bto\b)\s*", "-", text)
    parts = re.findall(r"\d+-\d+|\d+", clear, re.ASCII)
    ordered = ["-".join(sorted(dict.fromkeys(part.split("-")), key=int)) for part in parts]
    nearest = ",".join(dict.fromkeys(ordered))
    return nearest if nearest not in ("", text) else None
