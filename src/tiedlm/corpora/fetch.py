"""A published corpus → its three texts on this machine: found in the data folder or downloaded there, and checked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tiedlm.corpora.download import download, extract
from tiedlm.corpora.encode import Encoded
from tiedlm.corpora.sources import Source, SourceFile
from tiedlm.corpora.text import text_sha256
from tiedlm.errors import CorpusError
from tiedlm.files import PARTIAL
from tiedlm.locations import DATA_VARIABLE


def fetch(source: Source, data: Path, progress: Callable[[str], None]) -> dict[str, Path]:
    """Return the text file of each split of a published corpus, equal to the published one to the byte.

    Args:
        source: which corpus.
        data: the data folder: each file is looked for under its `names` there, and downloaded to the first of them.
        progress: is told, a line each, what takes time.

    Raises:
        CorpusError: a file with another content, a download that failed, a folder that cannot be written.
    """
    found = {split: _find(data, file) for split, file in source.files.items()}
    missing = [file for split, file in source.files.items() if found[split] is None]
    if missing:
        progress(f"Downloading {source.title} to {data / source.name}. {source.licence}")
        _download(source, missing, data, progress)
    texts = {split: found[split] or data / file.names[0] for split, file in source.files.items()}
    for split, path in texts.items():
        _check_text(source, source.files[split], path)
    return texts


def check_counts(source: Source, encoded: Encoded, *, whole_vocabulary: bool) -> None:
    """Raise a CorpusError unless lines, words and, for a whole vocabulary, distinct words are the published ones."""
    for name, file in source.files.items():
        split = encoded.splits[name]
        if (split.lines, split.words) != (file.lines, file.words_and_ends):
            raise CorpusError(
                f"The {name} text of {source.name} counts {split.lines:,} lines and {split.words:,} words with "
                f"`<eos>`, but {file.lines:,} and {file.words_and_ends:,} are published. Please report this."
            )
    if whole_vocabulary and len(encoded.vocabulary) != source.types:
        raise CorpusError(
            f"{source.name} has {len(encoded.vocabulary):,} distinct words, but {source.types:,} are published. "
            "Please report this."
        )


def _find(data: Path, file: SourceFile) -> Path | None:
    return next((data / name for name in file.names if (data / name).is_file()), None)


def _check_text(source: Source, file: SourceFile, path: Path) -> None:
    if (found := text_sha256(path)) != file.sha256:
        raise CorpusError(
            f"{path} is not the published text of {source.name}: it has {path.stat().st_size:,} bytes and the sha256 "
            f"{found}, but must have {file.size_bytes:,} bytes and {file.sha256}. Put the published file there, or "
            "move this one away to have it downloaded; for a text of your own use --corpus.name text."
        )


def _download(source: Source, missing: list[SourceFile], data: Path, progress: Callable[[str], None]) -> None:
    names = ", ".join(file.names[0] for file in source.files.values())
    hint = f" Or put {names} into a folder and name it with --data-dir or {DATA_VARIABLE}."
    if source.archive_sha256 is None:
        for file in missing:
            download(file.address, file.sha256, data / file.names[0], progress, hint)
        return
    archive = data / source.name / (missing[0].address.rsplit("/", 1)[-1] + PARTIAL)  # never a file of the user's
    download(missing[0].address, source.archive_sha256, archive, progress, hint)
    try:
        for file in missing:
            extract(archive, file.member or "", file.sha256, data / file.names[0], hint)
    finally:
        archive.unlink(missing_ok=True)
