from __future__ import annotations

import pytest

from tiedlm.paper.work import work_a_word, work_of_a_training, work_of_an_epoch
from tiedlm.recipes import recipe


def test_the_softmax_layer_and_two_lstm_layers() -> None:
    """By hand: 6 x 10,000 x 200 and 48 x 2 x 200^2."""
    assert work_a_word(recipe("ptb-small-vd")) == pytest.approx(12e6 + 3.84e6)


def test_a_highway_layer_counts_each_depth() -> None:
    """By hand: 6 x 10,000 x 830, and 12 x 830^2 for the input and each of the ten depths."""
    assert work_a_word(recipe("ptb-rhn-re")) == pytest.approx(49.8e6 + 12 * 11 * 830**2)


def test_the_augmented_loss_through_its_target_and_stopped_at_it() -> None:
    assert work_a_word(recipe("ptb-small-real")) == pytest.approx(12e6 * 1.52 + 3.84e6)


def test_a_text_or_a_body_without_a_known_count_is_one_unit() -> None:
    assert work_a_word(recipe("demo-vd")) == 1.0


def test_a_training_is_its_epochs_and_an_epoch_its_words() -> None:
    config = recipe("ptb-small-vd")
    assert work_of_an_epoch(config) == pytest.approx(929_589 * 15.84e6)
    assert work_of_a_training(config) == pytest.approx(config.training.epochs * 929_589 * 15.84e6)
