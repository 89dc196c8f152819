"""Every table: a list of rows of cells, each with what it says to a reader and its values in the CSV file.

Figures after one training and after two stand in rows of their own, and only those after as many trainings as the
paper's are compared with it. What was not run says so.
"""

from __future__ import annotations

import csv
import io
import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple, final

from tiedlm.errors import RunError
from tiedlm.evaluation import EVERYWHERE, FREQUENT_WORDS, TARGET
from tiedlm.paper.figure1 import Figure1
from tiedlm.paper.plan import stands
from tiedlm.paper.published import AUGMENTED, BASELINE, BESIDE, CITATIONS, CONTROLS, PREDICTIONS, Words
from tiedlm.paper.results import ANALYSIS, NEAR, NOT_USED, SPLITS, Result, Row
from tiedlm.paper.statistics import MIN_SEEDS, RESAMPLES, Ratio, Sample, Spread, block_bootstrap_ratio, paired_t_test

NOT_RUN, NOTHING, UNKNOWN = "not run", "–", "not known"

LATEX = {
    "\\": r"\textbackslash{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "±": r"$\pm$",
    "–": "--",
    "≤": r"$\le$",
    "→": r"$\to$",
    "β": r"$\beta$",
    "γ": r"$\gamma$",
    "τ": r"$\tau$",
}


class Cell(NamedTuple):
    text: str
    """What a reader sees."""
    values: Sequence[object] = ()
    """What the CSV file has, in one column or more."""


@final
@dataclass(frozen=True, kw_only=True)
class Table:
    name: str
    title: str
    headings: Sequence[str]
    align: str
    """For each column `l` or `r`."""
    rows: Sequence[Sequence[Cell]]
    columns: Sequence[str] = ()
    """Headings of the CSV file."""
    csv_rows: Sequence[Sequence[object]] | None = None
    """Rows of the CSV file, where they are not the values of `rows`."""
    optional: bool = False
    """Whether the table is left out where it has no rows."""
    notes: str = ""

    def texts(self) -> list[list[str]]:
        return [[cell.text for cell in row] for row in self.rows]

    def markdown(self) -> str:
        """Return a table of pipes, without its title."""
        rule = ["---" if side == "l" else "---:" for side in self.align]
        rows = [[cell.replace("|", "\\|") for cell in row] for row in (self.headings, rule, *self.texts())]
        return "".join(f"| {' | '.join(row)} |\n" for row in rows)

    def latex(self) -> str:
        """Return a `tabular` with the rules of the package booktabs, the title in a comment above it."""
        head, *body = [" & ".join(map(_latex, row)) + r" \\" for row in (self.headings, *self.texts())]
        lines = [rf"\begin{{tabular}}{{{self.align}}}", r"\toprule", head, r"\midrule", *body, r"\bottomrule"]
        return "".join(f"{line}\n" for line in (f"% {self.title}", *lines, r"\end{tabular}"))

    def csv(self) -> str:
        """Return comma-separated values, a line feed after each row."""
        text, rows = io.StringIO(), self.csv_rows
        if rows is None:
            rows = [[value for cell in row for value in cell.values] for row in self.rows]
        csv.writer(text, lineterminator="\n").writerows([self.columns, *([csv_value(v) for v in row] for row in rows)])
        return text.getvalue()


def _latex(cell: str) -> str:
    escaped = "".join(LATEX.get(character, character) for character in cell.replace("`", ""))
    return re.sub(r"(?<![\w.-])-(?=\d)", "$-$", escaped)  # a number's sign is longer than a hyphen


def csv_value(value: object) -> str:
    """Return a value as CSV has it: None is empty, a truth `true` or `false`, a float has four decimals."""
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(round(value, 4)) if isinstance(value, float) else str(value)


def _cell(value: object) -> Cell:
    return Cell(NOTHING if value is None else str(value), [value])


def _code(name: str) -> Cell:
    return Cell(f"`{name}`", [name])


def _seeds(seeds: Iterable[int]) -> Cell:
    """Return a cell that counts seeds; the CSV file lists them."""
    listed = list(map(str, seeds))
    return Cell(str(len(listed) or NOTHING), [" ".join(listed)])


