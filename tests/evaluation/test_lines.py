from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from tiedlm.evaluation.lines import LineScore, line_scores, word_scores
from tiedlm.evaluation.perplexity import perplexity, word_nlls

EOS, UNK = 0, 6
IDS = np.array([3, 0, 0, 1, 6, 2, 0, 5, 6, 6, 0, 0])
LENGTHS = [2, 1, 4, 4, 1]
UNKNOWN = [0, 0, 1, 2, 0]


def windows(model, steps, ids=IDS):
    return word_nlls(model, ids, end_id=EOS, window_steps=steps)


@pytest.mark.parametrize("steps", [1, 2, 3, 5, 12, 100])
def test_lines_are_the_same_however_windows_cut_them(lstm, steps):
    found = list(line_scores(windows(lstm, steps), end_id=EOS, unknown_id=UNK))
    whole = torch.cat([nll for _, nll in windows(lstm, 100)])
    assert [line.line for line in found] == [1, 2, 3, 4, 5]
    assert [line.words for line in found] == LENGTHS
    assert [line.unknown for line in found] == UNKNOWN
    expected = [float(part.sum()) for part in whole.split(LENGTHS)]
    assert [line.nll_nats for line in found] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("steps", [1, 5, 100])
def test_words_have_their_line_place_and_score(lstm, steps):
    found = list(word_scores(windows(lstm, steps), end_id=EOS))
    places = [(line, place) for line, length in enumerate(LENGTHS, 1) for place in range(1, length + 1)]
    assert [(word.line, word.place) for word in found] == places
    assert [word.id for word in found] == IDS.tolist()
    whole = torch.cat([nll for _, nll in windows(lstm, 100)])
    assert [word.nll_nats for word in found] == pytest.approx(whole.tolist(), rel=1e-6)


def test_both_sum_to_the_score_of_the_text(lstm):
    total = perplexity(lstm, IDS, end_id=EOS, unknown_id=UNK).nll_nats
    lines = line_scores(windows(lstm, 4), end_id=EOS, unknown_id=UNK)
    words = word_scores(windows(lstm, 4), end_id=EOS)
    assert math.fsum(line.nll_nats for line in lines) == pytest.approx(total, rel=1e-6)
    assert math.fsum(word.nll_nats for word in words) == pytest.approx(total, rel=1e-6)


def test_a_last_line_without_its_end_counts(lstm):
    found = list(line_scores(windows(lstm, 2, IDS[:6]), end_id=EOS, unknown_id=UNK))
    assert [line.words for line in found] == [2, 1, 3]


def test_the_perplexity_of_a_line():
    assert LineScore(line=1, words=4, unknown=0, nll_nats=4 * math.log(7)).perplexity == pytest.approx(7)


def test_one_window_is_read_at_a_time(lstm):
    read = []

    def watched():
        for window in windows(lstm, 3):
            read.append(window)
            yield window

    lines = line_scores(watched(), end_id=EOS, unknown_id=UNK)
    next(lines)
    assert len(read) == 1
    words = word_scores(watched(), end_id=EOS)
    next(words)
    assert len(read) == 2
