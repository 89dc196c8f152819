"""Table 2 once more, its texts read with the words of the half alone (`evaluation.own_words`).

The paper does not say whether the halves share the whole text's vocabulary or have their own, under which a word that
the half lacks is `<unk>`, or is left out. This project's rows share it; here the same weights are scored the other way.
"""

from __future__ import annotations

from collections.abc import Mapping

from tiedlm.paper.collect import Row
from tiedlm.paper.grid import Grid
from tiedlm.paper.measured import OWN_WORDS
from tiedlm.paper.samples import Sample
from tiedlm.paper.tables import SPLITS, value

TITLE = "Table 2 with the words of the half: those that it lacks read as `<unk>`"
READING = """\
The same weights, scored once with the vocabulary of the whole text, as in Table 2 above, and once as a vocabulary of
the half's own words reads valid and test text. The paper does not say which of the two its figures are."""


Both = tuple[Sample, Sample]
"""A perplexity with the whole text's words, and with the half's own."""


def own_words_table(rows: Mapping[str, Row]) -> Grid:
    """Return both figures of every row that has them, beside the paper's; no row: nothing of the kind was measured."""
    figures = [f"{split}, {what}" for split in SPLITS for what in ("the whole text's words", "the half's", "paper")]
    headings = ("model", "recipe", "seeds", *figures)
    return Grid(title=TITLE, headings=headings, align="llrrrrrrr", rows=[_cells(*one) for one in _measured(rows)])


def own_words_csv(rows: Mapping[str, Row]) -> Grid:
    """Return the same figures to compute with."""
    figures = [f"{split}_{what}" for split in SPLITS for what in ("whole_mean", "own_mean", "own_sd", "paper")]
    headings = ("model", "recipe", "seeds", *figures)
    return Grid(
        title=TITLE, headings=headings, align="l" * len(headings), rows=[_values(*one) for one in _measured(rows)]
    )


def _measured(rows: Mapping[str, Row]) -> list[tuple[Row, dict[str, Both]]]:
    """Return the rows of which every seed was measured, with split → both figures."""
    found = ((row, {split: _both(row, split) for split in SPLITS}) for row in rows.values())
    return [(row, {split: both for split, both in each.items() if both}) for row, each in found if all(each.values())]


def _both(row: Row, split: str) -> Both | None:
    whole = row.perplexity(split, 1)
    told = {seed: (result.analysis or {}).get(OWN_WORDS) for seed, result in row.results.items()}
    own = {seed: scores[split]["perplexity"] for seed, scores in told.items() if scores}
    return (whole, Sample(own)) if whole and len(own) == len(told) else None


def _paper(row: Row, split: str) -> float | None:
    return row.published.valid if split == "valid" else row.published.test


def _cells(row: Row, figures: Mapping[str, Both]) -> list[str]:
    cells = [f"{row.published.row}, {row.name.split('-')[1]}", f"`{row.name}`", str(len(row.results))]
    for split, (whole, own) in figures.items():
        cells += [whole.told(), own.told(), str(_paper(row, split))]
    return cells


def _values(row: Row, figures: Mapping[str, Both]) -> list[str]:
    cells = [row.published.row, row.name, " ".join(map(str, row.results))]
    for split, (whole, own) in figures.items():
        cells += map(value, (whole.mean, own.mean, own.sd, _paper(row, split)))
    return cells
