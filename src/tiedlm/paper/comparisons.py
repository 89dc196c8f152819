"""Tables that compare models: Table 4's claims and next words, the order of the four models, and last epochs."""

from __future__ import annotations

import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import final

from tiedlm.errors import RunError
from tiedlm.paper.published import AUGMENTED, BASELINE, CONTROLS, FREQUENT_WORDS, PREDICTIONS, Words
from tiedlm.paper.results import ANALYSIS, NEAR, NOT_USED, TARGET, Result, Row
from tiedlm.paper.statistics import (
    MIN_SEEDS,
    RESAMPLES,
    Paired,
    Ratio,
    Sample,
    block_bootstrap_ratio,
    paired_t_test,
)
from tiedlm.paper.tables import NOT_RUN, NOTHING, UNKNOWN, Table, csv_value, differences, seeds_text, yes_no
from tiedlm.training.schedule import learning_rate

# Table 4: the paper shows four contexts of the large models and says that `<unk>`, "a", "an" and "the" receive less
# probability under REAL, and words near the target more. Here each is a mean over the test text.

EVERYWHERE = tuple(f"{word}, everywhere" for word in FREQUENT_WORDS)
"""Measures of the frequent words over every word of the text; those of the plain names leave out where they come."""


@final
@dataclass(frozen=True, kw_only=True)
class Claim:
    """One measure under two models, over the text and the seeds."""

    vd: float
    real: float
    ratio: Ratio
    """REAL's divided by VD-LSTM's."""
    by_seed: dict[int, float]
    """Seed → the ratio of its two runs."""


@final
@dataclass(frozen=True, kw_only=True)
class ClaimLine:
    """VD-LSTM and REAL of one size on one corpus, each after so many trainings."""

    group: str
    """The part of their names that they share, such as `ptb-small`."""
    trainings: tuple[int, int]
    """Of VD-LSTM, of REAL."""
    seeds: tuple[int, ...]
    """Seeds of which both were run."""
    claims: dict[str, Claim]
    """Measure → comparison; a word that the vocabulary lacks has none."""


def claim_lines(rows: Mapping[str, Row]) -> list[ClaimLine]:
    """Return every pair: after as many trainings as the paper's figures, and REAL after any other number.

    Raises:
        RunError: the two models of a seed were measured on different texts.
    """
    lines = []
    for name, real in rows.items():
        group = name.removesuffix("-real")
        if group == name or (vd := rows.get(f"{group}-vd")) is None:
            continue
        for trainings in sorted({real.published.trainings, *real.trainings()}):
            baseline, augmented = vd.after(vd.published.trainings), real.after(trainings)
            both = {seed: (baseline[seed], augmented[seed]) for seed in baseline if seed in augmented}
            names = (*EVERYWHERE, *FREQUENT_WORDS, NEAR, TARGET)
            claims = {measure: claim for measure in names if (claim := _claim(measure, both)) is not None}
            counts = (vd.published.trainings, trainings)
            lines.append(ClaimLine(group=group, trainings=counts, seeds=tuple(both), claims=claims))
    return lines


def _claim(measure: str, both: Mapping[int, tuple[Result, Result]]) -> Claim | None:
    blocks = {
        seed: (vd.analysis.blocks[measure], real.analysis.blocks[measure])
        for seed, (vd, real) in both.items()
        if measure in vd.analysis.blocks and measure in real.analysis.blocks
    }
    words = sum(sum(vd.counts) for vd, _ in blocks.values())
    if not words:
        return None
    texts = {tuple(each.counts) for pair in blocks.values() for each in pair}
    if len(texts) > 1:
        paths = ", ".join(str(result.path) for pair in both.values() for result in pair)
        raise RunError(
            f"The {ANALYSIS} of {paths} do not compare: {measure!r} was measured over different words, or in other "
            f"blocks. {NOT_USED} Publish the runs again with one version of tiedlm."
        )
    vd, real = ([sum(block) for block in zip(*(pair[k].sums for pair in blocks.values()), strict=True)] for k in (0, 1))
    ratio = block_bootstrap_ratio(real, vd)
    by_seed = {seed: sum(real.sums) / sum(vd.sums) for seed, (vd, real) in blocks.items()}
    return Claim(vd=sum(vd) / words, real=sum(real) / words, ratio=ratio, by_seed=by_seed)


def claims_tables(rows: Mapping[str, Row]) -> list[Table[ClaimLine]]:
    """Return both tables of Table 4's claims: everywhere, and where another word comes."""
    lines = claim_lines(rows)
    everywhere, elsewhere = CLAIMS_TITLES.items()
    return [
        _claims_table(*everywhere, lines, EVERYWHERE, EVERYWHERE, ""),
        _claims_table(*elsewhere, lines, (*FREQUENT_WORDS, NEAR, TARGET), FREQUENT_WORDS, CLAIMS_NOTES),
    ]


