"""The generated parts of pages that people write: what stands between two markers, and nothing else."""

from __future__ import annotations

from pathlib import Path

from tiedlm.errors import RunError

BEGIN = "<!-- made by `tiedlm reproduce --render`: edit results, not this -->"
END = "<!-- end of what is made -->"


def with_part(page: Path, part: str) -> str:
    """Return a page's text with `part` between its markers, which stand on lines of their own.

    Raises:
        RunError: the page is missing, or does not have each marker once, in order.
    """
    if not page.is_file():
        raise RunError(f"{page} is missing. Name the folder of the project, with its README and docs: --project DIR.")
    lines = page.read_text(encoding="utf-8").splitlines(keepends=True)
    places = [[number for number, line in enumerate(lines) if line.strip() == marker] for marker in (BEGIN, END)]
    if [len(found) for found in places] != [1, 1] or places[0] > places[1]:
        raise RunError(
            f"{page} must have the line {BEGIN!r} once, and the line {END!r} once below it, but has them "
            f"{len(places[0])} and {len(places[1])} times. Put them where the tables belong."
        )
    (begin,), (end,) = places
    return "".join([*lines[: begin + 1], "\n", part.strip("\n"), "\n\n", *lines[end:]])
