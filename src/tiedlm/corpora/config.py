"""Which text to learn from: the config of a corpus. Imports no torch and no numpy."""

from __future__ import annotations

from dataclasses import dataclass

from tiedlm.errors import ConfigError, suggestion

CORPUS_NAMES = ("ptb", "wikitext-2", "wikitext-2-half1", "wikitext-2-half2", "builtin", "synthetic", "text")


@dataclass(frozen=True, kw_only=True)
class CorpusConfig:
    """A named corpus, or three text files of one's own, and the size of the vocabulary.

    With `train`, `valid` and `test` given, the corpus is one's own text (`name` is "text").
    """

    name: str = "text"
    """`ptb`, `wikitext-2` or its halves `wikitext-2-half1` and `-half2`, `builtin`, `synthetic`, or `text`."""
    train: str | None = None
    """Path of the training text, for `name` "text" only: UTF-8, a sentence a line, blanks between words."""
    valid: str | None = None
    """Path of the validation text, for `name` "text" only."""
    test: str | None = None
    """Path of the test text, for `name` "text" only."""
    vocabulary_size: int | None = None
    """Words in the vocabulary, `<unk>` and `<eos>` included; None keeps every word of the training text."""

    def __post_init__(self) -> None:
        if self.name not in CORPUS_NAMES:
            raise ConfigError(
                f"There is no corpus {self.name!r}.{suggestion(self.name, CORPUS_NAMES)} "
                f"Corpora: {', '.join(CORPUS_NAMES)}."
            )
        self._check_files()
        if self.vocabulary_size is not None and self.vocabulary_size < 3:
            raise ConfigError(
                f"corpus.vocabulary_size is {self.vocabulary_size}, but must be 3 or more (`<unk>`, `<eos>`, a word)."
            )

    def _check_files(self) -> None:
        given = {split: path for split in ("train", "valid", "test") if (path := getattr(self, split)) is not None}
        if self.name == "text" and len(given) < 3:
            missing = ", ".join(f"--corpus.{split}" for split in ("train", "valid", "test") if split not in given)
            raise ConfigError(f"The corpus `text` needs three text files; {missing} is missing.")
        if self.name != "text" and given:
            split = next(iter(given))
            raise ConfigError(
                f"corpus.{split} has no effect on the corpus {self.name!r}, which brings its own text. "
                "Use --corpus.name text with files of your own."
            )
