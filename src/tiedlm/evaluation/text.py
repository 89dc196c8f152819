"""A text file → its ids under a vocabulary, in memory that does not grow with the text.

The ids stand in a temporary file while they are used. How a text is read is told in `tiedlm.corpora.text`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from tiedlm.corpora.encode import write_ids
from tiedlm.corpora.vocabulary import Vocabulary
from tiedlm.errors import CorpusError


@contextmanager
def text_as_ids(path: Path, vocabulary: Vocabulary) -> Iterator[np.ndarray[Any, Any]]:
    """Yield the ids of the text file `path`, `<eos>` after each line [words]: memory-mapped, for the block only.

    Raises:
        CorpusError: the file is missing, empty, not UTF-8 text, or has no word; or there is no room for its ids.
    """
    with tempfile.TemporaryDirectory(prefix="tiedlm-") as folder:
        target = Path(folder) / "ids.npy"
        try:
            write_ids(path, vocabulary, target)
        except OSError as error:
            raise CorpusError(
                f"The ids of {path} cannot be written to {folder}: {error.strerror or error}. Make room there, or set "
                "TMPDIR to another folder."
            ) from error
        yield np.load(target, mmap_mode="r", allow_pickle=False)
