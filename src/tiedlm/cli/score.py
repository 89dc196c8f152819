"""`tiedlm score`: the perplexity of a run on a split of its corpus or on a text file, under one stated protocol."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from tiedlm.cli.output import print_json, print_tab_separated, print_values
from tiedlm.cli.parsing import Device, Directory, RunPath, Switch, parse
from tiedlm.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np

    from tiedlm.checkpoint.load import Run
    from tiedlm.evaluation.lines import Windows


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Score a run: perplexity, under the protocol that is printed with it.

    The split's text is found through the run's config and must be the text that the run was trained with. Scores by
    line or word come before the report, tab-separated, or as JSON objects, one a line. Control characters in words
    are shown as escapes, \\u001b in tab-separated rows as in JSON, and a backslash that would read as one as \\u005c.
    """

    run: RunPath
    """The run folder."""
    split: Literal["valid", "test", "train"] | None = None
    """Split of the run's corpus; without it and without --text the test split."""
    text: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """A text file to score under the run's vocabulary instead: UTF-8, words between blanks."""
    own_words: Switch = False
    """Read words that the training text lacks as `<unk>`; of a corpus whose training text is a part of another's."""
    per_line: Switch = False
    """Print the score of every line, too."""
    per_word: Switch = False
    """Print the score of every word, too, as the text spells it; `unknown` is 1 where the model read `<unk>`."""
    json: Switch = False
    """Print JSON, with all digits."""
    data_dir: Directory = None
    """Where the run's corpus is, if not in the usual data folder."""
    device: Device = "cpu"
    """Device to compute on: `cpu`, `cuda`, or another that PyTorch names."""

    def __post_init__(self) -> None:
        if self.text is not None:
            for option in ("split", "data_dir", "own_words"):
                if getattr(self, option) not in (None, False):
                    raise ConfigError(
                        f"--{option.replace('_', '-')} has no effect beside --text. Leave one of them out."
                    )
        if self.own_words and self.per_word:
            raise ConfigError("--own-words and --per-word do not go together. Leave one of them out.")
        if self.per_line and self.per_word:
            raise ConfigError("--per-line and --per-word do not go together. Leave one of them out.")


def main(arguments: Sequence[str]) -> int:
    """Run the command and return the exit status."""
    given = parse(Arguments, arguments, "score")
    from tiedlm.checkpoint.load import load_run
    from tiedlm.evaluation.perplexity import PROTOCOL, Tally, word_nlls

    run = load_run(given.run, device=given.device)
    with _scored_text(given, run) as (name, ids, words):
        tally = Tally(run.vocabulary.unknown_id)
        windows = tally.over(word_nlls(run.model, ids, end_id=run.vocabulary.end_id))
        _print_details(given, run, windows, words)
    score = tally.score()
    report: dict[str, Any] = {"run": str(run.folder.path), "text": name, "protocol": PROTOCOL}
    if given.json:
        print_json(report | score.to_json(), indent=None if given.per_line or given.per_word else 2)
        return 0
    without = score.perplexity_without_unknown
    numbers = {
        "words": score.words,
        "unknown words": score.unknown,
        "nll nats": f"{score.nll_nats:.4f}",
        "perplexity": f"{score.perplexity:.4f}",
        "perplexity without unknown words": "none, all are unknown" if without is None else f"{without:.4f}",
    }
    print_values(report | numbers)
    return 0


@contextmanager
def _scored_text(given: Arguments, run: Run) -> Iterator[tuple[str, np.ndarray[Any, Any], Iterator[str]]]:
    """Yield what the text is called, its ids, and its words as they are spelled."""
    from tiedlm.evaluation.spelling import spelled_words, split_words

    if given.text is not None:
        from tiedlm.data.text import ids_of_file

        with ids_of_file(given.text, run.vocabulary) as ids:
            yield str(given.text), ids, spelled_words(given.text)
        return
    from tiedlm.evaluation.run_corpus import run_corpus

    split = given.split or "test"
    corpus = run_corpus(run.folder, given.data_dir)
    name, ids = f"{split} split of {corpus.name}", corpus.splits[split].ids
    if given.own_words:
        from tiedlm.evaluation.own_words import own_words

        name, ids = f"{name}, words that its training text lacks as <unk>", own_words(corpus, split)
    yield name, ids, split_words(corpus, split)


def _print_details(given: Arguments, run: Run, windows: Windows, words: Iterator[str]) -> None:
    """Go through all windows, and print what is asked for on the way."""
    from tiedlm.evaluation.lines import line_scores, word_scores
    from tiedlm.evaluation.spelling import SpelledScore, spelled_scores

    vocabulary = run.vocabulary
    if given.per_line:
        lines = line_scores(windows, end_id=vocabulary.end_id, unknown_id=vocabulary.unknown_id)
        _print_rows(
            ("line", "words", "unknown", "nll_nats", "perplexity"),
            ((*line, line.perplexity) for line in lines),
            as_json=given.json,
        )
    elif given.per_word:
        scores = word_scores(windows, end_id=vocabulary.end_id)
        _print_rows(SpelledScore._fields, spelled_scores(scores, words, vocabulary), as_json=given.json)
    else:
        for _ in windows:
            pass


def _print_rows(names: Sequence[str], rows: Iterator[tuple[Any, ...]], *, as_json: bool) -> None:
    if not as_json:
        print_tab_separated(names)
    for row in rows:
        if as_json:
            print_json(dict(zip(names, row, strict=True)), indent=None)
        else:
            print_tab_separated(row)