def _sample(sample: Sample | None, absent: str = NOT_RUN, digits: int = 2) -> Cell:
    """Return a cell of mean and spread, for two columns of the CSV file."""
    return Cell(absent, [None, None]) if sample is None else Cell(sample.text(digits), [sample.mean, sample.sd])


def _signed(value: float | None) -> Cell:
    return Cell(NOTHING if value is None else f"{value:+.2f}", [value])


def _verdict(verdict: bool | None, unknown: str = NOTHING) -> Cell:
    return Cell(unknown if verdict is None else "yes" if verdict else "no", [verdict])


# Perplexity: Tables 1 to 3, rows beside them, and any rows that are asked for

TITLES = {
    "table1": "Table 1: perplexity on Penn Treebank and WikiText-2",
    "table2": "Table 2: perplexity on WikiText-2 after either half of its training text, small network",
    "table3": "Table 3: perplexity on Penn Treebank beside other work, as quoted by the paper",
    "beside": f"{BESIDE}: perplexity on Penn Treebank where a tied classifier keeps its output bias",
}
CORPUS_TITLES = {
    "ptb": "Penn Treebank",
    "wikitext-2": "WikiText-2",
    "wikitext-2-half1": "WikiText-2, first half",
    "wikitext-2-half2": "WikiText-2, second half",
}


def _compared(ours: Sample | None, paper: float | None, absent: str = NOT_RUN) -> list[Cell]:
    return [_sample(ours, absent), _cell(paper), _signed(ours.mean - paper if ours and paper is not None else None)]


def _perplexity_rows(row: Row, model: str = "") -> list[list[Cell]]:
    """Return a line after as many trainings as the paper's figure, run or not, and one after any other number."""
    paper, lines = row.published, []
    for trainings in sorted({paper.trainings, *row.trainings()}):
        valid, test = (row.perplexity(split, trainings) for split in SPLITS)
        same = trainings == paper.trainings
        lines.append(
            [
                _cell(model or f"{paper.model}, {paper.size}, {CORPUS_TITLES[paper.corpus]}"),
                _code(row.name),
                _cell(trainings),
                _seeds(test.by_seed if test else ()),
                *_compared(valid, paper.valid if same else None),
                *_compared(test, paper.test if same else None),
                _verdict(stands(row) if same else None),
            ]
        )
    return lines


def _table3_rows(rows: Mapping[str, Row]) -> list[list[Cell]]:
    lines = []
    for cited in CITATIONS:
        model = cited.model if cited.parameters is None else f"{cited.model}, {cited.parameters}"
        if cited.recipe is not None:
            lines += _perplexity_rows(rows[cited.recipe], model)
            continue
        figures = [cell for figure in (cited.valid, cited.test) for cell in _compared(None, figure, NOTHING)]
        lines.append([_cell(model), _cell(None), _cell(None), _seeds(()), *figures, _verdict(None)])
    quoted = {citation.recipe for citation in CITATIONS}
    others = [row for row in rows.values() if row.published.table == "Table 3" and row.name not in quoted]
    return lines + [line for row in others for line in _perplexity_rows(row, row.published.model)]


def perplexity_table(name: str, rows: Mapping[str, Row], only: Sequence[str] = ()) -> Table:
    """Return one of `TITLES`; or, of any other name, a table of the rows `only`."""
    if name == "table3":
        lines = _table3_rows(rows)
    else:
        title = TITLES.get(name, "").partition(":")[0]
        listed = [rows[recipe] for recipe in only] or [row for row in rows.values() if row.published.table == title]
        if name == "beside":  # each follows the row that it repeats
            listed = [one for row in listed for one in (rows[row.published.repeats or ""], row)]
        lines = [line for row in listed for line in _perplexity_rows(row)]
    figures = [f"{split}_{what}" for split in SPLITS for what in ("mean", "sd", "paper", "difference")]
    compared = ("valid, ours", "paper", "difference", "test, ours", "paper", "difference")
    return Table(
        name=name,
        title=TITLES.get(name, "Perplexity"),
        headings=("model", "recipe", "trainings", "seeds", *compared, "stands"),
        align="llrrrrrrrrl",
        rows=lines,
        columns=("model", "recipe", "trainings", "seeds", *figures, "stands"),
    )


