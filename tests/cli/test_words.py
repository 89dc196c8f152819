from __future__ import annotations

import pytest

from tiedlm.cli.words import Words, split_words


@pytest.mark.parametrize(
    ("line", "others", "options"),
    [
        ("", [], {}),
        ("recipe", ["recipe"], {}),
        ("--seed 3 recipe", ["recipe"], {"seed": "3"}),
        ("--seed=3 recipe", ["recipe"], {"seed": "3"}),
        ("recipe --model.tied more", ["recipe", "more"], {"model.tied": ""}),
        ("--model.tied=x recipe", ["recipe"], {"model.tied": "x"}),
        ("--run_dir a --run-dir b", [], {"run-dir": "b"}),
        ("recipe -h", ["recipe"], {}),
        ("recipe --resume", ["recipe"], {"resume": ""}),
        ("--loss.gamma -1 recipe", ["recipe"], {"loss.gamma": "-1"}),
    ],
)
def test_options_and_other_words_are_told_apart(line, others, options):
    assert split_words(line.split(), {"model.tied", "model.no-tied"}) == Words(others, options)