CLAIMS_TITLES = {
    "table4": "Table 4: probability under REAL divided by that under VD-LSTM, mean over the whole test text",
    "table4-elsewhere": "Table 4: the same ratio where another word comes, and near what comes",
}
CLAIMS_NOTES = f"""\
A ratio below 1 is what the paper claims of `<unk>`, "a", "an" and "the", of its large models. Brackets hold the
interval of 95 %: a bootstrap over contiguous blocks of the test text, {RESAMPLES:,} draws of a fixed seed, the same
blocks for both models, seeds summed. The interval reflects variation over text, not over seeds. "Less for" names the
words whose interval ends below 1. A mean over every word is bound to how often the word does come, so the second
table leaves out the places where it comes. "Near" sums over the ten words whose vectors, each model's own, are
nearest to that of the word that comes."""


def _claims_table(
    name: str, title: str, lines: Sequence[ClaimLine], measures: Sequence[str], less: Sequence[str], notes: str
) -> Table[ClaimLine]:
    """Return a table with a column a measure; `less` are those of which the paper says that they fall."""

    def cells(line: ClaimLine) -> list[str]:
        cells = [f"`{line.group}`", " / ".join(map(str, line.trainings)), str(len(line.seeds) or NOTHING)]
        for measure in measures:
            claim = line.claims.get(measure)
            absent = NOTHING if line.seeds else NOT_RUN
            cells.append(
                f"{claim.ratio.value:.3f} [{claim.ratio.low:.3f}, {claim.ratio.high:.3f}]" if claim else absent
            )
        words = zip(less, FREQUENT_WORDS, strict=True)
        below = [f"`{word}`" for measure, word in words if (c := line.claims.get(measure)) and c.ratio.high < 1]
        verdict = "all four" if len(below) == len(less) else ", ".join(below) or "none"
        return [*cells, verdict if line.claims else UNKNOWN]

    def values(line: ClaimLine) -> list[list[object]]:
        return [
            [
                *(line.group, *line.trainings, seeds_text(dict.fromkeys(line.seeds)), measure),
                *(f"{n:.6g}" for n in (claim.vd, claim.real, claim.ratio.value, claim.ratio.low, claim.ratio.high)),
                " ".join(f"{ratio:.6g}" for ratio in claim.by_seed.values()),
            ]
            for measure in measures
            if (claim := line.claims.get(measure))
        ]

    headings = [{NEAR: "near", TARGET: "the word itself"}.get(m, f"`{m.partition(',')[0]}`") for m in measures]
    figures = ("vd", "real", "ratio", "low", "high", "ratio_of_each_seed")
    return Table(
        name=name,
        title=title,
        lines=lines,
        headings=("models", "trainings, VD / REAL", "seeds", *headings, "less for"),
        align="llr" + "r" * len(measures) + "l",
        cells=cells,
        columns=("models", "trainings_vd", "trainings_real", "seeds", "measure", *figures),
        values=values,
        notes=notes,
    )


@final
@dataclass(frozen=True, kw_only=True)
class NextWordsLine:
    """What one model expects after a phrase."""

    phrase: str
    target: str
    model: str
    source: str
    """`the paper`, or which run of ours."""
    words: Words | None
    """The first ten; None where there is no run."""

    def cells(self) -> list[str]:
        words = NOT_RUN if self.words is None else ", ".join(_probable(*each) for each in self.words)
        return [f"`{self.phrase}` → {self.target}", self.model, self.source, words]

    def values(self) -> list[list[object]]:
        return [
            [self.phrase, self.target, self.model, self.source, place, word, f"{probability:.6g}"]
            for place, (word, probability) in enumerate(self.words or (), 1)
        ]


def _probable(word: str, probability: float) -> str:
    quoted = word if re.fullmatch(r"[\w.']+", word) else f"`{word}`"
    return f"{quoted} {probability:.2f}".replace(" 0.", " .")


