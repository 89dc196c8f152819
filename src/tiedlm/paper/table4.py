"""The claims of the paper's Table 4 as measured quantities: REAL beside VD-LSTM on a whole text, size by size.

The paper shows four contexts of the large models and says that `<unk>`, "a", "an" and "the" receive less probability
under REAL, and words near the target more. Here each is a mean over the test text, and REAL's is divided by VD-LSTM's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

from tiedlm.errors import RunError
from tiedlm.evaluation.measures import FREQUENT_WORDS, TARGET, everywhere
from tiedlm.paper.block_bootstrap import Ratio, ratio_of_sums
from tiedlm.paper.collect import Row
from tiedlm.paper.layout import ANALYSIS, NOT_USED, Result
from tiedlm.paper.measured import NEAR, Blocks, blocks_of

EVERYWHERE = tuple(map(everywhere, FREQUENT_WORDS))
"""Measures of the frequent words over every word of the text."""
ELSEWHERE = FREQUENT_WORDS
"""The same over the words of the text that are others."""
OTHERS = (NEAR, TARGET)


@final
@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One measure under two models."""

    vd: float
    """Its mean under VD-LSTM, over the text and the seeds."""
    real: float
    """Its mean under REAL."""
    ratio: Ratio
    """REAL's divided by VD-LSTM's."""
    by_seed: dict[int, float]
    """Seed → the ratio of its two runs."""


@final
@dataclass(frozen=True, kw_only=True)
class Pair:
    """VD-LSTM and REAL of one size on one corpus, each after so many trainings."""

    group: str
    """The part of their names that they share, such as `ptb-small`."""
    trainings: tuple[int, int]
    """Of VD-LSTM, of REAL."""
    run: bool
    """Whether there are results of both."""
    seeds: tuple[int, ...]
    """Seeds of which both were measured; empty where none was."""
    measures: dict[str, Comparison]
    """Measure → comparison; a word that the vocabulary lacks has none."""


def pairs(rows: Mapping[str, Row]) -> list[Pair]:
    """Return every pair: after as many trainings as the paper's figures, and of REAL after any other number.

    Raises:
        RunError: the two models of a seed were measured on different texts.
    """
    groups = [name.removesuffix("-real") for name in rows if name.endswith("-real")]
    return [
        _pair(group, rows[f"{group}-vd"], rows[f"{group}-real"], trainings)
        for group in groups
        if f"{group}-vd" in rows
        for trainings in sorted({rows[f"{group}-real"].published.trainings, *rows[f"{group}-real"].trainings()})
    ]


def _pair(group: str, vd: Row, real: Row, trainings: int) -> Pair:
    baseline, augmented = vd.after(vd.published.trainings), real.after(trainings)
    both = {
        seed: (baseline[seed], augmented[seed])
        for seed in baseline
        if seed in augmented and baseline[seed].analysis and augmented[seed].analysis
    }
    names = (*EVERYWHERE, *ELSEWHERE, *OTHERS)
    compared = {name: found for name in names if (found := _compare(name, both)) is not None}
    return Pair(
        group=group,
        trainings=(vd.published.trainings, trainings),
        run=bool(baseline and augmented),
        seeds=tuple(both),
        measures=compared,
    )


def _compare(name: str, both: Mapping[int, tuple[Result, Result]]) -> Comparison | None:
    by_seed = {seed: (blocks_of(vd, name), blocks_of(real, name)) for seed, (vd, real) in both.items()}
    known = {seed: (vd, real) for seed, (vd, real) in by_seed.items() if vd is not None and real is not None}
    if not known or not all(sum(vd["counts"]) for vd, _ in known.values()):
        return None
    _check_one_text(name, both, [each for two in known.values() for each in two])
    vd, real = ([sum(block) for block in zip(*(two[k]["sums"] for two in known.values()), strict=True)] for k in (0, 1))
    words = sum(sum(two[0]["counts"]) for two in known.values())
    return Comparison(
        vd=sum(vd) / words,
        real=sum(real) / words,
        ratio=ratio_of_sums(real, vd),
        by_seed={seed: sum(two[1]["sums"]) / sum(two[0]["sums"]) for seed, two in known.items()},
    )


def _check_one_text(name: str, both: Mapping[int, tuple[Result, Result]], measured: list[Blocks]) -> None:
    if any(each["counts"] != measured[0]["counts"] for each in measured):
        paths = ", ".join(str(result.path) for two in both.values() for result in two)
        raise RunError(
            f"The {ANALYSIS} of {paths} do not compare: {name!r} was measured over different words, or in other "
            f"blocks. {NOT_USED} Publish the runs again with one version of tiedlm."
        )
