"""The corpus `builtin`: real English that every Python brings along, for a first run without a network.

It is made of the reference topics and docstrings of Python's standard library: their English sentences as plain words,
a sentence a line, each once. A unit, which is a topic or a top-level module or package, goes to one split by the sha256
of its name: about eight tenths to train, one each to valid and test. The text depends on the Python release and on
these rules alone.
"""

from __future__ import annotations

import ast
import hashlib
import itertools
import platform
import re
import sys
import sysconfig
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tiedlm import files
from tiedlm.data.sources import SPLITS
from tiedlm.errors import CorpusError

RULE_VERSION = 1
"""Goes up with every change of the rules that changes the text."""

SALT = 668
"""Chosen on word counts: the shares are near 80, 10 and 10 % from Python 3.11 to 3.13, and no unit dominates one."""

ADVICE = (
    "Use a Python that was installed with the sources of its library, or another corpus (`synthetic`, or text files of "
    "your own)."
)


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
    units: dict[str, dict[str, list[str]]] = {split: {} for split in SPLITS}
    seen: set[str] = set()
    for unit, texts in read_units(library).items():
        for sentence in (sentence for text in texts for sentence in sentences(text)):
            if sentence not in seen:
                seen.add(sentence)
                units[split_of(unit)].setdefault(unit, []).append(sentence)
    for split in SPLITS:
        if not units[split]:
            raise CorpusError(
                f"The documentation found in {library} is too little for a corpus: the {split} split would be empty. "
                f"{ADVICE}"
            )
    described = {}
    for split in SPLITS:
        lines = list(itertools.chain.from_iterable(units[split].values()))
        content = "".join(f"{line}\n" for line in lines).encode()
        files.write_bytes(folder / f"{split}.txt", content)
        described[split] = {
            "modules": list(units[split]),
            "lines": len(lines),
            "words": sum(len(line.split(" ")) for line in lines),
            "sha256": hashlib.sha256(content).hexdigest(),
        }
    return {"python": platform.python_version(), "rule_version": RULE_VERSION, "splits": described}


def split_of(unit: str) -> str:
    digit = int.from_bytes(hashlib.sha256(f"{SALT}/{unit}".encode()).digest()[:8], "big") % 10
    return {8: "valid", 9: "test"}.get(digit, "train")


# ---- Library to units: source files are parsed, no module is imported.

TEST_FOLDERS = frozenset({"test", "tests", "idle_test"})
BLOCKS = ("body", "handlers", "cases", "orelse", "finalbody")


def read_units(library: Path) -> dict[str, list[str]]:
    """Return the documentation texts of the library by name of the unit, both in fixed order.

    `topic NAME` is a text of the language reference, as `pydoc` shows it; `module NAME` the docstrings of a top-level
    module or package, in the order of the source. Test packages and what is not of the library are left out.
    """
    path = library / "pydoc_data" / "topics.py"
    assigned = [node.value for node in _parsed(path).body if isinstance(node, ast.Assign)]
    try:
        topics = ast.literal_eval(next(value for value in assigned if isinstance(value, ast.Dict)))
        units = {f"topic {name}": [text] for name, text in sorted(topics.items())}
    except (StopIteration, ValueError) as error:
        raise _unreadable(path, "it holds no dictionary of texts") from error
    paths: list[Path] = []
    for top in library.iterdir():
        if top.name.removesuffix(".py") in sys.stdlib_module_names and top.name != "pydoc_data":
            paths += [top] if top.suffix == ".py" else top.rglob("*.py")
    for parts in sorted(path.relative_to(library).parts for path in paths):
        if not TEST_FOLDERS.intersection(parts):
            texts = docstrings(_parsed(library.joinpath(*parts)))
            units.setdefault(f"module {parts[0].removesuffix('.py')}", []).extend(texts)
    return units


def docstrings(node: ast.AST) -> Iterator[str]:
    """Yield the docstrings in a parsed module, in the order in which they are written."""
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and (
        text := ast.get_docstring(node)
    ):
        yield text
    for block in BLOCKS:  # statements only: no docstring stands within an expression
        for statement in getattr(node, block, ()):
            yield from docstrings(statement)


def _parsed(path: Path) -> ast.Module:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the library's own escapes
            return ast.parse(path.read_bytes(), filename=str(path))
    except (OSError, SyntaxError, ValueError) as error:
        raise _unreadable(path, str(error)) from error


def _unreadable(path: Path, reason: str) -> CorpusError:
    return CorpusError(
        f"The corpus `builtin` is made of the documentation in Python's own library, but {path} is missing or damaged "
        f"({reason}). {ADVICE}"
    )


# ---- Text to paragraphs: runs of lines between blank lines, bullets and changes of indentation. Doctests, literal
# blocks (after `::`), titles with the line under them, directives and field lists are left out.