def next_words_table(rows: Mapping[str, Row]) -> Table[NextWordsLine]:
    """Return the paper's next words, ours of the same size, and ours of other sizes that were run."""
    lines = []
    for known in PREDICTIONS:
        for kind, model in (("vd", "VD-LSTM"), ("real", "VD-LSTM+REAL")):
            each: list[tuple[str, Words | None]] = [("the paper, large", getattr(known, kind))]
            for name, row in rows.items():
                if row.published.corpus != "ptb" or not name.endswith(f"-{kind}"):
                    continue
                if row.results:
                    first = next(iter(row.results.values()))
                    trainings = "" if first.trainings == 1 else f", {first.trainings} trainings"
                    words = first.analysis.next_words.get(known.phrase, ())
                    each.append((f"{name}, seed {first.config.seed}{trainings}", words))
                elif name in (BASELINE, AUGMENTED):
                    each.append((name, None))
            lines += [
                NextWordsLine(phrase=known.phrase, target=known.target, model=model, source=source, words=words)
                for source, words in each
            ]
    return Table(
        name="table4-words",
        title="Table 4: the ten most probable next words after the paper's phrases",
        lines=lines,
        headings=("phrase → next word", "model", "whose", "first ten"),
        align="llll",
        cells=NextWordsLine.cells,
        columns=("phrase", "target", "model", "whose", "place", "word", "probability"),
        values=NextWordsLine.values,
        notes=NEXT_WORDS_NOTES,
    )


NEXT_WORDS_NOTES = """\
Ours are read after `<eos>` and the phrase alone, and are those of the lowest seed that was measured, after its last
training; `tiedlm predict RUN PHRASE` shows them for any run."""


# The order of the four models, and each of its steps

ORDER_NOTES = f"""\
The order is that of the test perplexities, after as many trainings as the paper's figures. A step is the difference of
two models that are neighbours in the paper's order, worse minus better, with its mean over the seeds that both have.
Interval and p are those of a paired t-test over seeds, two-sided, which takes the differences for normal; with fewer
than {MIN_SEEDS} seeds there is none."""


@final
@dataclass(frozen=True, kw_only=True)
class OrderLine:
    """The four models of one size on one corpus."""

    group: str
    """The part of their names that they share, such as `ptb-small`."""
    rows: tuple[Row, ...]
    """The models, best test perplexity of the paper first."""

    def means(self) -> dict[str, float]:
        """Return model → our mean test perplexity, best first, of those that were run."""
        means = {_variant(row): test.mean for row in self.rows if (test := row.test()) is not None}
        return dict(sorted(means.items(), key=lambda item: item[1]))

    def holds(self) -> bool | None:
        """Return whether our means are in the paper's order; None where a model was not run."""
        ours, paper = list(self.means()), list(map(_variant, self.rows))
        return ours == paper if len(ours) == len(paper) else None

    def cells(self) -> list[str]:
        ours = " < ".join(f"{model} {mean:.2f}" for model, mean in self.means().items())
        paper = " < ".join(map(_variant, self.rows))
        return [f"`{self.group}`", paper, ours or NOT_RUN, yes_no(self.holds(), UNKNOWN)]

    def values(self) -> list[list[object]]:
        means = self.means()
        paper, ours = " ".join(map(_variant, self.rows)), " ".join(means)
        return [[self.group, paper, ours, " ".join(map(csv_value, means.values())), self.holds()]]


@final
@dataclass(frozen=True, kw_only=True)
class StepLine:
    """Two models that stand next to each other in the paper's order."""

    group: str
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

    def cells(self) -> list[str]:
        names = [f"`{self.group}`", f"{_variant(self.worse)} - {_variant(self.better)}", f"{self.paper:+.2f}"]
        if self.ours is None:
            return [*names, NOT_RUN, NOTHING, NOTHING, UNKNOWN]
        width, p = self.ours.half_width, self.ours.p
        ours = f"{self.ours.mean:+.2f}" + ("" if width is None else f" ± {width:.2f}")
        probability = f"fewer than {MIN_SEEDS} seeds" if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"
        return [*names, ours, str(self.ours.n), probability, yes_no(self.holds(), UNKNOWN)]

    def values(self) -> list[list[object]]:
        names = [self.group, _variant(self.worse), _variant(self.better), self.paper]
        if self.ours is None:
            return [[*names, *(None,) * 5]]
        p = None if self.ours.p is None else f"{self.ours.p:.4g}"
        return [[*names, self.ours.mean, self.ours.half_width, self.ours.n, p, self.holds()]]


def _variant(row: Row) -> str:
    return row.name.rsplit("-", 1)[1]


def orderings(rows: Mapping[str, Row]) -> list[OrderLine]:
    """Return the ordering of each size and corpus of which the paper has all four models."""
    groups: dict[str, list[Row]] = {}
    for name, row in rows.items():
        if row.published.test is not None:
            groups.setdefault(name.rsplit("-", 1)[0], []).append(row)
    return [
        OrderLine(group=group, rows=tuple(sorted(models, key=lambda row: row.published.test or 0.0)))
        for group, models in groups.items()
        if len(models) == 4
    ]