def readme_table(rows: Mapping[str, Row], spread: Spread | None) -> Table:
    """Return every row of which there is a figure, controls aside, in short."""
    lines = []
    for row in rows.values():
        paper = row.published
        for trainings in row.trainings() if paper.table != CONTROLS else ():
            samples = [sample for split in SPLITS if (sample := row.perplexity(split, trainings)) is not None]
            same, next_seed = trainings == paper.trainings, NOTHING
            if same and spread is not None:
                next_seed = "{:.2f} to {:.2f}".format(*spread.next_seed_range(samples[1]))
            printed = NOTHING if paper.test is None else f"{paper.valid} / {paper.test}"
            lines.append(
                [
                    _code(row.name),
                    _cell(trainings),
                    _cell(" / ".join(sample.text() for sample in samples)),
                    _cell(next_seed),
                    _cell(printed + ("" if same or paper.test is None else f" after {paper.trainings}")),
                    _verdict(stands(row) if same else None),
                    _seeds(samples[1].by_seed),
                    _code(f"results/{row.name}"),
                ]
            )
    ours = ("ours, valid / test", "next seed, test")
    headings = ("recipe", "trainings", *ours, "the paper's", "stands", "seeds", "folder")
    return Table(name="readme", title="Results", headings=headings, align="lrrrrlrl", rows=lines)


# Table 2 with the words of the half. The paper does not say whether the halves share the whole text's vocabulary or
# have their own. This project's rows share it; here the same weights are scored the other way.

OWN_WORDS_NOTES = """\
The same weights, scored once with the vocabulary of the whole text, as in Table 2 above, and once as a vocabulary of
the half's own words reads valid and test text. The paper does not say which of the two its figures are."""


def own_words_table(rows: Mapping[str, Row]) -> Table:
    lines = []
    for row in rows.values():
        own, paper = {seed: result.analysis.own_words for seed, result in row.results.items()}, row.published
        if not own or not all(own.values()):
            continue
        cells = [Cell(f"{paper.model}, {CORPUS_TITLES[paper.corpus]}", [paper.model]), _code(row.name), _seeds(own)]
        for split in SPLITS:
            whole = Sample({seed: result.scores[split].perplexity for seed, result in row.results.items()})
            halfs = Sample({seed: scores[split].perplexity for seed, scores in own.items()})
            cells += [Cell(whole.text(), [whole.mean]), _sample(halfs), _cell(getattr(paper, split))]
        lines.append(cells)
    whats = ("the whole text's words", "the half's", "paper")
    columns = [f"{split}_{what}" for split in SPLITS for what in ("whole_mean", "own_mean", "own_sd", "paper")]
    return Table(
        name="table2-own-words",
        title="Table 2 with the words of the half: those that it lacks read as `<unk>`",
        headings=("model", "recipe", "seeds", *(f"{split}, {what}" for split in SPLITS for what in whats)),
        align="llrrrrrrr",
        rows=lines,
        columns=("model", "recipe", "seeds", *columns),
        optional=True,
        notes=OWN_WORDS_NOTES,
    )


# The controls

CONTROLS_NOTES = """\
Each row is one training of a small model with one thing changed, beside the paper's four models after one training.
"Difference" is test perplexity minus that of the row without the augmented loss (VD for untied rows, RE for tied
ones), the mean over the seeds that both have; "share" divides it by the same difference of the paper's own loss."""


def _mean_difference(row: Row, base: Row) -> float | None:
    ours, others = row.perplexity("test", 1), base.perplexity("test", 1)
    apart = ours.minus(others) if ours and others else []
    return statistics.fmean(apart) if apart else None


