"""Table 4's claims as tables: REAL's probability divided by VD-LSTM's, with intervals, a line for each pair."""

from __future__ import annotations

from collections.abc import Sequence

from tiedlm.evaluation.measures import FREQUENT_WORDS, TARGET
from tiedlm.paper.block_bootstrap import RESAMPLES
from tiedlm.paper.grid import Grid
from tiedlm.paper.measured import NEAR
from tiedlm.paper.table4 import ELSEWHERE, EVERYWHERE, OTHERS, Pair
from tiedlm.paper.tables import NOT_RUN, NOTHING

TITLES = {
    "table4": "Table 4: probability under REAL divided by that under VD-LSTM, mean over the whole test text",
    "table4-elsewhere": "Table 4: the same ratio where another word comes, and near what comes",
}
"""Name of the table's files → title."""
MEASURES = {"table4": EVERYWHERE, "table4-elsewhere": (*ELSEWHERE, *OTHERS)}
"""Name of the table's files → what it compares, a column each."""
CLAIMED_LESS = {"table4": EVERYWHERE, "table4-elsewhere": ELSEWHERE}
"""Those of which the paper says that they receive less."""
NOT_MEASURED = "not measured"
READING = f"""\
A ratio below 1 is what the paper claims of `<unk>`, "a", "an" and "the", of its large models. Brackets hold the
interval of 95 %: a bootstrap over contiguous blocks of the test text, {RESAMPLES:,} draws of a fixed seed, the same
blocks for both models, seeds summed. It tells of other texts, and nothing of other trainings. "Less for" names the
words whose interval ends below 1. A mean over every word is bound to how often the word does come, so the second
table leaves out the places where it comes. "Near" sums over the ten words whose vectors, each model's own, are
nearest to that of the word that comes. "Not measured": results of a version that did not measure; where their runs
are still there, `tiedlm reproduce` and `tiedlm publish RUN` add it."""


def claims(name: str, found: Sequence[Pair]) -> Grid:
    """Return `table4` or `table4-elsewhere` to read."""
    columns = [_heading(measure) for measure in MEASURES[name]]
    headings = ("models", "trainings, VD / REAL", "seeds", *columns, "less for")
    rows = [_row(name, pair) for pair in found]
    return Grid(title=TITLES[name], headings=headings, align="llr" + "r" * len(columns) + "l", rows=rows)


def claims_csv(name: str, found: Sequence[Pair]) -> Grid:
    """Return the same figures to compute with: a line for each pair and measure that there is a figure of."""
    figures = ("vd", "real", "ratio", "low", "high", "ratio_of_each_seed")
    headings = ("models", "trainings_vd", "trainings_real", "seeds", "measure", *figures)
    rows = [_values(pair, measure) for pair in found for measure in MEASURES[name] if measure in pair.measures]
    return Grid(title=TITLES[name], headings=headings, align="l" * len(headings), rows=rows)


def _heading(measure: str) -> str:
    return {NEAR: "near", TARGET: "the word itself"}.get(measure, f"`{measure.partition(',')[0]}`")


def _row(name: str, pair: Pair) -> list[str]:
    cells = [_cell(pair, measure) for measure in MEASURES[name]]
    trainings = " / ".join(map(str, pair.trainings))
    return [f"`{pair.group}`", trainings, str(len(pair.seeds) or NOTHING), *cells, _less(name, pair)]


def _cell(pair: Pair, measure: str) -> str:
    if not pair.seeds:
        return NOT_MEASURED if pair.run else NOT_RUN
    if measure not in pair.measures:
        return NOTHING
    ratio = pair.measures[measure].ratio
    return f"{ratio.value:.3f} [{ratio.low:.3f}, {ratio.high:.3f}]"


def _less(name: str, pair: Pair) -> str:
    """Return the words whose interval ends below 1."""
    if not pair.measures:
        return "not known"
    words = dict(zip(CLAIMED_LESS[name], FREQUENT_WORDS, strict=True))
    ends = {word: pair.measures[measure].ratio.high for measure, word in words.items() if measure in pair.measures}
    below = [f"`{word}`" for word, high in ends.items() if high < 1]
    return "all four" if len(below) == len(words) else ", ".join(below) or "none"


def _values(pair: Pair, measure: str) -> list[str]:
    found = pair.measures[measure]
    numbers = (found.vd, found.real, found.ratio.value, found.ratio.low, found.ratio.high)
    seeds, trainings = " ".join(map(str, pair.seeds)), map(str, pair.trainings)
    by_seed = " ".join(f"{ratio:.6g}" for ratio in found.by_seed.values())
    return [pair.group, *trainings, seeds, measure, *(f"{number:.6g}" for number in numbers), by_seed]
