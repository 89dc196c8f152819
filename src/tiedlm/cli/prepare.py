"""`tiedlm prepare`: a corpus found, fetched or made, checked and encoded, and what it counts."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import tyro

from tiedlm.cli.output import print_json, print_table, print_values, say
from tiedlm.cli.parsing import Directory, Switch, parse
from tiedlm.data.sources import CORPUS_NAMES, CorpusConfig
from tiedlm.errors import ConfigError

File = Annotated[str | None, tyro.conf.arg(metavar="FILE")]


@dataclass(frozen=True, kw_only=True)
class TextOptions:
    """The text, for the corpus `text`, and the size of the vocabulary."""

    train: File = None
    """Training text: UTF-8, one sentence or paragraph a line, words between blanks."""
    valid: File = None
    """Validation text."""
    test: File = None
    """Test text."""
    vocabulary_size: Annotated[int | None, tyro.conf.arg(metavar="WORDS")] = None
    """Words in the vocabulary, `<unk>` and `<eos>` included; None keeps every word of the training text."""


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Find or fetch a corpus, check it, encode it, and print what it counts.

    Corpora: ptb, wikitext-2, wikitext-2-half1 and wikitext-2-half2 (halves of its training text), builtin (English of
    Python's own documentation), synthetic (a source of known entropy), and text, that is three files of one's own. A
    training does the same by itself.
    """

    name: Annotated[str | None, tyro.conf.arg(metavar="CORPUS"), tyro.conf.Positional] = None
    """Name of the corpus; it may be left out where text files are given."""
    data_dir: Directory = None
    """Folder in which ptb or wikitext-2 is, or to which it is downloaded; without it the usual data folder."""
    corpus: TextOptions = field(default_factory=TextOptions)
    json: Switch = False
    """Print everything as JSON."""


def main(arguments: Sequence[str]) -> int:
    """Run the command and return the exit status."""
    given = parse(Arguments, arguments, "prepare")
    options = asdict(given.corpus)
    if given.name is None and not any(options.values()):
        raise ConfigError(f"Name the corpus to prepare. Corpora: {', '.join(CORPUS_NAMES)}.")
    config = CorpusConfig(name=given.name or "text", **options)
    from tiedlm.data.corpus import prepare

    corpus = prepare(config, data_dir=given.data_dir, progress=lambda line: say(line, file=sys.stderr))
    cached = Path(corpus.splits["train"].ids.filename).parent  # pyright: ignore[reportAttributeAccessIssue]
    report: dict[str, Any] = {"corpus": corpus.name, "encoded in": str(cached)}
    if given.json:
        print_json({"corpus": corpus.name, "encoded_in": str(cached), **corpus.provenance})
        return 0
    origin = corpus.provenance["origin"]
    told = {name.replace("_", " "): value for name, value in origin.items() if isinstance(value, (str, int, float))}
    print_values(report | told | {"vocabulary": len(corpus.vocabulary)})
    rows = [
        [name, str(split["lines"]), str(split["words"]), str(split["unknown"]), split["text_sha256"]]
        for name, split in corpus.provenance["splits"].items()
    ]
    print_table(("split", "lines", "words with <eos>", "unknown", "sha256 of the text"), rows)
    return 0
