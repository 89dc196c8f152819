"""`tiedlm demo`: the paper's comparison in small, on English that every Python brings along."""

from __future__ import annotations

import shlex
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from tiedlm import recipes
from tiedlm.cli.arguments import parse
from tiedlm.cli.main import INTERRUPTED
from tiedlm.cli.output import print_table, say
from tiedlm.cli.train import require_finished
from tiedlm.training import launcher
from tiedlm.training.jobs import Job, JobState

MODELS = {"demo-vd": "VD-LSTM", "demo-real": "VD-LSTM+REAL"}
PHRASES = ("return the number of", "if the argument is", "this method is called when the")


@dataclass(frozen=True, kw_only=True)
class DemoArgs:
    """Train the paper's baseline and its best model in small, and show both.

    The text is the documentation of Python's standard library, as it is on this machine. Finished trainings are not
    repeated; interrupted ones are resumed.
    """

    runs: Annotated[Path, tyro.conf.arg(metavar="DIR")] = Path(".demo")
    """Folder for the two run folders."""


def demo(argv: Sequence[str]) -> int:
    args = parse(DemoArgs, argv, "demo")
    folders = {name: args.runs / f"{name}-seed-0" for name in MODELS}
    for name, folder in folders.items():
        say(f"{MODELS[name]}: {folder}")
    jobs = [Job(config=recipes.recipe(name), run_dir=folder) for name, folder in folders.items()]
    try:
        results = launcher.launch(jobs)
    except KeyboardInterrupt:
        say(f"tiedlm: interrupted; `tiedlm demo --runs {shlex.quote(str(args.runs))}` resumes", sys.stderr)
        return INTERRUPTED
    require_finished([result for result in results if result.state is not JobState.FINISHED], len(results))
    from tiedlm.cli.compare import summarize
    from tiedlm.evaluation.next_words import next_words
    from tiedlm.evaluation.ngram import NGram
    from tiedlm.evaluation.perplexity import PROTOCOL
    from tiedlm.runs.load import load_run, run_corpus
    from tiedlm.training.display import duration

    runs = [load_run(folder) for folder in folders.values()]
    corpus = run_corpus(runs[0].folder)
    vocabulary, splits = corpus.vocabulary, corpus.splits
    rows = []
    for label, order in (("unigram", 1), ("trigram, Kneser-Ney", 3)):
        counts = NGram(splits["train"].ids, len(vocabulary), order=order, end_id=vocabulary.end_id)
        scores = [counts.score(splits[name].ids, unknown_id=vocabulary.unknown_id) for name in ("valid", "test")]
        rows.append([label, "", *(f"{score.perplexity:.1f}" for score in scores), ""])
    for name, folder in folders.items():
        run = summarize(folder)
        perplexities = [f"{value:.1f}" if value else "-" for value in (run.valid, run.test)]
        rows.append([MODELS[name], str(run.parameters), *perplexities, duration(run.seconds)])
    heading = (
        f"Perplexity after {splits['train'].words:,} words of training text, on {splits['valid'].words:,} words of "
        f"valid and {splits['test'].words:,} of test text; {len(vocabulary):,} words in the vocabulary. "
        f"Protocol: {PROTOCOL}."
    )
    say(f"\n{textwrap.fill(heading, 100)}\n")
    print_table(("model", "parameters", "valid", "test", "time"), rows)
    for phrase in PHRASES:
        best = [next_words(run.model, run.vocabulary, phrase.split()) for run in runs]
        rows = [[cell for word, p in pair for cell in (word, f"{p:.3f}")] for pair in zip(*best, strict=True)]
        headings = [cell for label in MODELS.values() for cell in (label, "p")]
        say()
        print_table(headings, rows, align="lrlr", title=f"Next word after: {phrase}")
    vd, real = (shlex.quote(str(folder)) for folder in folders.values())
    say("\nThe run folders, and what to ask them:")
    for folder in (vd, real):
        say(f"  tiedlm predict {folder} {shlex.quote(PHRASES[0])}")
    say(f"  tiedlm generate {real} --prompt 'the function' --words 50 --temperature 0.8")
    return 0
