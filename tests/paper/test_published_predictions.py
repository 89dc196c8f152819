"""Table 4, held against the corpus that its phrases are from, and against what probabilities can be."""

from __future__ import annotations

from pathlib import Path

import pytest

from tiedlm.paper.published import PUBLISHED
from tiedlm.paper.published_predictions import AUGMENTED, BASELINE, PREDICTIONS, Prediction

# The first and the last word of each list with its probability, and the sum of the ten, added by hand.
EDGES = {
    "federal": (("the", 0.27), ("connection", 0.01), 0.74, ("federal", 0.22), ("september", 0.03), 0.65),
    "august": (("the", 0.09), ("its", 0.02), 0.47, ("august", 0.08), ("its", 0.02), 0.38),
    "completed": (("the", 0.06), ("completed", 0.01), 0.35, ("expected", 0.1), ("to", 0.01), 0.35),
    "technology": (("<unk>", 0.33), ("mail", 0.01), 0.47, ("<unk>", 0.09), ("other", 0.01), 0.38),
}
EVERY = pytest.mark.parametrize("prediction", PREDICTIONS, ids=[prediction.target for prediction in PREDICTIONS])


@EVERY
def test_ten_words_each_most_probable_first(prediction: Prediction) -> None:
    for words in (prediction.vd, prediction.real):
        probabilities = [probability for _, probability in words]
        assert len({word for word, _ in words}) == 10
        assert probabilities == sorted(probabilities, reverse=True)
        assert 0 < sum(probabilities) < 1


@EVERY
def test_the_figures_are_as_printed(prediction: Prediction) -> None:
    first, last, total, real_first, real_last, real_total = EDGES[prediction.target]
    assert (prediction.vd[0], prediction.vd[-1]) == (first, last)
    assert (prediction.real[0], prediction.real[-1]) == (real_first, real_last)
    assert round(sum(probability for _, probability in prediction.vd), 2) == total
    assert round(sum(probability for _, probability in prediction.real), 2) == real_total


@EVERY
def test_the_phrase_and_its_target_are_in_the_test_text(prediction: Prediction, data_dir: Path) -> None:
    text = (data_dir / "ptb" / "ptb.test.txt").read_text()
    assert f" {prediction.phrase} {prediction.target} " in text


def test_the_models_are_the_large_ones() -> None:
    assert (PUBLISHED[BASELINE].size, PUBLISHED[AUGMENTED].size) == ("large", "large")
    assert (PUBLISHED[BASELINE].row, PUBLISHED[AUGMENTED].row) == ("VD-LSTM", "VD-LSTM+REAL")
    assert [prediction.target for prediction in PREDICTIONS] == list(EDGES)