def controls_table(rows: Mapping[str, Row]) -> Table:
    """Return what the augmented loss does: recipes with one thing changed beside the plain ones, after one training."""
    lines = []
    for base, augmented in (("ptb-small-vd", "ptb-small-al"), ("ptb-small-re", "ptb-small-real")):
        gain = _mean_difference(rows[augmented], rows[base])
        controls = [row for row in rows.values() if row.published.table == CONTROLS]
        repeats = [row for row in controls if row.published.repeats in (base, augmented)]
        for row in (rows[base], rows[augmented], *repeats):
            valid, test = (row.perplexity(split, 1) for split in SPLITS)
            difference = None if row.name == base else _mean_difference(row, rows[base])
            share = difference / gain if difference is not None and gain else None
            percent = Cell(NOTHING if share is None else f"{100 * share:.0f} %", [share])
            names = (_cell(row.published.model), _code(row.name), _seeds(test.by_seed if test else ()))
            lines.append([*names, _sample(valid), _sample(test), _signed(difference), percent])
    figures = [f"{split}_{what}" for split in SPLITS for what in ("mean", "sd")]
    return Table(
        name="controls",
        title="Controls: what the augmented loss does, small network on Penn Treebank",
        headings=("model", "recipe", "seeds", "valid", "test", "difference", "share of AL's gain"),
        align="llrrrrr",
        rows=lines,
        columns=("model", "recipe", "seeds", *figures, "difference", "share"),
        notes=CONTROLS_NOTES,
    )


# Table 4: the paper shows four contexts of the large models and says that `<unk>`, "a", "an" and "the" receive less
# probability under REAL, and words near the target more. Here each is a mean over the test text.

CLAIMS_NOTES = f"""\
A ratio below 1 is what the paper claims of `<unk>`, "a", "an" and "the", of its large models. Brackets hold the
interval of 95 %: a bootstrap over contiguous blocks of the test text, {RESAMPLES:,} draws of a fixed seed, the same
blocks for both models, seeds summed. The interval reflects variation over text, not over seeds. "Less for" names the
words whose interval ends below 1. A mean over every word is bound to how often the word does come, so the second
table leaves out the places where it comes. "Near" sums over the ten words whose vectors, each model's own, are
nearest to that of the word that comes."""


class Claim(NamedTuple):
    """One measure under two models, over the text and the seeds; ratios are REAL's divided by VD-LSTM's."""

    vd: float
    real: float
    ratio: Ratio
    by_seed: dict[int, float]


Pair = tuple[str, tuple[int, int], list[int], dict[str, Claim]]
"""Common part of two names, trainings of VD-LSTM and REAL, shared seeds, measure → claim if the vocabulary has it."""


def claims_tables(rows: Mapping[str, Row]) -> list[Table]:
    """Return both tables of Table 4's claims: everywhere, and where another word comes.

    Every pair is in them after as many trainings as the paper's figures, and with REAL after any other number. RunError
    where the two models of a seed were measured on different texts.
    """
    pairs: list[Pair] = []
    for name, real in rows.items():
        group = name.removesuffix("-real")
        if group == name or (vd := rows.get(f"{group}-vd")) is None:
            continue
        for trainings in sorted({real.published.trainings, *real.trainings()}):
            baseline, augmented = vd.after(vd.published.trainings), real.after(trainings)
            both = {seed: (baseline[seed], augmented[seed]) for seed in baseline if seed in augmented}
            names = (*EVERYWHERE, *FREQUENT_WORDS, NEAR, TARGET)
            claims = {measure: claim for measure in names if (claim := _claim(measure, both)) is not None}
            pairs.append((group, (vd.published.trainings, trainings), list(both), claims))
    title = "Table 4: probability under REAL divided by that under VD-LSTM, mean over the whole test text"
    elsewhere = "Table 4: the same ratio where another word comes, and near what comes"
    others = (*FREQUENT_WORDS, NEAR, TARGET)
    return [
        _claims_table("table4", title, pairs, EVERYWHERE, EVERYWHERE, ""),
        _claims_table("table4-elsewhere", elsewhere, pairs, others, FREQUENT_WORDS, CLAIMS_NOTES),
    ]


