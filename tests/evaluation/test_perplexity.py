"""Perplexity: one pass over a text under one protocol, and what it is made of."""

import math

import numpy as np
import pytest
import torch

from support.compare import assert_close
from support.gpu import NEEDS_GPU
from support.layers import BigramModel
from tiedlm.errors import CorpusError
from tiedlm.evaluation.perplexity import exp, perplexity, predict_windows, word_nlls

EOS, UNK, A, B = 0, 1, 2, 3
BIGRAMS = torch.tensor(
    [
        [0.1, 0.2, 0.3, 0.4],  # after <eos>
        [0.25, 0.25, 0.25, 0.25],  # after <unk>
        [0.5, 0.2, 0.2, 0.1],  # after a
        [0.7, 0.1, 0.1, 0.1],  # after b
    ],
    dtype=torch.float64,
)


def score(ids, **options):
    return perplexity(BigramModel(BIGRAMS), np.array(ids), end_id=EOS, unknown_id=UNK, **options)


def test_a_text_by_hand():
    """a <unk> <eos> b <eos>: the first word after <eos>, the fourth after the <eos> that stands before it."""
    result = score([A, UNK, EOS, B, EOS])
    factors = [0.3, 0.2, 0.25, 0.4, 0.7]
    assert result.words == 5
    assert result.unknown == 1
    assert result.nll_nats == pytest.approx(-sum(map(math.log, factors)), rel=1e-6)
    assert result.perplexity == pytest.approx(math.prod(factors) ** (-1 / 5), rel=1e-6)
    known = [0.3, 0.25, 0.4, 0.7]
    assert result.perplexity_without_unknown == pytest.approx(math.prod(known) ** (-1 / 4), rel=1e-6)


def test_a_text_without_a_word_is_refused():
    with pytest.raises(CorpusError, match="no word to score"):
        score([])


def test_a_text_of_unknown_words_alone_has_no_other_perplexity():
    assert score([UNK, UNK]).perplexity == pytest.approx((0.2 * 0.25) ** -0.5, rel=1e-6)
    assert score([UNK, UNK]).perplexity_without_unknown is None


@pytest.mark.parametrize("window_steps", [1, 3, 99, 1000])
def test_the_state_is_carried_and_no_word_is_left_out_or_scored_twice(window_steps):
    ids = np.random.default_rng(0).integers(0, 4, 100)
    model = BigramModel(BIGRAMS)
    result = perplexity(model, ids, end_id=EOS, unknown_id=UNK, window_steps=window_steps)
    before = np.concatenate([[EOS], ids[:-1]])
    assert result.words == 100
    assert result.nll_nats == pytest.approx(-float(BIGRAMS.log()[before, ids].sum()), rel=1e-6)
    assert model.calls == list(range(0, 100, window_steps))


def test_scoring_changes_nothing_in_the_model(lstm):
    before = {name: tensor.clone() for name, tensor in lstm.state_dict().items()}
    first = perplexity(lstm, np.arange(7), end_id=0, unknown_id=6)
    assert perplexity(lstm, np.arange(7), end_id=0, unknown_id=6) == first
    assert all(tensor.equal(before[name]) for name, tensor in lstm.state_dict().items())
    assert not lstm.training
    assert all(parameter.grad is None for parameter in lstm.parameters())


def test_words_come_with_their_own_score():
    (targets, nll), (last, last_nll) = word_nlls(
        BigramModel(BIGRAMS), np.array([A, UNK, EOS], dtype=np.uint16), end_id=EOS, window_steps=2
    )
    assert [*targets.tolist(), *last.tolist()] == [A, UNK, EOS]
    assert nll.dtype == last_nll.dtype == torch.float64
    assert torch.cat([nll, last_nll]).exp().reciprocal().tolist() == pytest.approx([0.3, 0.2, 0.25], rel=1e-6)


def test_weights_that_are_not_numbers_give_no_number_and_too_large_losses_infinity():
    broken = BigramModel(torch.full((4, 4), math.nan))
    result = perplexity(broken, np.array([A, B]), end_id=EOS, unknown_id=UNK)
    assert math.isnan(result.perplexity)
    assert math.isnan(result.nll_nats)
    assert exp(1e6) == math.inf


@NEEDS_GPU
@pytest.mark.parametrize("window_steps", [3, 100])
def test_a_gpu_predicts_the_same(lstm, vocabulary, window_steps):
    ids = np.array([1, 3, 5, 0, 2, 6, 4, 1, 0, 5] * 3)
    truth = list(predict_windows(lstm, ids, end_id=vocabulary.end_id, window_steps=window_steps))
    windows = list(predict_windows(lstm.to("cuda"), ids, end_id=vocabulary.end_id, window_steps=window_steps))
    for name in ("targets", "features", "logits"):
        on_gpu, expected = (torch.cat([getattr(window, name) for window in some]) for some in (windows, truth))
        assert on_gpu.device.type == "cuda"
        assert_close(on_gpu.cpu(), expected, 1e-5)
    assert torch.backends.cudnn.rnn.fp32_precision != "ieee"  # pyright: ignore[reportAttributeAccessIssue]