BULLET = re.compile(r"\A(?:[-*+•]|\(?(?:\d{1,2}|[a-z])[.)])\s+")
LABEL = re.compile(r"\A[*`'\"]*[\w.]+[*`'\"]*(?:\([^)]*\))?\s*(?::|--?)\s+(?=[A-Z])")
UNDERLINE = re.compile(r"\s*([=~*^#+_.\"'-])\1{2,}\s*")
NO_PROSE = re.compile(r"\s*(?:>>>|\.\. |:\w[\w ]*:(?:\s|$)|@\w)")
BROKEN_WORD = re.compile(r"(?<=[a-z]-)\n(?=[a-z])")


def paragraphs(text: str) -> Iterator[str]:
    """Yield the paragraphs of a text on a line each, without bullet or label (`timeout` in `timeout -- How long`)."""
    literal_below: int | None = None  # indentation of a line that ended in `::`
    for block in re.split(r"\n\s*\n", text.expandtabs().strip("\n")):
        lines = block.split("\n")
        if literal_below is not None and _indentation(lines[0]) > literal_below:
            continue
        literal_below = _indentation(lines[-1]) if lines[-1].rstrip().endswith("::") else None
        for group in _grouped(lines):
            joined = BROKEN_WORD.sub("", "\n".join(line.strip() for line in group)).replace("\n", " ")
            yield LABEL.sub("", BULLET.sub("", joined))


def _grouped(lines: list[str]) -> list[list[str]]:
    prose: list[str] = []
    for line in lines:
        if NO_PROSE.match(line):
            break
        if UNDERLINE.fullmatch(line):
            del prose[-1:]  # the title above it
        else:
            prose.append(line)
    groups: list[list[str]] = []
    for line in prose:
        step = _indentation(line) - _indentation(groups[-1][-1]) if groups else 0
        # a deeper line goes on with its paragraph (a hanging indent), unless that had come to an end
        deeper = step > 0 and groups[-1][-1].rstrip().endswith((".", ":", "!", "?"))
        if not groups or step < 0 or deeper or BULLET.match(line.strip()):
            groups.append([])
        groups[-1].append(line)
    return groups


def _indentation(line: str) -> int:
    return len(line) - len(line.lstrip())


# ---- Sentence to words, in the manner of the Penn Treebank as it is used for language models:
#
# * Marks of emphasis, roles, footnotes and quotation marks go: `*key*`, ``key``, `:class:`key`` and "key" become `key`.
# * What is quoted, or called with arguments, and is no plain name or phrase becomes the one word `<code>`; the empty
#   parentheses of `close()` go.
# * Letters become lower case. Dotted, hyphenated and slashed words stay whole: `os.path`, `read-only`, `and/or`.
# * Whatever begins with a digit becomes `N`, between hyphens too: `3.11` -> `N`, `16-bit` -> `N-bit`.
# * `don't` becomes `do n't`, and `it's` `it 's`.
# * Punctuation stands alone: `. , ; : ? ! ( ) -- ...`, and the apostrophe of a plural; abbreviations keep their points.

CODE = "<code>"
PUNCTUATION = frozenset({".", ",", ";", ":", "?", "!", "(", ")", "--", "...", "'"})
ABBREVIATION = re.compile(r"\b(?:e\.?g|i\.?e|etc|al|cf|vs|resp|approx|a\.k\.a|ca|mr|mrs|dr|jr|inc)\.", re.IGNORECASE)
PLAIN_QUOTE = re.compile(r"[\w.,;?!' -]*\w[.?!]?(?:\(\))?")
QUOTE = re.compile(
    r"``([^`]+)``|`([^`'\s]+)'(?!\w)|`([^`]+)`_{0,2}|\"([^\"]*)\"|“([^”]*)”|(?<![\w'])'([^']*)'(?![\w'])"
)
CALL = re.compile(r"(?<![\w.])[\w.]+\([^()\s][^()]*\)")
MARKUP = (
    (re.compile(r"[‘’]"), "'"),
    (re.compile(r"(?<=\w)\((?:e?s)\)"), ""),  # the plural of `socket address(es)`
    (re.compile(r"(?<!\w)\[\d+\]_?"), ""),  # the mark of a footnote
    (re.compile(r":\w+:(?=`)"), ""),  # the role of a name, as in :class:`Path`
    (re.compile(r"(?<![\w*])(\*\*?)([^\s*](?:[^*]*[^\s*])?)\1(?![\w*])"), r"\2"),  # emphasis
    (re.compile(r"::"), ":"),  # what announces a literal block
)
SPACING = (
    (re.compile(r"(?<=\w)\(\)"), ""),
    (re.compile(r"\s--?-?\s|(?<=\w)---?(?=\w)|—|\s–\s"), " -- "),
    (re.compile(r"…|\.\.\.\.?"), " ... "),
)
TOKEN = re.compile(
    rf"{CODE}"
    rf"|{ABBREVIATION.pattern}"
    r"|\d(?:[\w.,:]*\w)?(?:-\w+)*"
    r"|[a-z]+(?=n't\b)|n't\b|'(?:s|re|ve|ll|d|m)\b"
    r"|(?:(?<!\S)\.)?[^\W\d]\w*(?:[./-]\w+)*"  # the point of `.pyc` belongs to it
    r"|\.\.\.|--|\S",
    re.IGNORECASE,
)