def _claim(measure: str, both: Mapping[int, tuple[Result, Result]]) -> Claim | None:
    blocks = {
        seed: (vd.analysis.blocks[measure], real.analysis.blocks[measure])
        for seed, (vd, real) in both.items()
        if measure in vd.analysis.blocks and measure in real.analysis.blocks
    }
    words = sum(sum(vd.counts) for vd, _ in blocks.values())
    if not words:
        return None
    if len({tuple(each.counts) for pair in blocks.values() for each in pair}) > 1:
        paths = ", ".join(str(result.path) for pair in both.values() for result in pair)
        raise RunError(
            f"The {ANALYSIS} of {paths} do not compare: {measure!r} was measured over different words, or in other "
            f"blocks. {NOT_USED} Publish the runs again with one version of tiedlm."
        )
    vd, real = ([sum(block) for block in zip(*(pair[k].sums for pair in blocks.values()), strict=True)] for k in (0, 1))
    ratio = block_bootstrap_ratio(real, vd)
    by_seed = {seed: sum(real.sums) / sum(vd.sums) for seed, (vd, real) in blocks.items()}
    return Claim(sum(vd) / words, sum(real) / words, ratio, by_seed)


def _claims_table(
    name: str, title: str, pairs: Sequence[Pair], measures: Sequence[str], less: Sequence[str], notes: str
) -> Table:
    """Return a table with a column a measure; `less` are those of which the paper says that they fall."""
    lines, csv_rows = [], []
    for group, trainings, seeds, claims in pairs:
        cells = [_code(group), _cell(" / ".join(map(str, trainings))), _seeds(seeds)]
        for measure in measures:
            if (claim := claims.get(measure)) is None:
                cells.append(_cell(NOTHING if seeds else NOT_RUN))
                continue
            cells.append(_cell("{:.3f} [{:.3f}, {:.3f}]".format(*claim.ratio)))
            figures = [f"{number:.6g}" for number in (claim.vd, claim.real, *claim.ratio)]
            by_seed = " ".join(f"{ratio:.6g}" for ratio in claim.by_seed.values())
            csv_rows.append([group, *trainings, " ".join(map(str, seeds)), measure, *figures, by_seed])
        words = zip(less, FREQUENT_WORDS, strict=True)
        below = [f"`{word}`" for measure, word in words if (c := claims.get(measure)) and c.ratio.high < 1]
        verdict = "all four" if len(below) == len(less) else ", ".join(below) or "none"
        lines.append([*cells, _cell(verdict if claims else UNKNOWN)])
    headings = [{NEAR: "near", TARGET: "the word itself"}.get(m, f"`{m.partition(',')[0]}`") for m in measures]
    figures = ("vd", "real", "ratio", "low", "high", "ratio_of_each_seed")
    return Table(
        name=name,
        title=title,
        headings=("models", "trainings, VD / REAL", "seeds", *headings, "less for"),
        align="llr" + "r" * len(measures) + "l",
        rows=lines,
        columns=("models", "trainings_vd", "trainings_real", "seeds", "measure", *figures),
        csv_rows=csv_rows,
        notes=notes,
    )


NEXT_WORDS_NOTES = """\
Ours are read after `<eos>` and the phrase alone, and are those of the lowest seed that was measured, after its last
training; `tiedlm predict RUN PHRASE` shows them for any run."""


