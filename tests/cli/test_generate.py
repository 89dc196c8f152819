from __future__ import annotations

import pytest

from tiedlm.checkpoint.load import load_run
from tiedlm.evaluation.generation import Sampling, as_text, generate


def test_the_text_is_that_of_the_function(tiedlm, tiny):
    run = load_run(tiny / "run")
    answer = tiedlm("generate", tiny / "run", "--prompt", "the dog", "--words", 20, "--temperature", 0.8, "--seed", 1)
    words = generate(run.model, run.vocabulary, ["the", "dog"], 20, Sampling(temperature=0.8, seed=1))
    assert answer.output == as_text(["the", "dog", *words]) + "\n"
    assert answer.error == ""


def test_the_same_seed_gives_the_same_text(tiedlm, tiny):
    first = tiedlm("generate", tiny / "run", "--seed", 5).output
    assert tiedlm("generate", tiny / "run", "--seed", 5).output == first
    assert tiedlm("generate", tiny / "run", "--seed", 6).output != first
    assert "<unk>" not in first
    assert "<eos>" not in first


def test_without_a_seed_it_is_seed_0(tiedlm, tiny):
    seeded = [tiedlm("generate", tiny / "run", "--seed", seed).output for seed in range(6)]
    assert tiedlm("generate", tiny / "run").output == seeded[0]
    assert len(set(seeded)) == 6


def test_the_most_probable_words_need_no_seed(tiedlm, tiny):
    answer = tiedlm("generate", tiny / "run", "--temperature", 0, "--words", 5)
    assert (answer.status, answer.error) == (0, "")


def test_an_unknown_word_is_drawn_only_where_it_is_allowed(tiedlm, tiny):
    arguments = ["generate", tiny / "run", "--words", 400, "--temperature", 1000]
    assert "<unk>" not in tiedlm(*arguments).output
    assert "<unk>" in tiedlm(*arguments, "--allow-unknown").output


def test_unknown_words_of_the_prompt_are_named_beside_the_text(tiedlm, tiny):
    answer = tiedlm("generate", tiny / "run", "--prompt", "the wug")
    assert answer.error == "not in the vocabulary, read as <unk>: wug\n"
    assert answer.output.startswith("the wug")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--temperature", "-1"], "temperature is -1.0"),
        (["--temperature", "nan"], "temperature is nan"),
        (["--words", "0"], "words is 0"),
        (["--top-k", "0"], "top_k is 0"),
        (["--top-k", "22"], "top_k is 22, but must be at most 21"),
        (["--top-k", "2", "--temperature", "0"], "top_k has no effect at temperature 0"),
        (["--seed", "0", "--temperature", "0"], "seed has no effect at temperature 0"),
        (["--device", "abacus"], "no kind of device 'abacus'"),
        (["--prompt", "a \udcff"], "not UTF-8"),
    ],
)
def test_values_out_of_range_are_refused(tiedlm, tiny, arguments, told):
    answer = tiedlm("generate", tiny / "run", *arguments)
    assert (answer.status, answer.output) == (2, "")
    assert told in answer.error
