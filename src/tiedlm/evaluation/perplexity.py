"""Perplexity under one stated protocol.

Every word of a text is scored once, in order, in one stream: the first word after `<eos>`, each later one after all
that came before, with the state carried from window to window and nothing dropped. `<eos>` at the end of every line
counts as a word, and `<unk>` is a word like any other:

    perplexity = exp( -1/N sum_t log p(w_t | w_1 ... w_{t-1}) )

Losses are summed in float64, so the figure depends on the window only through rounding (below 1e-6, relative).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, final

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from tiedlm.data.streams import Streams
from tiedlm.errors import CorpusError
from tiedlm.native.device import exact_float32_rnn
from tiedlm.nn.model import LanguageModel

PROTOCOL = (
    "every word of the split once, in one stream, the first after <eos>; <eos> of every line counted; unknown words "
    "scored as <unk>; state carried over the whole split; no dropout; natural logarithm; float32 model"
)
WINDOW_STEPS = 256
"""Words that are scored at once; a larger number takes more memory and gives the same figure."""
MIN_REPLAYS = 8
"""Windows of a text from which on a GPU replays them: a capture takes as long as a few of them."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """The score of one text under `PROTOCOL`."""

    perplexity: float
    """exp(nll_nats / words)."""
    nll_nats: float
    """Negative log likelihood of the whole text, in nats."""
    words: int
    """Words that were scored, `<eos>` included; `unknown` of them are `<unk>`."""
    unknown: int
    perplexity_without_unknown: float | None
    """Perplexity over the words that are not `<unk>` (they still stand in the context); None where there are none."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


class Window(NamedTuple):
    """One window of a text, on the model's device."""

    targets: Tensor
    """The words that came [T]."""
    features: Tensor
    """h before each of them [T, D]."""
    logits: Tensor
    """W h + b [T, V], float32."""


def predict_windows(
    model: LanguageModel, ids: np.ndarray[Any, Any], *, end_id: int, window_steps: int = WINDOW_STEPS
) -> Iterator[Window]:
    """Yield the predictions of every word of a text in order, in one stream; arguments and errors as `perplexity`."""
    if len(ids) == 0:
        raise CorpusError("There is no word to score. Give a text with at least one line.")
    device, steps = model.classifier.device, min(window_steps, len(ids))

    def predict(inputs: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        features, after = model(inputs, state)
        return features[:, 0], model.logits(features[:, 0]).float(), *after

    state = model.initial_state(1)
    predict_whole = predict
    if device.type == "cuda" and len(ids) >= MIN_REPLAYS * steps:
        from tiedlm.native.cuda_graph import CudaGraph  # here, since a CPU needs none

        predict_whole = CudaGraph(predict, device)
    for inputs, targets in Streams(ids, 1, end_id=end_id).windows(steps):
        with torch.inference_mode(), exact_float32_rnn(device):
            run = predict_whole if len(inputs) == steps else predict
            features, logits, *state = run(inputs.to(device), *state)
        yield Window(targets[:, 0].to(device), features, logits)


def word_nlls(
    model: LanguageModel, ids: np.ndarray[Any, Any], *, end_id: int, window_steps: int = WINDOW_STEPS
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield, window by window, the words of a text and -log p of each, in nats and float64, both [T] on the CPU."""
    for window in predict_windows(model, ids, end_id=end_id, window_steps=window_steps):
        with torch.inference_mode():
            nll = F.cross_entropy(window.logits, window.targets, reduction="none")
        yield window.targets.cpu(), nll.double().cpu()


@final
class ScoreSum:
    """Sums up the windows of `word_nlls` in float64."""

    def __init__(self, unknown_id: int) -> None:
        self._unknown_id = unknown_id
        self._total, self._words, self._unknown_total, self._unknown = 0.0, 0, 0.0, 0

    def over(self, windows: Iterable[tuple[Tensor, Tensor]]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield each window, once it is counted."""
        for targets, nll in windows:
            self.add(targets, nll)
            yield targets, nll

    def add(self, targets: Tensor, nll: Tensor) -> None:
        """Count a window: words and -log p of each, in nats and float64, both [T]."""
        is_unknown = targets == self._unknown_id
        self._total += float(nll.sum())
        self._unknown_total += float(nll[is_unknown].sum())
        self._words, self._unknown = self._words + len(targets), self._unknown + int(is_unknown.sum())

    def score(self) -> Score:
        """Return the score of the words counted so far, of which there must be one."""
        known = self._words - self._unknown
        return Score(
            perplexity=exp(self._total / self._words),
            nll_nats=self._total,
            words=self._words,
            unknown=self._unknown,
            perplexity_without_unknown=exp((self._total - self._unknown_total) / known) if known else None,
        )


def perplexity(
    model: LanguageModel, ids: np.ndarray[Any, Any], *, end_id: int, unknown_id: int, window_steps: int = WINDOW_STEPS
) -> Score:
    """Return the score of a text under `PROTOCOL`.

    Args:
        model: used as it is; its mode and parameters are left alone.
        ids: word ids of the text in order, `<eos>` at the end of every line included [words].
        end_id: id of `<eos>`.
        unknown_id: id of `<unk>`.
        window_steps: words that are scored at once, 1 or more.

    Raises:
        CorpusError: a text without a word.
    """
    total = ScoreSum(unknown_id)
    for targets, nll in word_nlls(model, ids, end_id=end_id, window_steps=window_steps):
        total.add(targets, nll)
    return total.score()


def exp(mean_nll_nats: float) -> float:
    """Return the exponential, infinity where it is too large for a number."""
    try:
        return math.exp(mean_nll_nats)
    except OverflowError:
        return math.inf
