from __future__ import annotations

import pytest

from tiedlm.cli.words import split_words


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
    assert split_words(line.split(), {"model.tied", "model.no-tied"})[:2] == (others, options)


@pytest.mark.parametrize(
    ("line", "rest"),
    [
        ("one --seeds 0-2 two --model.tied three --seed=3", "--seeds 0-2 --model.tied --seed=3"),
        ("one --run-dir one -h", "--run-dir one -h"),
        ("one two", ""),
    ],
)
def test_the_rest_is_the_line_without_the_other_words(line, rest):
    assert split_words(line.split(), {"model.tied"}).rest == rest.split()
