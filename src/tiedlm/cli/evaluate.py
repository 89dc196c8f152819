"""Commands that ask one run: `score` (perplexity), `predict` (next words), `generate` (text)."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from tiedlm.cli.arguments import NO_DEFAULT, Device, Directory, File, Integer, RunPath, Switch, parse, refuse_unused
from tiedlm.cli.output import print_json, print_tab_separated, print_table, print_values, say
from tiedlm.errors import CorpusError

if TYPE_CHECKING:
    import numpy as np

    from tiedlm.runs.load import Run

_DETAIL = tyro.conf.create_mutex_group(required=False, title="details")


@dataclass(frozen=True, kw_only=True)
class ScoreArgs:
    r"""Score a run: perplexity, under the protocol that is printed with it.

    The split comes from the run's corpus, which must be unchanged since training. Per-line and per-word scores are
    printed before the report, tab-separated or as JSON Lines. Control characters in words are shown as escapes, \u001b
    in tab-separated rows as in JSON, and a backslash that would read as one as \u005c.
    """

    run: RunPath
    split: Annotated[Literal["valid", "test", "train"] | None, NO_DEFAULT] = None
    """Split of the run's corpus. Default: test."""
    text: File = None
    """Score this text file under the run's vocabulary instead: UTF-8, words separated by spaces."""
    own_words: Switch = False
    """Score words that do not occur in the training text as `<unk>` (halves of WikiText-2 only)."""
    per_line: Annotated[Switch, _DETAIL] = False
    """Print the score of every line, too."""
    per_word: Annotated[Switch, _DETAIL] = False
    """Print the score of every word, too, as the text spells it; `unknown` is 1 where the model read `<unk>`."""
    json: Switch = False
    """Print JSON, with all digits."""
    data_dir: Directory = None
    """Folder of the run's corpus. Default: TIEDLM_DATA_DIR."""
    device: Device = "cpu"
    """Device to compute on: `cpu`, `cuda`, or another that PyTorch names."""


def score(argv: Sequence[str]) -> None:
    args = parse(ScoreArgs, argv, "score")
    if args.text is not None:
        refuse_unused(args, "with --text", ("run", "text", "per_line", "per_word", "json", "device"))
    if args.own_words:
        refuse_unused(args, "with --own-words", ("run", "split", "own_words", "per_line", "json", "data_dir", "device"))
    from tiedlm.evaluation.perplexity import PROTOCOL, ScoreSum, word_nlls
    from tiedlm.evaluation.scoring import WordScore, line_scores, word_scores
    from tiedlm.runs.load import load_run

    run = load_run(args.run, device=args.device)
    unknown_id, end_id = run.vocabulary.unknown_id, run.vocabulary.end_id
    with _scored_text(args, run) as (name, ids, words):
        tally = ScoreSum(unknown_id)
        windows = tally.over(word_nlls(run.model, ids, end_id=end_id))
        if args.per_line:
            lines = line_scores(windows, end_id=end_id, unknown_id=unknown_id)
            headings = ("line", "words", "unknown", "nll_nats", "perplexity")
            _print_rows(headings, ((*line, line.perplexity) for line in lines), args.json)
        elif args.per_word:
            _print_rows(WordScore._fields, word_scores(windows, words, run.vocabulary), args.json)
        else:
            for _ in windows:
                pass
    total = tally.score()
    report: dict[str, Any] = {"run": str(run.folder.path), "text": name, "protocol": PROTOCOL}
    if args.json:
        print_json(report | total.to_json(), indent=None if args.per_line or args.per_word else 2)
        return
    without = total.perplexity_without_unknown
    numbers = {
        "words": total.words,
        "unknown words": total.unknown,
        "nll nats": f"{total.nll_nats:.4f}",
        "perplexity": f"{total.perplexity:.4f}",
        "perplexity without unknown words": "none, all are unknown" if without is None else f"{without:.4f}",
    }
    print_values(report | numbers)


@contextmanager
def _scored_text(args: ScoreArgs, run: Run) -> Iterator[tuple[str, np.ndarray[Any, Any], Iterator[str]]]:
    """Yield the name of the text, its ids, and its words as it spells them."""
    from tiedlm.data.text import ids_of_file
    from tiedlm.evaluation import scoring
    from tiedlm.runs.load import run_corpus

    if args.text is not None:
        with ids_of_file(args.text, run.vocabulary) as ids:
            yield str(args.text), ids, scoring.file_words(args.text)
        return
    split = args.split or "test"
    corpus = run_corpus(run.folder, args.data_dir)
    name, ids = f"{split} split of {corpus.name}", corpus.splits[split].ids
    if args.own_words:
        name, ids = f"{name}, words that its training text lacks as <unk>", scoring.unseen_as_unk(corpus, split)
    yield name, ids, scoring.split_words(corpus, split)


