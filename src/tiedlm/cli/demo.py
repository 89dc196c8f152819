"""`tiedlm demo`: the paper's comparison in small, on English that every Python brings along."""

from __future__ import annotations

import shlex
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from tiedlm import recipes
from tiedlm.cli.main import INTERRUPTED
from tiedlm.cli.output import print_table, say
from tiedlm.cli.parsing import parse
from tiedlm.errors import RunError
from tiedlm.launching import Job, State, launch

if TYPE_CHECKING:
    from tiedlm.checkpoint.load import Run

MODELS = {"demo-vd": "VD-LSTM", "demo-real": "VD-LSTM+REAL"}
"""The recipes that are trained, and the paper's names of their models."""
PHRASES = ("return the number of", "if the argument is", "this method is called when the")


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Train the paper's baseline and its best model in small, and show both.

    The text is the documentation of Python's standard library, as it is on this machine. What is trained already is
    not trained again; what was cut goes on.
    """

    runs: Annotated[Path, tyro.conf.arg(metavar="DIR")] = Path(".demo")
    """Folder for the two run folders."""


def main(arguments: Sequence[str]) -> int:
    """Run the command and return the exit status."""
    given = parse(Arguments, arguments, "demo")
    folders = [given.runs / f"{name}-seed-0" for name in MODELS]
    try:
        _train(dict(zip(MODELS, folders, strict=True)))
    except KeyboardInterrupt:
        say(f"tiedlm: interrupted; `tiedlm demo --runs {given.runs}` goes on where it stopped", file=sys.stderr)
        return INTERRUPTED
    from tiedlm.checkpoint.load import load_run

    runs = [load_run(folder) for folder in folders]
    _print_scores(runs, folders)
    for phrase in PHRASES:
        _print_next_words(runs, phrase)
    say("\nThe run folders, and what to ask them:")
    for folder in folders:
        say(f"  tiedlm predict {shlex.quote(str(folder))} {shlex.quote(PHRASES[0])}")
    say(f"  tiedlm generate {shlex.quote(str(folders[-1]))} --prompt 'the function' --words 50 --temperature 0.8")
    return 0


def _train(folders: dict[str, Path]) -> None:
    """Train the recipes in their folders at one time, or go on with them; what is finished stays as it is."""
    for name, folder in folders.items():
        say(f"{MODELS[name]}: {folder}")
    outcomes = launch([Job(config=recipes.recipe(name), run_dir=folder) for name, folder in folders.items()])
    left = [f"{outcome.job.name} ({outcome.reason})" for outcome in outcomes if outcome.state is not State.FINISHED]
    if left:
        raise RunError(
            f"The training of {' and of '.join(left)} did not reach its end. Once the cause is gone, the same command "
            "goes on where it stopped."
        )


def _print_scores(runs: list[Run], folders: list[Path]) -> None:
    from tiedlm.cli.run_summary import summarize
    from tiedlm.evaluation.ngram import NGram
    from tiedlm.evaluation.perplexity import PROTOCOL
    from tiedlm.evaluation.run_corpus import run_corpus
    from tiedlm.training.duration import duration

    corpus = run_corpus(runs[0].folder)
    vocabulary, splits = corpus.vocabulary, corpus.splits
    rows = []
    for label, order in (("unigram", 1), ("trigram, Kneser-Ney", 3)):
        counts = NGram(splits["train"].ids, len(vocabulary), order=order, end_id=vocabulary.end_id)
        scores = [counts.score(splits[name].ids, unknown_id=vocabulary.unknown_id) for name in ("valid", "test")]
        rows.append([label, "", *(f"{score.perplexity:.1f}" for score in scores), ""])
    for label, folder in zip(MODELS.values(), folders, strict=True):
        run = summarize(folder)
        scores = [f"{value:.1f}" if value else "-" for value in (run.valid, run.test)]
        rows.append([label, str(run.parameters), *scores, duration(run.seconds)])
    told = (
        f"Perplexity after {splits['train'].words:,} words of training text, on {splits['valid'].words:,} words of "
        f"valid and {splits['test'].words:,} of test text; {len(vocabulary):,} words in the vocabulary. "
        f"Protocol: {PROTOCOL}."
    )
    say(f"\n{textwrap.fill(told, 100)}\n")
    print_table(("model", "parameters", "valid", "test", "time"), rows)


def _print_next_words(runs: list[Run], phrase: str) -> None:
    from tiedlm.evaluation.next_words import next_words

    found = [next_words(run.model, run.vocabulary, phrase.split()) for run in runs]
    headings = [cell for label in MODELS.values() for cell in (label, "p")]
    rows = [[cell for word, p in pair for cell in (word, f"{p:.3f}")] for pair in zip(*found, strict=True)]
    say()
    print_table(headings, rows, align="lrlr", title=f"Next word after: {phrase}")
