"""The corpus `builtin`: real English that every Python brings along, for a first run without a network.

It is made of the reference topics and docstrings of Python's standard library (`documentation`), of which the English
sentences are kept (`prose`) and written as plain words (`plain_words`), one sentence a line, in the order of the units'
names and of the source. A sentence that was seen before, anywhere, is left out. A whole unit, that is a topic or a
top-level module or package, goes to one split, chosen by the sha256 of its name: about eight tenths to train, one each
to valid and test. So neither a sentence nor a module lies in two splits.

The text depends on the Python release and on these rules alone; both are recorded beside the sha256 of each split.
"""

from __future__ import annotations

import hashlib
import platform
import sysconfig
from pathlib import Path
from typing import Any

from tiedlm import files
from tiedlm.corpora import documentation, prose
from tiedlm.corpora.encode import SPLITS
from tiedlm.errors import CorpusError

RULE_VERSION = 1
"""Goes up with every change of the rules that changes the text."""

SALT = 668
"""Chosen on word counts alone: with it the shares stay near 80, 10 and 10 % from Python 3.11 to 3.13, and no unit is
more than a quarter of valid or test."""


def build(folder: Path, library: Path | None = None) -> dict[str, Any]:
    """Write `train.txt`, `valid.txt` and `test.txt` into `folder` and return where they come from.

    Args:
        folder: an existing folder.
        library: the folder of a standard library's sources; None takes that of the running Python.

    Returns:
        `{"python", "rule_version", "splits": {split: {"modules", "lines", "words", "sha256"}}}`; `modules` names the
        units with at least one sentence in the split, `words` leaves `<eos>` out.

    Raises:
        CorpusError: the library's sources are missing, damaged, or too few to fill three splits.
    """
    library = library or Path(sysconfig.get_path("stdlib"))
    lines = unit_lines(documentation.read_units(library))
    splits = {split: {unit: lines[unit] for unit in lines if split_of(unit) == split} for split in SPLITS}
    for split, units in splits.items():
        if not units:
            raise CorpusError(
                f"The documentation found in {library} is too little for a corpus: the {split} split would be empty. "
                "Use a Python that was installed with the sources of its library, or another corpus."
            )
    return {
        "python": platform.python_version(),
        "rule_version": RULE_VERSION,
        "splits": {split: _write(folder / f"{split}.txt", units) for split, units in splits.items()},
    }


def unit_lines(units: dict[str, list[str]]) -> dict[str, list[str]]:
    """Return the sentences of each unit that has any, each sentence only where it is met first."""
    seen: set[str] = set()
    lines: dict[str, list[str]] = {}
    for unit, texts in units.items():
        for sentence in (sentence for text in texts for sentence in prose.sentences(text)):
            if sentence not in seen:
                seen.add(sentence)
                lines.setdefault(unit, []).append(sentence)
    return lines


def split_of(unit: str) -> str:
    """Return the split of a unit: by the first 8 bytes of the sha256 of `{SALT}/{unit}`, modulo 10."""
    digit = int.from_bytes(hashlib.sha256(f"{SALT}/{unit}".encode()).digest()[:8], "big") % 10
    return {8: "valid", 9: "test"}.get(digit, "train")


def _write(path: Path, units: dict[str, list[str]]) -> dict[str, Any]:
    lines = [line for unit in units.values() for line in unit]
    content = "".join(f"{line}\n" for line in lines).encode()
    files.write_bytes(path, content)
    return {
        "modules": list(units),
        "lines": len(lines),
        "words": sum(len(line.split(" ")) for line in lines),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
