"""Commands that set runs side by side: `compare` by their results, `analyze` by what their models do on one text."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from tiedlm.cli.arguments import NO_DEFAULT, Directory, Integer, Switch, parse
from tiedlm.cli.output import print_json, print_table, say
from tiedlm.errors import ArgumentError, ConfigError
from tiedlm.runs.config import RunConfig

if TYPE_CHECKING:
    from tiedlm.evaluation.analysis import Analysis, Estimate

RunPaths = Annotated[tuple[Path, ...], NO_DEFAULT, tyro.conf.arg(metavar="RUN [RUN ...]"), tyro.conf.Positional]


@dataclass(frozen=True, kw_only=True)
class RunSummary:
    """A run in numbers; None where there is none (yet), and of the paper where the config was changed."""

    run: str
    recipe: str
    changed: bool
    """Whether its config differs from the recipe's in more than seed and machine."""
    seed: int
    trainings: int
    """1, or 2 where it was started from a run's weights, ..."""
    parameters: int
    """A tied table is counted once."""
    epochs: int
    """Epochs that are done."""
    best_epoch: int | None
    """The epoch whose weights are kept."""
    valid: float | None
    """Perplexity, the best so far."""
    test: float | None
    """Perplexity, once the training is over."""
    seconds: float
    """Time of training, validation included."""
    paper_valid: float | None
    paper_test: float | None
    paper_trainings: int | None
    protocol: str | None


def summarize(path: Path) -> RunSummary:
    """Return the summary of the run in the folder `path`, without reading its weights."""
    import torch

    from tiedlm.nn.model import LanguageModel
    from tiedlm.paper.published import PUBLISHED
    from tiedlm.runs.folder import RunFolder

    folder = RunFolder.open(path)
    config = folder.config()
    with torch.device("meta"):  # allocates nothing
        model = LanguageModel(config.model, len(folder.vocabulary()))
    progress, scores = folder.record.progress, folder.record.scores or {}
    changed = is_changed(config)
    published = None if changed else PUBLISHED.get(config.recipe)
    return RunSummary(
        run=str(path),
        recipe=config.recipe,
        changed=changed,
        seed=config.seed,
        trainings=progress.generation,
        parameters=model.parameter_count(),
        epochs=progress.epoch - 1,
        best_epoch=progress.best_epoch,
        valid=scores["valid"]["perplexity"] if scores else progress.best_valid_perplexity,
        test=scores["test"]["perplexity"] if scores else None,
        seconds=progress.total_seconds + progress.seconds,
        paper_valid=published.valid if published else None,
        paper_test=published.test if published else None,
        paper_trainings=published.trainings if published else None,
        protocol=scores.get("protocol"),
    )


def is_changed(config: RunConfig) -> bool:
    """Return whether a config differs from that of its recipe, seed and machine aside."""
    from tiedlm.recipes import recipe

    try:
        original = recipe(config.recipe)
    except ConfigError:
        return True
    return replace(config, seed=original.seed, runtime=original.runtime) != original


@dataclass(frozen=True, kw_only=True)
class CompareArgs:
    """Set runs side by side: parameters, epochs, time, perplexities, and the paper's two for the recipe.

    A run whose config was changed is not set against the paper. For a training in progress the best validation
    perplexity so far is shown.
    """

    runs: RunPaths
    """The run folders."""
    json: Switch = False
    """Print a JSON list, with all digits."""


def compare(argv: Sequence[str]) -> None:
    args = parse(CompareArgs, argv, "compare")
    if not args.runs:
        raise ArgumentError("Name the runs to compare: `tiedlm compare RUN RUN ...`.")
    from tiedlm.training.display import duration

    summaries = [summarize(path) for path in args.runs]
    if args.json:
        print_json([asdict(summary) for summary in summaries])
        return
    rows = []
    for run in summaries:
        recipe = f"{run.recipe} (changed)" if run.changed else run.recipe
        epochs = "-" if run.best_epoch is None else f"{run.best_epoch} of {run.epochs}"
        scores = [_number(run.valid, 2), _number(run.test, 2)]
        paper = "-" if run.paper_test is None else f"{run.paper_valid} / {run.paper_test}"
        counts = [str(run.parameters), str(run.trainings)]
        rows.append([run.run, recipe, *counts, epochs, duration(run.seconds), *scores, paper])
    headings = ("run", "recipe", "parameters", "trainings", "best epoch", "time", "valid", "test", "paper's two")
    print_table(headings, rows, align="llr")
    for run in summaries:
        if run.paper_trainings not in (None, run.trainings):
            ours, paper = (
                "one training" if n == 1 else f"{n} trainings, each from the weights of the one before"
                for n in (run.trainings, run.paper_trainings)
            )
            say(f"{run.run}: {ours}; the paper's figures: {paper}")
    protocols = dict.fromkeys(run.protocol for run in summaries if run.protocol)
    for protocol in protocols:
        say(f"protocol: {protocol}")
    if len(protocols) > 1:
        say("The runs were scored under several protocols: their figures do not compare.", sys.stderr)


