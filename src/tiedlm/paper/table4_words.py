"""Table 4's next words: the paper's, of its large models, and ours after the same phrases, of every size."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import final

from tiedlm.paper.collect import Row, stages
from tiedlm.paper.grid import Grid
from tiedlm.paper.layout import Result
from tiedlm.paper.measured import next_words_of
from tiedlm.paper.published_predictions import AUGMENTED, BASELINE, PREDICTIONS, Words
from tiedlm.paper.table4_tables import NOT_MEASURED
from tiedlm.paper.tables import NOT_RUN

TITLE = "Table 4: the ten most probable next words after the paper's phrases"
MODELS = {"vd": "VD-LSTM", "real": "VD-LSTM+REAL"}
READING = """\
Ours are read after `<eos>` and the phrase alone, and are those of the lowest seed that was measured, after its last
training; `tiedlm predict RUN PHRASE` shows them for any run."""
PLAIN = re.compile(r"[\w.']+")


@final
@dataclass(frozen=True, kw_only=True)
class Line:
    """What one model expects after a phrase."""

    phrase: str
    target: str
    model: str
    whose: str
    """`the paper`, or where ours comes from."""
    words: Words | None
    """The first ten; None where there are none."""
    absent: str = ""
    """Why there are none."""


def lines(rows: Mapping[str, Row]) -> list[Line]:
    """Return the lines: for each phrase and model the paper's, ours of the same size, and ours of others measured."""
    return [
        Line(phrase=known.phrase, target=known.target, model=model, whose=whose, words=words, absent=absent)
        for known in PREDICTIONS
        for kind, model in MODELS.items()
        for whose, words, absent in [("the paper, large", getattr(known, kind), ""), *_ours(rows, kind, known.phrase)]
    ]


def _ours(rows: Mapping[str, Row], kind: str, phrase: str) -> Iterator[tuple[str, Words | None, str]]:
    """Yield whose, words, and why there are none; of sizes other than the paper's only where there are some."""
    for name, row in rows.items():
        if row.published.corpus != "ptb" or not name.endswith(f"-{kind}"):
            continue
        measured = [stage for result in row.results.values() for stage in _last_measured(result)]
        if measured:
            yield _whose(name, measured[0]), next_words_of(measured[0], phrase) or (), ""
        elif name in (BASELINE, AUGMENTED):
            yield name, None, NOT_MEASURED if row.results else NOT_RUN


def _last_measured(result: Result) -> list[Result]:
    """Return the stage after the last training that was measured, in a list; an empty one where none was."""
    return [stage for stage in stages(result) if stage.analysis is not None][-1:]


def _whose(name: str, stage: Result) -> str:
    trainings = stage.provenance["trainings"]
    return f"{name}, seed {stage.config['seed']}" + ("" if trainings == 1 else f", {trainings} trainings")


def next_words_table(rows: Mapping[str, Row]) -> Grid:
    """Return the lines to read: words with their probabilities, most probable first."""
    cells = [[f"`{line.phrase}` → {line.target}", line.model, line.whose, _told(line)] for line in lines(rows)]
    return Grid(title=TITLE, headings=("phrase → next word", "model", "whose", "first ten"), align="llll", rows=cells)


def next_words_csv(rows: Mapping[str, Row]) -> Grid:
    """Return the same to compute with: a line for each word."""
    cells = [
        [line.phrase, line.target, line.model, line.whose, str(place), word, f"{probability:.6g}"]
        for line in lines(rows)
        for place, (word, probability) in enumerate(line.words or (), 1)
    ]
    headings = ("phrase", "target", "model", "whose", "place", "word", "probability")
    return Grid(title=TITLE, headings=headings, align="lllllll", rows=cells)


def _told(line: Line) -> str:
    if line.words is None:
        return line.absent
    return ", ".join(f"{_quoted(word)} {probability:.2f}".replace(" 0.", " .") for word, probability in line.words)


def _quoted(word: str) -> str:
    return word if PLAIN.fullmatch(word) else f"`{word}`"
