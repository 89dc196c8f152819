"""What a model says at every word of a text, window by window: the one pass that all figures of a text are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from tiedlm.data.streams import Streams
from tiedlm.errors import CorpusError
from tiedlm.native.cuda_graph import CudaGraph
from tiedlm.native.device import exact_float32_rnn
from tiedlm.nn.model import LanguageModel

WINDOW_STEPS = 256
"""Words that are scored at once; a larger number takes more memory and gives the same figure."""
FEWEST_REPLAYS = 8
"""Windows of a text from which on a GPU replays them: a capture takes as long as a few of them."""


class Predictions(NamedTuple):
    """One window of a text, on the model's device."""

    targets: Tensor
    """The words that came [T]."""
    features: Tensor
    """h before each of them [T, D]."""
    logits: Tensor
    """W h + b [T, V], float32."""


def predictions(
    model: LanguageModel, ids: np.ndarray[Any, Any], *, end_id: int, window_steps: int = WINDOW_STEPS
) -> Iterator[Predictions]:
    """Yield the predictions of every word of a text in order, in one stream, the first after `<eos>`, nothing dropped.

    Args:
        model: used as it is; its mode and parameters are left alone.
        ids: word ids of the text in order, `<eos>` at the end of every line included [words].
        end_id: id of `<eos>`.
        window_steps: words that are scored at once, 1 or more.

    Raises:
        CorpusError: a text without a word.
    """
    if len(ids) == 0:
        raise CorpusError("There is no word to score. Give a text with at least one line.")
    device, steps = model.classifier.device, min(window_steps, len(ids))
    state, through = model.initial_state(1), _through(model)
    replay = device.type == "cuda" and len(ids) >= FEWEST_REPLAYS * steps
    whole = CudaGraph(through, device) if replay else through
    for inputs, targets in Streams(ids, 1, end_id=end_id).windows(steps):
        with torch.inference_mode(), exact_float32_rnn(device):
            features, logits, *state = (whole if len(inputs) == steps else through)(inputs.to(device), *state)
        yield Predictions(targets[:, 0].to(device), features, logits)


def _through(model: LanguageModel) -> Callable[..., tuple[Tensor, ...]]:
    """Return the way through a window as a function of tensors: words and state to features, logits and state."""

    def through(inputs: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        features, after = model(inputs, state)
        return features[:, 0], model.logits(features[:, 0]).float(), *after

    return through