def plain_words(sentence: str) -> list[str]:
    for pattern, replacement in MARKUP:
        sentence = pattern.sub(replacement, sentence)
    sentence = CALL.sub(CODE, QUOTE.sub(_quoted, sentence))
    for pattern, replacement in SPACING:
        sentence = pattern.sub(replacement, sentence)
    return [
        "-".join("N" if part[0].isdigit() else part.lower() for part in token.split("-"))
        if token[0].isdigit()
        else token.lower()
        for token in TOKEN.findall(sentence)
    ]


def _quoted(match: re.Match[str]) -> str:
    text = next(group for group in match.groups() if group is not None).strip()
    return text if PLAIN_QUOTE.fullmatch(text) else CODE


# ---- Paragraph to sentences: pieces that end in `. ! ? :`, and the last one, if they read as English and not as
# signatures, tables, grammars or code.

SENTENCE_END = re.compile(r"(?<=[.!?])[\"'”)]*\s+")
NO_END = re.compile(rf"(?:{ABBREVIATION.pattern}|\b[A-Z]\.)$", re.IGNORECASE)
SENTENCE_START = re.compile(r"[(\"“'`*]*[A-Z0-9]")
MIN_WORDS = 3
MIN_WORDS_WITHOUT_END_MARK = 5
MAX_WORDS_WITHOUT_FUNCTION_WORD = 8  # a longer one is a list of names
MIN_PLAIN_SHARE = 0.7
PLAIN_WORD = re.compile(r"[a-z]+(?:-[a-z]+)*|N(?:-(?:[a-z]+|N))*|'[a-z]+|n't|.*\.")
ANY_WORD = re.compile(rf"{CODE}|[\w./-]*\w[\w./-]*|'[a-z]+|n't|.*\w\.")
_VERBS = """
is are was were be can could will would may might must shall should does do has have had
returns means gives specifies takes contains holds determines defaults sets controls represents
"""
_OTHER_FUNCTION_WORDS = """
the a an of to in and or for from it its this that these those with if on by not as at when which then there all any no
you we into between up out over under after before until only but one two more than using
"""
VERBS = frozenset(_VERBS.split())
FUNCTION_WORDS = VERBS | frozenset(_OTHER_FUNCTION_WORDS.split())


def sentences(text: str) -> Iterator[str]:
    for paragraph in paragraphs(text):
        pieces, start = [], 0
        for match in SENTENCE_END.finditer(paragraph):
            if not NO_END.search(paragraph[start : match.start()]):
                pieces.append(paragraph[start : match.end()].strip())
                start = match.end()
        for piece in [*pieces, paragraph[start:].strip()]:
            words = _without_outer_parentheses(plain_words(piece))
            if words and _is_prose(piece, words):
                yield " ".join(words)


def _without_outer_parentheses(words: list[str]) -> list[str]:
    difference = words.count("(") - words.count(")")
    if words[:1] == ["("] and (difference == 1 or (difference == 0 and words[-1] == ")")):
        words = words[1:]
    return words[:-1] if words[-1:] == [")"] and words.count("(") < words.count(")") else words


def _is_prose(piece: str, words: list[str]) -> bool:
    inner = [word for word in words if word not in PUNCTUATION]
    plain = sum(1 for word in inner if PLAIN_WORD.fullmatch(word))
    has_function_word = not FUNCTION_WORDS.isdisjoint(inner)
    # a name may begin in lower case: "shape is a pair" is a sentence, "shape of the polygon" the end of one
    starts = bool(SENTENCE_START.match(piece)) or not VERBS.isdisjoint(words[1:5])
    # the summary line of a docstring often has no full stop, but a heading or an entry of a list has none either
    ends = words[-1].endswith((".", "!", "?", ":")) or (
        len(words) >= MIN_WORDS_WITHOUT_END_MARK
        and words[-1].isalpha()
        and not FUNCTION_WORDS.isdisjoint(words)
        and ":" not in words
    )
    return (
        len(inner) >= MIN_WORDS
        and plain >= MIN_PLAIN_SHARE * len(inner)
        and all(ANY_WORD.fullmatch(word) for word in inner)
        and words.count("(") == words.count(")")
        and (has_function_word or plain == len(inner) <= MAX_WORDS_WITHOUT_FUNCTION_WORD)
        and starts
        and ends
    )
