"""Prose out of documentation: which lines of a docstring are English sentences, and which words they hold.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

# paragraphs
DOCTEST = re.compile(r"\s*(>>>|\.\.\. )")
BULLET = re.compile(r"([-*+•o]|\(?\w{1,2}[.)])\s+")
RULE = re.compile(r"[^\w\s](.)*$")
UNDERLINE = re.compile(r"\s*([=\-~*^#+_.\"'])\1{2,}[\s\S]*$")
FIELD = re.compile(r"\s*(:\w+[^:]*:|@\w+)(\s|$)|\s*\.\. ")

# sentences
END = re.compile(r"(?<=[.!?])[\"')”]*\s+(?=[\"'(“*`]*[A-Z])")
ABBREVIATION = re.compile(r"(\b(e\.g|i\.e|etc|cf|vs|resp|approx|incl|Mr|Mrs|Dr|St|Jr|Inc|no|Fig|Eq|al|[A-Z])\.)$")


def paragraphs(text: str) -> Iterator[str]:
    """Yield paragraphs, lines joined."""
    code_indent = None
    for block in re.split(r"\n\s*\n", text.expandtabs()):
        lines = [line for line in block.split("\n") if line.strip()]
        if not lines:
            continue
        indent = _indent(lines[0])
        if code_indent is not None and indent > code_indent:
            continue
        code_indent = None
        group: list[str] = []
        for line in _without_code(lines):
            if group and (BULLET.match(line.strip()) or _indent(line) < _indent(group[0]) or (len(group)>1 and _indent(line)>_indent(group[-1]))):
                yield _joined(group)
                group = []
            group.append(line)
        if group:
            yield _joined(group)
        if lines[-1].rstrip().endswith("::"):
            code_indent = indent


def _without_code(lines):
    out = []
    for line in lines:
        if DOCTEST.match(line):
            break
        if UNDERLINE.match(line):
            if out:
                out.pop()
            continue
        if FIELD.match(line):
            break
        out.append(line)
    return out


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _joined(lines: list[str]) -> str:
    text = "\n".join(line.strip() for line in lines)
    text = re.sub(r"(?<=[a-z])-\n(?=[a-z])", "-", text).replace("\n", " ")
    return BULLET.sub("", text, count=1) if BULLET.match(text) else text


MARKUP = (
    (re.compile(r"\[\d+\]_?"), ""),
    (re.compile(r":\w+:`~?([^`]*)`"), r"\1"),
    (re.compile(r"\*\*([^*]+)\*\*"), r"\1"),
    (re.compile(r"(?<![\w*])\*(\w[^*]*)\*(?![\w*])"), r"\1"),
    (re.compile(r"[“”\"]|``|`"), ""),
    (re.compile(r"[‘’]"), "'"),
    (re.compile(r"(?<=\w)\((?:self)?\)"), ""),
    (re.compile(r"\s+(--?|—|–)\s+|(?<=\w)(--|—)(?=\w)"), " -- "),
    (re.compile(r"…|\.\.\."), " ... "),
)
TOKEN = re.compile(
    r"\d+(?:[.,:]\d+)*(?![\w])"  # number
    r"|\d+(?:[.,]\d+)*-[A-Za-z]+(?:-[A-Za-z]+)*"  # 16-bit
    r"|[A-Za-z]+n't\b|'(?:s|re|ve|ll|d|m)\b|'(?!\w)"
    r"|[A-Za-z_]\w*(?:[.\-/'’]\w+)*"
    r"|\.\.\.|--|[.,;:?!()]"
    r"|\S"
)
PUNCT = frozenset([".", ",", ";", ":", "?", "!", "(", ")", "--", "..."])
FUNCTION_WORDS = frozenset("the a an is are was were be been to of in and or for it its this that these those with if on by not as from at can will when which has have may must should does do then there all any no you".split())


def sentences(text: str) -> Iterator[str]:
    for paragraph in paragraphs(text):
        for raw in _split(paragraph):
            words = _words(raw)
            if _is_prose(raw, words):
                yield " ".join(words)

def _split(paragraph):
    start = 0
    for m in END.finditer(paragraph):
        if ABBREVIATION.search(paragraph[start:m.start()]):
            continue
        yield paragraph[start:m.end()].strip()
        start = m.end()
    yield paragraph[start:].strip()

def _words(raw):
    s = raw
    for pattern, replacement in MARKUP:
        s = pattern.sub(replacement, s)
    s = re.sub(r"(?<![A-Za-z0-9])'([^']*)'(?![A-Za-z0-9])", r"\1", s)
    out = []
    for token in TOKEN.findall(s):
        t = token.lower()
        if re.fullmatch(r"\d.*", t):
            t = re.sub(r"^\d+(?:[.,:]\d+)*", "N", t) if "-" in t else "N"
            out.append(t)
        elif m := re.fullmatch(r"([a-z]+)(n't)", t):
            out += [m[1], m[2]]
        elif m := re.fullmatch(r"(\w+)('(?:s|re|ve|ll|d|m))", t):
            out += [m[1], m[2]]
        else:
            out.append(t)
    return out

PLAIN = re.compile(r"[a-z]+(-[a-z]+)*|N(-[a-z]+)*|'\w+|n't")
def _is_prose(raw, words):
    if not re.match(r"[\"'(“*`]*[A-Z0-9]", raw) or words[-1] not in (".", "!", "?", ":"):
        return False
    inner = [w for w in words if w not in PUNCT]
    if len(inner) < 4: return False
    if any(not re.fullmatch(r"[\w.\-/']+", w) or not re.search(r"\w",w) for w in inner): return False
    plain = sum(bool(PLAIN.fullmatch(w)) for w in inner)
    if plain < 0.7*len(inner): return False
    if words.count("(") != words.count(")"): return False
    return not FUNCTION_WORDS.isdisjoint(inner)
