"""`tiedlm predict`: the most probable next words after a context, given as an argument or a line each on stdin."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import tyro

from tiedlm.cli.output import print_json, print_table, say
from tiedlm.cli.parsing import Device, RunPath, Switch, parse
from tiedlm.errors import CorpusError

if TYPE_CHECKING:
    from tiedlm.checkpoint.load import Run


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Print the most probable next words after a context.

    The context is read as a sentence from its start, after `<eos>`. Without the argument, contexts are read from the
    standard input, a line each, and every line is answered on its own. Control characters in words
    are shown as escapes, such as \\u001b, also with --json.
    """

    run: RunPath
    """The run folder."""
    context: Annotated[str | None, tyro.conf.arg(metavar="[CONTEXT]"), tyro.conf.Positional] = None
    """The words before, in quotes; "" asks for the first word of a sentence."""
    count: int | None = None
    """Words to print; without it 10, or all words of a smaller vocabulary."""
    json: Switch = False
    """Print a JSON object a context, one a line."""
    device: Device = "cpu"
    """Device to compute on: `cpu`, `cuda`, or another that PyTorch names."""


def main(arguments: Sequence[str]) -> int:
    """Run the command and return the exit status."""
    given = parse(Arguments, arguments, "predict")
    from tiedlm.checkpoint.load import load_run

    run = load_run(given.run, device=given.device)
    for number, context in enumerate(_contexts(given)):
        if number and not given.json:
            say()
        _print_prediction(run, context, given)
        sys.stdout.flush()
    return 0


def _contexts(given: Arguments) -> Iterator[str]:
    if given.context is not None:
        yield given.context
        return
    if sys.stdin.isatty():
        say("Type a context and Enter; end with control-D.", file=sys.stderr)
    for number, line in enumerate(sys.stdin.buffer, 1):
        try:
            yield line.removesuffix(b"\n").decode()
        except UnicodeDecodeError as error:
            raise CorpusError(
                f"Line {number:,} of the standard input is not UTF-8. Give plain text in UTF-8."
            ) from error


def _print_prediction(run: Run, context: str, given: Arguments) -> None:
    from tiedlm.evaluation.context import context_words, unknown_words
    from tiedlm.evaluation.next_words import next_words

    words = context_words(context)
    unknown = unknown_words(run.vocabulary, words)
    count = min(10, len(run.vocabulary)) if given.count is None else given.count
    found = next_words(run.model, run.vocabulary, words, count)
    if given.json:
        listed = [{"word": word, "probability": probability} for word, probability in found]
        print_json({"context": " ".join(words), "unknown": unknown, "next": listed}, indent=None)
        return
    say(f"context: {' '.join(words) or '(start of a line)'}")
    if unknown:
        say(f"not in the vocabulary, read as <unk>: {' '.join(unknown)}")
    print_table(("word", "probability"), [(word, f"{probability:.4f}") for word, probability in found])
