"""What a failing disk means to the user, in words. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tiedlm.errors import RunError


@contextmanager
def saving(path: Path) -> Iterator[None]:
    """Turn an `OSError` of the block, such as a full disk, into a `RunError` that names `path`."""
    try:
        yield
    except OSError as error:
        raise RunError(
            f"{path} could not be saved: {error.strerror or error}. What was saved there before is whole. "
            "Free some space, or check that you may write there, and go on."
        ) from error
