"""Whether the paper's ordering of the four models holds, size by size, and how sure that is over seeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import final

from tiedlm.paper.collect import Row
from tiedlm.paper.paired import Paired, paired_t_test
from tiedlm.paper.samples import Sample


@final
@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two models that stand next to each other in the paper's ordering."""

    better: Row
    worse: Row
    ours: Paired | None
    """Test perplexity of `worse` minus that of `better`, seed by seed; None where no seed has both."""

    @property
    def paper(self) -> float:
        """Return the same difference in the paper."""
        return (self.worse.published.test or 0.0) - (self.better.published.test or 0.0)

    def holds(self) -> bool | None:
        """Return whether ours has the paper's sign; None where it was not run."""
        return None if self.ours is None else self.ours.mean > 0


@final
@dataclass(frozen=True, kw_only=True)
class Ordering:
    """The models of one size on one corpus."""

    group: str
    """The part of their names that they share, such as "ptb-small"."""
    rows: tuple[Row, ...]
    """The models, best test perplexity of the paper first."""
    pairs: tuple[Pair, ...]
    """Each model and the next."""

    def means(self) -> dict[str, float]:
        """Return model → our mean test perplexity, best first, of those that were run."""
        found = {row.name.rsplit("-", 1)[1]: test.mean for row in self.rows if (test := headline(row)) is not None}
        return dict(sorted(found.items(), key=lambda item: item[1]))

    def holds(self) -> bool | None:
        """Return whether our means are in the paper's order; None where a model was not run."""
        own = list(self.means())
        paper = [row.name.rsplit("-", 1)[1] for row in self.rows]
        return own == paper if len(own) == len(paper) else None


def headline(row: Row) -> Sample | None:
    """Return the test perplexity after as many trainings as the paper's figure of the row has."""
    return row.perplexity("test", row.published.trainings)


def orderings(rows: Mapping[str, Row]) -> list[Ordering]:
    """Return the ordering of each size and corpus of which the paper has all four models."""
    groups: dict[str, list[Row]] = {}
    for name, row in rows.items():
        if row.published.test is not None:
            groups.setdefault(name.rsplit("-", 1)[0], []).append(row)
    return [_ordering(group, found) for group, found in groups.items() if len(found) == 4]


def _ordering(group: str, rows: list[Row]) -> Ordering:
    ordered = tuple(sorted(rows, key=lambda row: row.published.test or 0.0))
    return Ordering(group=group, rows=ordered, pairs=tuple(_pair(*two) for two in pairwise(ordered)))


def _pair(better: Row, worse: Row) -> Pair:
    one, other = headline(better), headline(worse)
    differences = [] if one is None or other is None else _differences(one, other)
    return Pair(better=better, worse=worse, ours=paired_t_test(differences) if differences else None)


def _differences(better: Sample, worse: Sample) -> list[float]:
    return [worse.by_seed[seed] - better.by_seed[seed] for seed in better.by_seed if seed in worse.by_seed]