def next_words_table(rows: Mapping[str, Row]) -> Table:
    """Return the paper's next words, ours of the same size, and ours of other sizes that were run."""
    lines, csv_rows = [], []
    for known in PREDICTIONS:
        for kind, model in (("vd", "VD-LSTM"), ("real", "VD-LSTM+REAL")):
            words_by_source: dict[str, Words | None] = {"the paper, large": getattr(known, kind)}
            for name, row in rows.items():
                if row.published.corpus != "ptb" or not name.endswith(f"-{kind}"):
                    continue
                if row.results:
                    first = next(iter(row.results.values()))
                    trainings = "" if first.trainings == 1 else f", {first.trainings} trainings"
                    words = first.analysis.next_words_after(known.phrase)
                    words_by_source[f"{name}, seed {first.config.seed}{trainings}"] = words
                elif name in (BASELINE, AUGMENTED):
                    words_by_source[name] = None
            for source, words in words_by_source.items():
                listed = NOT_RUN if words is None else ", ".join(_probable(*each) for each in words)
                lines.append([_cell(f"`{known.phrase}` → {known.target}"), _cell(model), _cell(source), _cell(listed)])
                for place, (word, probability) in enumerate(words or (), 1):
                    csv_rows.append([known.phrase, known.target, model, source, place, word, f"{probability:.6g}"])
    return Table(
        name="table4-words",
        title="Table 4: the ten most probable next words after the paper's phrases",
        headings=("phrase → next word", "model", "whose", "first ten"),
        align="llll",
        rows=lines,
        columns=("phrase", "target", "model", "whose", "place", "word", "probability"),
        csv_rows=csv_rows,
        notes=NEXT_WORDS_NOTES,
    )


def _probable(word: str, probability: float) -> str:
    quoted = word if re.fullmatch(r"[\w.']+", word) else f"`{word}`"
    return f"{quoted} {probability:.2f}".replace(" 0.", " .")


# The order of the four models, and each of its steps

ORDER_NOTES = f"""\
The order is that of the test perplexities, after as many trainings as the paper's figures. A step is the difference of
two models that are neighbours in the paper's order, worse minus better, with its mean over the seeds that both have.
Interval and p are those of a paired t-test over seeds, two-sided, which takes the differences for normal; with fewer
than {MIN_SEEDS} seeds there is none."""


def order_tables(rows: Mapping[str, Row]) -> list[Table]:
    """Return the order of each size and corpus of which the paper has all four models, and the steps of each order."""
    groups: dict[str, list[tuple[float, str, Row]]] = {}
    for name, row in rows.items():
        if row.published.test is not None:
            group, model = name.rsplit("-", 1)
            groups.setdefault(group, []).append((row.published.test, model, row))
    orders, steps = [], []
    for group, models in groups.items():
        if len(models) != 4:
            continue
        models.sort(key=lambda each: each[0])
        paper, tests = [model for _, model, _ in models], {model: row.test() for _, model, row in models}
        means = dict(sorted(((model, test.mean) for model, test in tests.items() if test), key=lambda each: each[1]))
        ours = " < ".join(f"{model} {mean:.2f}" for model, mean in means.items())
        ours = Cell(ours or NOT_RUN, [" ".join(means), " ".join(map(csv_value, means.values()))])
        holds = list(means) == paper if len(means) == len(paper) else None
        orders.append([_code(group), Cell(" < ".join(paper), [" ".join(paper)]), ours, _verdict(holds, UNKNOWN)])
        for (low, better, _), (high, worse, _) in pairwise(models):
            above, below = tests[worse], tests[better]
            apart = above.minus(below) if above and below else []
            names = [_code(group), Cell(f"{worse} - {better}", [worse, better]), _signed(high - low)]
            steps.append([*names, *_step(apart)])
    return [
        Table(
            name="orders",
            title="The order of the four models by test perplexity",
            headings=("models", "the paper's order, best first", "ours", "holds"),
            align="llll",
            rows=orders,
            columns=("models", "paper", "ours", "ours_mean", "holds"),
        ),
        Table(
            name="steps",
            title="Each step of the paper's order, over seeds",
            headings=("models", "step", "paper", "ours, 95 % interval", "seeds", "p", "holds"),
            align="llrrrrl",
            rows=steps,
            columns=("models", "worse", "better", "paper", "mean", "half_width", "seeds", "p", "holds"),
            notes=ORDER_NOTES,
        ),
    ]


def _step(differences: Sequence[float]) -> list[Cell]:
    """Return mean, interval, seeds, p-value and sign of differences, worse minus better."""
    if not differences:
        return [Cell(NOT_RUN, [None, None]), _cell(None), _cell(None), _verdict(None, UNKNOWN)]
    n, mean, width, p = paired_t_test(differences)
    probability = f"fewer than {MIN_SEEDS} seeds" if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"
    return [
        Cell(f"{mean:+.2f}" + ("" if width is None else f" ± {width:.2f}"), [mean, width]),
        _cell(n),
        Cell(probability, [None if p is None else f"{p:.4g}"]),
        _verdict(mean > 0),
    ]


