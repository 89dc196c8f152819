"""`tiedlm analyze`: what a perplexity hides, for one run or several on the same text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from tiedlm.cli.output import print_json
from tiedlm.cli.parsing import Directory, Switch, parse
from tiedlm.errors import ArgumentError

if TYPE_CHECKING:
    import numpy as np

    from tiedlm.checkpoint.load import Run


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Tell, for each run, nats by frequency of the target, norms, subspaces, and where its probability goes.

    The probabilities are means over the whole split, with intervals of 95 % over blocks of it: of <unk>, "a", "an" and
    "the" where they are not the next word, of the words nearest to the next word in each run's word vectors, and of
    the next word itself. Of several runs, each is also set against the first.
    """

    runs: Annotated[tuple[Path, ...], tyro.conf.arg(metavar="RUN [RUN ...]"), tyro.conf.Positional]
    """The run folders, all of one corpus."""
    split: Literal["valid", "test", "train"] = "test"
    """Split of the runs' corpus."""
    neighbours: Annotated[int | None, tyro.conf.arg(metavar="K")] = None
    """Words that count as near to a word; without it 10, or all others of a smaller vocabulary."""
    json: Switch = False
    """Print JSON, with all digits."""
    data_dir: Directory = None
    """Where the runs' corpus is, if not in the usual data folder."""


def main(arguments: Sequence[str]) -> int:
    """Run the command and return the exit status."""
    given = parse(Arguments, arguments, "analyze")
    if not given.runs:
        raise ArgumentError("Name the runs to analyze: `tiedlm analyze RUN [RUN ...]`.")
    from tiedlm.checkpoint.load import load_run
    from tiedlm.evaluation.analysis import analyze
    from tiedlm.evaluation.neighbours import nearest_words

    runs = [load_run(path) for path in given.runs]
    ids = _common_text(runs, given)
    count = min(10, len(runs[0].vocabulary) - 1) if given.neighbours is None else given.neighbours
    names = [f"{count} nearest by {path}" for path in map(str, given.runs)]
    near = {name: nearest_words(run.model.table, count) for name, run in zip(names, runs, strict=True)}
    analyses = {
        str(path): analyze(run.model, run.vocabulary, ids, near) for path, run in zip(given.runs, runs, strict=True)
    }
    if given.json:
        from tiedlm.cli.analysis_report import report_json

        print_json(report_json(analyses, given.split))
        return 0
    from tiedlm.cli.analysis_report import print_report

    print_report(analyses, given.split)
    return 0


def _common_text(runs: list[Run], given: Arguments) -> np.ndarray[Any, Any]:
    """Return the ids of the split, once every run has learnt from this text and knows the same words."""
    from tiedlm.evaluation.run_corpus import run_corpus

    corpora = [run_corpus(run.folder, given.data_dir) for run in runs]
    texts = [corpus.provenance["splits"][given.split]["text_sha256"] for corpus in corpora]
    for run, text in zip(runs, texts, strict=True):
        if text != texts[0] or run.vocabulary.words != runs[0].vocabulary.words:
            raise ArgumentError(
                f"{run.folder.path} and {runs[0].folder.path} were trained on different texts or vocabularies, so "
                "their figures do not compare. Analyze them one by one."
            )
    return corpora[0].splits[given.split].ids