@dataclass(frozen=True, kw_only=True)
class AnalyzeArgs:
    """Report cross-entropy by word frequency, embedding norms, subspace distance and probability mass.

    The probabilities are means over the whole split, with 95 % intervals over blocks of it: of <unk>, "a", "an" and
    "the" where they are not the next word, of the words nearest to the next word in each run's word vectors, and of
    the next word itself. With several runs, each is also set against the first.
    """

    runs: RunPaths
    """The run folders, all of one corpus."""
    split: Literal["valid", "test", "train"] = "test"
    """Split of the runs' corpus."""
    neighbours: Annotated[Integer, tyro.conf.arg(metavar="K")] = None
    """Number of words that count as near to a word. Default: 10, or all others of a smaller vocabulary."""
    json: Switch = False
    """Print JSON, with all digits."""
    data_dir: Directory = None
    """Folder of the runs' corpus. Default: TIEDLM_DATA_DIR."""


def analyze(argv: Sequence[str]) -> None:
    args = parse(AnalyzeArgs, argv, "analyze")
    if not args.runs:
        raise ArgumentError("Name the runs to analyze: `tiedlm analyze RUN [RUN ...]`.")
    from tiedlm.evaluation import analysis
    from tiedlm.evaluation.analysis import nearest_words
    from tiedlm.evaluation.perplexity import PROTOCOL
    from tiedlm.runs.load import load_run, run_corpus

    runs = [load_run(path) for path in args.runs]
    corpora = [run_corpus(run.folder, args.data_dir) for run in runs]
    texts = [corpus.provenance["splits"][args.split]["text_sha256"] for corpus in corpora]
    for run, text in zip(runs, texts, strict=True):
        if text != texts[0] or run.vocabulary.words != runs[0].vocabulary.words:
            raise ArgumentError(
                f"{run.folder.path} and {runs[0].folder.path} were trained on different texts or vocabularies, so "
                "their figures do not compare. Analyze them one by one."
            )
    ids = corpora[0].splits[args.split].ids
    count = min(10, len(runs[0].vocabulary) - 1) if args.neighbours is None else args.neighbours
    named = {str(path): run for path, run in zip(args.runs, runs, strict=True)}
    near = {f"{count} nearest by {name}": nearest_words(run.model.table, count) for name, run in named.items()}
    analyses = {name: analysis.analyze(run.model, run.vocabulary, ids, near) for name, run in named.items()}
    first, *others = analyses
    differences = {name: analyses[name].mass.differences(analyses[first].mass) for name in others}
    if args.json:
        report = {
            "split": args.split,
            "protocol": PROTOCOL,
            "runs": {name: value.to_json() for name, value in analyses.items()},
            "less_first_run": {name: analysis.estimates_to_json(rows) for name, rows in differences.items()},
        }
        print_json(report)
        return
    print_analyses(analyses)
    for run, estimates in differences.items():
        _print_estimates(f"\nmean probability, {run} less {first}", estimates)
    say(f"\nsplit: {args.split}\nintervals: 95 %, over blocks of the split; they say nothing of other seeds")
    say(f"protocol: {PROTOCOL}")


def print_analyses(analyses: Mapping[str, Analysis]) -> None:
    """Print one table on frequency and one on geometry, each over all runs, and one on probability for each run."""
    bands = []
    for run, analysis in analyses.items():
        for band in analysis.bands:
            numbers = (band.nll_nats, band.squared_norm, band.classifier_squared_norm)
            bands.append([run, band.ranks, str(band.targets), *map(_number, numbers)])
    headings = ("run", "ranks", "targets", "nats", "|l|^2", "|w|^2")
    print_table(headings, bands, align="lr", title="by frequency of the target")
    geometry = []
    for run, analysis in analyses.items():
        vectors, subspaces = analysis.geometry.vectors, analysis.geometry.subspaces
        numbers = [_number(analysis.score.perplexity, 2), _number(analysis.feature_norm_squared)]
        numbers += [_number(vectors.mean_norm), f"{vectors.mean_cosine:.4f}", f"{vectors.effective_directions:.1f}"]
        distances = (subspaces.distance, subspaces.chance) if subspaces else (None, None)
        geometry.append([run, *numbers, *map(_number, distances)])
    headings = ("run", "perplexity", "|h|^2", "mean |l|", "mean cosine", "directions", "distance", "chance")
    title = "\nfeatures, word vectors, and the distance of vectors and classifier"
    print_table(headings, geometry, align="lr", title=title)
    for run, analysis in analyses.items():
        _print_estimates(f"\nmean probability, {run}", analysis.mass.estimates())


def _print_estimates(title: str, estimates: Mapping[str, Estimate | None]) -> None:
    rows = []
    for name, estimate in estimates.items():
        numbers = (None,) * 3 if estimate is None else (estimate.mean, *estimate.interval)
        rows.append([name, *(_number(n, 6) for n in numbers), str(estimate.words if estimate else 0)])
    print_table(("of", "mean", "from", "to", "words"), rows, align="lr", title=title)


def _number(value: float | None, digits: int = 3) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
