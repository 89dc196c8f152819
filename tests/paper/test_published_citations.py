"""Table 3 as the paper prints it, written down a second time."""

from __future__ import annotations

from tiedlm.paper.published import PUBLISHED
from tiedlm.paper.published_citations import CITATIONS

# model | parameters | valid | test
TABLE_3 = """
RNN                         |       |      | 124.7
RNN+LDA                     |       |      | 113.7
RNN+LDA+KN5+cache           |       |      | 92.0
Deep RNN                    |       |      | 107.5
Sum-Prod Net                |       |      | 100.0
LSTM (medium)               | 20M   | 86.2 | 82.7
CharCNN                     | 19M   |      | 78.9
LSTM (large)                | 66M   | 82.2 | 78.4
VD-LSTM (large, untied, MC) | 66M   |      | 73.4
Pointer Sentinel-LSTM       | 21M   | 72.4 | 70.9
38 LSTMs                    | 2.51B | 71.9 | 68.7
10 VD-LSTMs                 | 660M  |      | 68.7
VD-RHN                      | 32M   | 71.2 | 68.5
VD-LSTM+REAL (large)        | 51M   | 71.1 | 68.5
VD-RHN+RE                   | 24M   | 68.1 | 66.0
"""


def test_the_table_is_whole_and_as_printed() -> None:
    cells = [[cell.strip() for cell in line.split("|")] for line in TABLE_3.strip().splitlines()]
    printed = [
        (model, size or None, float(valid) if valid else None, float(test)) for model, size, valid, test in cells
    ]
    assert [(row.model, row.parameters, row.valid, row.test) for row in CITATIONS] == printed


def test_rows_with_a_recipe_have_its_figures() -> None:
    own = {row.recipe: (row.valid, row.test) for row in CITATIONS if row.recipe}
    assert own == {name: (PUBLISHED[name].valid, PUBLISHED[name].test) for name in own}
    table_3 = {name for name, row in PUBLISHED.items() if row.table == "Table 3" and row.test is not None}
    assert set(own) == table_3 | {"ptb-large-real"}