def _print_rows(headings: Sequence[str], rows: Iterator[tuple[Any, ...]], as_json: bool) -> None:
    if not as_json:
        print_tab_separated(headings)
    for row in rows:
        if as_json:
            print_json(dict(zip(headings, row, strict=True)), indent=None)
        else:
            print_tab_separated(row)


@dataclass(frozen=True, kw_only=True)
class PredictArgs:
    r"""Print the most probable next words after a context.

    The context is read as a sentence from its start, after `<eos>`. Without the argument, contexts are read from the
    standard input, one per line, and each is answered separately. Control characters in words are shown as escapes such
    as \u001b, with --json as JSON's.
    """

    run: RunPath
    context: Annotated[str | None, tyro.conf.arg(metavar="[CONTEXT]"), NO_DEFAULT, tyro.conf.Positional] = None
    """The words before, in quotes; "" asks for the first word of a sentence."""
    count: Integer = None
    """Number of words to print. Default: 10, or all words of a smaller vocabulary."""
    json: Switch = False
    """Print JSON Lines, one object per context."""
    device: Device = "cpu"
    """Device to compute on: `cpu`, `cuda`, or another that PyTorch names."""


def predict(argv: Sequence[str]) -> None:
    args = parse(PredictArgs, argv, "predict")
    from tiedlm.evaluation.next_words import context_words, next_words, unknown_words
    from tiedlm.runs.load import load_run

    run = load_run(args.run, device=args.device)
    for number, context in enumerate(_contexts(args)):
        words = context_words(context)
        unknown = unknown_words(run.vocabulary, words)
        best = next_words(run.model, run.vocabulary, words, args.count)
        if args.json:
            rows = [{"word": word, "probability": probability} for word, probability in best]
            print_json({"context": " ".join(words), "unknown": unknown, "next": rows}, indent=None)
        else:
            say(f"{chr(10) if number else ''}context: {' '.join(words) or '(start of a line)'}")
            if unknown:
                say(f"not in the vocabulary, read as <unk>: {' '.join(unknown)}")
            print_table(("word", "probability"), [(word, f"{probability:.4f}") for word, probability in best])
        sys.stdout.flush()


def _contexts(args: PredictArgs) -> Iterator[str]:
    if args.context is not None:
        yield args.context
        return
    if sys.stdin.isatty():
        say("Type a context and Enter; end with control-D.", sys.stderr)
    for number, line in enumerate(sys.stdin.buffer, 1):
        try:
            yield line.removesuffix(b"\n").decode()
        except UnicodeDecodeError as error:
            reason = f"Line {number:,} of the standard input is not UTF-8. Give plain text in UTF-8."
            raise CorpusError(reason) from error


@dataclass(frozen=True, kw_only=True)
class GenerateArgs:
    r"""Generate text from a run's model: the prompt, and the words that follow it.

    The same seed gives the same text. Lines end where the model says so. Control characters in words are shown as
    escapes such as \u001b.
    """

    run: RunPath
    prompt: str = ""
    """The words before; without any, text starts with a new line."""
    words: int = 50
    """Number of words to generate, `<eos>` included."""
    temperature: float = 1.0
    """Sampling temperature, 0 or in [1e-3, 1e6]; 1 is the model's own distribution, 0 is greedy decoding."""
    seed: Integer = None
    """Seed of the sampling. Default: 0. Not with temperature 0, where nothing is sampled."""
    top_k: Annotated[int | None, tyro.conf.arg(metavar="WORDS"), NO_DEFAULT] = None
    """Sample among this many most probable words only. Default: all."""
    allow_unknown: Switch = False
    """Let `<unk>` be generated; without it the other words share its probability."""
    device: Device = "cpu"
    """Device to compute on: `cpu`, `cuda`, or another that PyTorch names."""


def generate(argv: Sequence[str]) -> None:
    args = parse(GenerateArgs, argv, "generate")
    from tiedlm.evaluation import next_words
    from tiedlm.runs.load import load_run

    sampling = next_words.Sampling(
        temperature=args.temperature, top_k=args.top_k, seed=args.seed, allow_unknown=args.allow_unknown
    )
    prompt = next_words.context_words(args.prompt)
    run = load_run(args.run, device=args.device)
    if unknown := next_words.unknown_words(run.vocabulary, prompt):
        say(f"not in the vocabulary, read as <unk>: {' '.join(unknown)}", sys.stderr)
    words = next_words.generate(run.model, run.vocabulary, prompt, args.words, sampling)
    say(next_words.as_text([*prompt, *words]))
