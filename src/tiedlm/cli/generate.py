"""`tiedlm generate`: text drawn from a run's model, after a prompt."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import tyro

from tiedlm.cli.output import say
from tiedlm.cli.parsing import Device, RunPath, Switch, parse


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Draw text from a run's model: the prompt, and the words that follow it.

    The same seed gives the same text. Lines end where the model says so. Control characters in words
    are shown as escapes, such as \\u001b.
    """

    run: RunPath
    """The run folder."""
    prompt: str = ""
    """The words before; without any, text starts with a new line."""
    words: int = 50
    """Words to draw; the end of a line counts as one."""
    temperature: float = 1.0
    """Sampling temperature, 0 or in [1e-3, 1e6]; 1 draws from the model's own distribution, 0 is greedy decoding."""
    seed: int | None = None
    """Seed of the draws, by default 0; not with temperature 0, where nothing is drawn."""
    top_k: Annotated[int | None, tyro.conf.arg(metavar="WORDS")] = None
    """Draw among so many most probable words only."""
    allow_unknown: Switch = False
    """Let `<unk>` be drawn; without it the other words share its probability."""
    device: Device = "cpu"
    """Device to compute on: `cpu`, `cuda`, or another that PyTorch names."""


def main(arguments: Sequence[str]) -> int:
    """Run the command and return the exit status."""
    given = parse(Arguments, arguments, "generate")
    from tiedlm.checkpoint.load import load_run
    from tiedlm.evaluation.context import context_words, unknown_words
    from tiedlm.evaluation.generation import Sampling, as_text, generate

    sampling = Sampling(
        temperature=given.temperature, top_k=given.top_k, seed=given.seed, allow_unknown=given.allow_unknown
    )
    prompt = context_words(given.prompt)
    run = load_run(given.run, device=given.device)
    if unknown := unknown_words(run.vocabulary, prompt):
        say(f"not in the vocabulary, read as <unk>: {' '.join(unknown)}", file=sys.stderr)
    drawn = generate(run.model, run.vocabulary, prompt, given.words, sampling)
    say(as_text([*prompt, *drawn]))
    return 0