def step_lines(order: OrderLine) -> list[StepLine]:
    """Return each model of an order and the next."""
    lines = []
    for better, worse in pairwise(order.rows):
        ours, others = worse.test(), better.test()
        apart = [] if ours is None or others is None else differences(ours, others)
        paired = paired_t_test(apart) if apart else None
        lines.append(StepLine(group=order.group, better=better, worse=worse, ours=paired))
    return lines


def orders_table(orders: Sequence[OrderLine]) -> Table[OrderLine]:
    """Return a line for each size and corpus: the paper's order, ours, and whether they agree."""
    return Table(
        name="orders",
        title="The order of the four models by test perplexity",
        lines=orders,
        headings=("models", "the paper's order, best first", "ours", "holds"),
        align="llll",
        cells=OrderLine.cells,
        columns=("models", "paper", "ours", "ours_mean", "holds"),
        values=OrderLine.values,
    )


def steps_table(orders: Sequence[OrderLine]) -> Table[StepLine]:
    """Return a line for each pair of neighbours: difference of test perplexity with its interval, seeds and p-value."""
    return Table(
        name="steps",
        title="Each step of the paper's order, over seeds",
        lines=[line for order in orders for line in step_lines(order)],
        headings=("models", "step", "paper", "ours, 95 % interval", "seeds", "p", "holds"),
        align="llrrrrl",
        cells=StepLine.cells,
        columns=("models", "worse", "better", "paper", "mean", "half_width", "seeds", "p", "holds"),
        values=StepLine.values,
        notes=ORDER_NOTES,
    )


# Whether trainings had come to their end

LAST_EPOCHS = 16
"""How many of the last epochs the line goes through."""
RATE_LIMIT_NOTES = f"""\
The perplexity of the last {LAST_EPOCHS} epochs of each training, as a line in the learning rate (least squares): "at \
rate 0"
is where the line meets a rate of 0, and "left" is how far below the last epoch that is. It is drawn out beyond what was
trained, so it tells which trainings had farther to go, and is no result."""


@final
@dataclass(frozen=True, kw_only=True)
class RateLimitLine:
    """Validation perplexity of a row's trainings after the last epoch, and where its line in the rate meets 0.

    The learning rate falls by a factor every epoch, and towards the end the perplexity after an epoch lies on a line in
    the rate of that epoch: perplexity = at rate 0 + slope x rate.
    """

    recipe: str
    training: int
    epochs: int
    last_rate: float
    figures: tuple[Sample, Sample, Sample]
    """Over seeds: perplexity after the last epoch, at rate 0, and the first minus the second."""

    def cells(self) -> list[str]:
        counts = map(str, (self.training, self.figures[0].n, self.epochs))
        return [f"`{self.recipe}`", *counts, f"{self.last_rate:.4f}", *(sample.text() for sample in self.figures)]

    def values(self) -> list[list[object]]:
        figures = [number for sample in self.figures for number in (sample.mean, sample.sd)]
        return [[self.recipe, self.training, seeds_text(self.figures[0]), self.epochs, self.last_rate, *figures]]


def rate_limit_table(rows: Mapping[str, Row]) -> Table[RateLimitLine]:
    """Return a line for each row and training that had so many epochs under a falling rate."""
    lines = []
    for row in rows.values():
        for training in row.trainings() if row.published.table != CONTROLS else ():
            results = row.after(training)
            config = next(iter(results.values())).config.training
            if config.decay == 1 or config.epochs - config.constant_epochs < LAST_EPOCHS:
                continue
            rates = [learning_rate(config, config.epochs - k) for k in reversed(range(LAST_EPOCHS))]
            last = {seed: result.valid_by_epoch[-1] for seed, result in results.items()}
            limit = {
                seed: statistics.linear_regression(rates, result.valid_by_epoch[-LAST_EPOCHS:]).intercept
                for seed, result in results.items()
            }
            left = {seed: last[seed] - limit[seed] for seed in last}
            lines.append(
                RateLimitLine(
                    recipe=row.name,
                    training=training,
                    epochs=config.epochs,
                    last_rate=rates[-1],
                    figures=(Sample(last), Sample(limit), Sample(left)),
                )
            )
    figures = [f"{what}_{part}" for what in ("last", "limit", "left") for part in ("mean", "sd")]
    return Table(
        name="rate-limit",
        title="Extrapolated validation perplexity at learning rate 0",
        lines=lines,
        headings=("recipe", "training", "seeds", "epochs", "last rate", "valid, last epoch", "at rate 0", "left"),
        align="lrrrrrrr",
        cells=RateLimitLine.cells,
        columns=("recipe", "training", "seeds", "epochs", "last_rate", *figures),
        values=RateLimitLine.values,
        optional=True,
        notes=RATE_LIMIT_NOTES,
    )