# Figure 1 as a table

FIGURE_1_TITLE = "Figure 1: distance between the spans of input and output table"


def figure1_table(figure1: Figure1 | None) -> Table:
    lines = []
    for panel, points in ({} if figure1 is None else figure1.panels).items():
        letter = {"beta": "a", "tau": "b"}[panel]
        for point in points:
            runs = 0 if point.distances is None else point.distances.n
            place = [Cell(f"({letter})", [letter]), _cell(f"{point.beta:g}"), _cell(f"{point.tau:g}")]
            ours = [Cell(str(runs or NOTHING), [runs]), _sample(point.distances, digits=3)]
            lines.append([*place, *ours, _cell(point.paper(panel))])
    return Table(
        name="figure1",
        title=FIGURE_1_TITLE,
        headings=("panel", "β", "τ", "runs", "distance", "the paper"),
        align="lrrrrl",
        rows=lines,
        columns=("panel", "beta", "tau", "runs", "mean", "sd", "paper"),
        optional=True,
    )


# Whether trainings had come to their end. The learning rate falls by a factor every epoch, and towards the end the
# perplexity after an epoch lies on a line in the rate of that epoch: perplexity = at rate 0 + slope x rate.

LAST_EPOCHS = 16
"""How many of the last epochs the line goes through."""
RATE_LIMIT_NOTES = f"""\
The perplexity of the last {LAST_EPOCHS} epochs of each training, as a line in the learning rate (least squares): "at \
rate 0"
is where the line meets a rate of 0, and "left" is how far below the last epoch that is. It is drawn out beyond what was
trained, so it tells which trainings had farther to go, and is no result."""


def rate_limit_table(rows: Mapping[str, Row]) -> Table:
    lines = []
    for row in rows.values():
        for training in row.trainings() if row.published.table != CONTROLS else ():
            results = row.after(training)
            config = next(iter(results.values())).config.training
            if config.decay == 1 or config.epochs - config.constant_epochs < LAST_EPOCHS:
                continue
            rates = [config.learning_rate_at(config.epochs - k) for k in reversed(range(LAST_EPOCHS))]
            last = {seed: result.valid_by_epoch[-1] for seed, result in results.items()}
            limit = {
                seed: statistics.linear_regression(rates, result.valid_by_epoch[-LAST_EPOCHS:]).intercept
                for seed, result in results.items()
            }
            left = {seed: last[seed] - limit[seed] for seed in last}
            counts = [_code(row.name), _cell(training), _seeds(results), _cell(config.epochs)]
            rate = Cell(f"{rates[-1]:.4f}", [rates[-1]])
            lines.append([*counts, rate, *(_sample(Sample(figures)) for figures in (last, limit, left))])
    figures = [f"{what}_{part}" for what in ("last", "limit", "left") for part in ("mean", "sd")]
    return Table(
        name="rate-limit",
        title="Extrapolated validation perplexity at learning rate 0",
        headings=("recipe", "training", "seeds", "epochs", "last rate", "valid, last epoch", "at rate 0", "left"),
        align="lrrrrrrr",
        rows=lines,
        columns=("recipe", "training", "seeds", "epochs", "last_rate", *figures),
        optional=True,
        notes=RATE_LIMIT_NOTES,
    )


def all_tables(rows: Mapping[str, Row], figure1: Figure1 | None) -> list[Table]:
    """Return every table, in the order of the page; raises as `claims_tables`."""
    return [
        perplexity_table("table1", rows),
        perplexity_table("table2", rows),
        own_words_table(rows),
        perplexity_table("table3", rows),
        perplexity_table("beside", rows),
        controls_table(rows),
        *claims_tables(rows),
        next_words_table(rows),
        *order_tables(rows),
        figure1_table(figure1),
        rate_limit_table(rows),
    ]
