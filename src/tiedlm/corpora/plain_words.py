"""Words of an English sentence as it stands in documentation: marks of markup off, lower case, `N` for numbers.

The rule, in the manner of the Penn Treebank as it is used for language models:

* Marks of emphasis, roles, footnotes and quotation marks go: `*key*`, ``key``, `:class:`key`` and "key" become `key`.
* What is quoted, or called with arguments, and is no plain name or phrase becomes the one word `<code>`; the empty
  parentheses of `close()` go.
* Letters become lower case. Dotted, hyphenated and slashed words stay whole: `os.path`, `read-only`, `and/or`.
* Whatever begins with a digit becomes `N`, between hyphens too: `3.11` -> `N`, `16-bit` -> `N-bit`.
* `don't` becomes `do n't`, and `it's` `it 's`.
* Punctuation stands alone: `. , ; : ? ! ( ) -- ...`, and the apostrophe of a plural; abbreviations keep their points.
"""

from __future__ import annotations

import re

CODE = "<code>"
NUMBER = "N"
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
    """Return the words and marks of punctuation of `sentence` by the rule above."""
    return [_normalised(token) for token in TOKEN.findall(_without_markup(sentence))]


def _without_markup(sentence: str) -> str:
    for pattern, replacement in MARKUP:
        sentence = pattern.sub(replacement, sentence)
    sentence = CALL.sub(CODE, QUOTE.sub(_quoted, sentence))
    for pattern, replacement in SPACING:
        sentence = pattern.sub(replacement, sentence)
    return sentence


def _quoted(match: re.Match[str]) -> str:
    text = next(group for group in match.groups() if group is not None).strip()
    return text if PLAIN_QUOTE.fullmatch(text) else CODE


def _normalised(token: str) -> str:
    if not token[0].isdigit():
        return token.lower()
    return "-".join(NUMBER if part[0].isdigit() else part.lower() for part in token.split("-"))
