"""Table 3's other rows, all on Penn Treebank: figures of other work as the paper quotes them. Data only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final


@final
@dataclass(frozen=True, kw_only=True)
class Citation:
    """One row of Table 3, as printed."""

    model: str
    """The model's name there."""
    parameters: str | None
    """Its parameters, as printed; None where none are."""
    valid: float | None
    """Perplexity of the validation text; None where none is printed."""
    test: float
    """Perplexity of the test text."""
    recipe: str | None = None
    """The recipe of the row, where there is one: its figures are then those of `PUBLISHED`."""


def _row(model: str, parameters: str | None, valid: float | None, test: float, recipe: str | None = None) -> Citation:
    return Citation(model=model, parameters=parameters, valid=valid, test=test, recipe=recipe)


CITATIONS = (
    _row("RNN", None, None, 124.7),
    _row("RNN+LDA", None, None, 113.7),
    _row("RNN+LDA+KN5+cache", None, None, 92.0),
    _row("Deep RNN", None, None, 107.5),
    _row("Sum-Prod Net", None, None, 100.0),
    _row("LSTM (medium)", "20M", 86.2, 82.7),
    _row("CharCNN", "19M", None, 78.9),
    _row("LSTM (large)", "66M", 82.2, 78.4),
    _row("VD-LSTM (large, untied, MC)", "66M", None, 73.4),
    _row("Pointer Sentinel-LSTM", "21M", 72.4, 70.9),
    _row("38 LSTMs", "2.51B", 71.9, 68.7),
    _row("10 VD-LSTMs", "660M", None, 68.7),
    _row("VD-RHN", "32M", 71.2, 68.5, "ptb-rhn-vd"),
    _row("VD-LSTM+REAL (large)", "51M", 71.1, 68.5, "ptb-large-real"),
    _row("VD-RHN+RE", "24M", 68.1, 66.0, "ptb-rhn-re"),
)
"""In the order of the paper."""
