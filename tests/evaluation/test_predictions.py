from __future__ import annotations

import numpy as np
import pytest
import torch

from support.compare import assert_close
from support.gpus import NEEDS_GPU
from tiedlm.errors import CorpusError
from tiedlm.evaluation.predictions import predictions


@pytest.mark.parametrize("window_steps", [1, 3, 4, 100])
def test_every_word_is_predicted_once_after_all_before_it(lstm, vocabulary, window_steps):
    ids = np.array([1, 3, 5, 0, 2, 6, 4, 1, 0])
    windows = list(predictions(lstm, ids, end_id=vocabulary.end_id, window_steps=window_steps))
    assert torch.cat([window.targets for window in windows]).tolist() == ids.tolist()
    before = torch.tensor([vocabulary.end_id, *ids[:-1]])[:, None]
    features, _ = lstm(before, lstm.initial_state(1))
    found = torch.cat([window.features for window in windows])
    assert torch.allclose(found, features[:, 0], atol=1e-6)
    logits = torch.cat([window.logits for window in windows])
    assert torch.allclose(logits, features[:, 0] @ lstm.classifier.T, atol=1e-5)


def test_a_text_without_a_word_is_refused(lstm, vocabulary):
    with pytest.raises(CorpusError, match="no word to score"):
        next(predictions(lstm, np.array([], dtype=np.int64), end_id=vocabulary.end_id))


@NEEDS_GPU
@pytest.mark.parametrize("window_steps", [2, 3, 100])
def test_a_gpu_predicts_the_same(lstm, vocabulary, window_steps):
    ids = np.array([1, 3, 5, 0, 2, 6, 4, 1, 0, 5] * 3)
    truth = list(predictions(lstm, ids, end_id=vocabulary.end_id, window_steps=window_steps))
    windows = list(predictions(lstm.to("cuda"), ids, end_id=vocabulary.end_id, window_steps=window_steps))
    for name in ("targets", "features", "logits"):
        found, expected = (torch.cat([getattr(window, name) for window in some]) for some in (windows, truth))
        assert found.device.type == "cuda"
        assert_close(found.cpu(), expected, 1e-5)
    assert torch.backends.cudnn.rnn.fp32_precision != "ieee"  # pyright: ignore[reportAttributeAccessIssue]
