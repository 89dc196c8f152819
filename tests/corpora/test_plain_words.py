from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiedlm.corpora.plain_words import plain_words


@pytest.mark.parametrize(
    ("sentence", "words"),
    [
        ("Return the VALUE.", "return the value ."),
        ("First, (second); third: why? Now!", "first , ( second ) ; third : why ? now !"),
        ("Since 3.11, 1,000 of 10 fit.", "since N , N of N fit ."),
        ("a 16-bit or 2-by-2 value, the 3rd", "a N-bit or N-by-N value , the N"),
        ("read-only and/or os.path.join", "read-only and/or os.path.join"),
        ("It's what I don't know, can't and won't.", "it 's what i do n't know , ca n't and wo n't ."),
        ("the users' files", "the users ' files"),
        ("``None`` or `key` or 'x' or \"y\" or “z”, ‘q’", "none or key or x or y or z , q"),
        ("the `file' and *args* and **kwargs** and **two words**", "the file and args and kwargs and two words"),
        (":class:`Path` and :meth:`close()` as in [1]_ and [2].", "path and close as in and ."),
        ("calls close() and self.f() at once", "calls close and self.f at once"),
        ("calls f(x, y=1) and `a[0]` and '*' at once", "calls <code> and <code> and <code> at once"),
        ("the socket address(es) given", "the socket address given"),
        ("some -- or — in short – this - and so on…", "some -- or -- in short -- this -- and so on ..."),
        ("e.g. this, i.e. that, etc. are kept", "e.g. this , i.e. that , etc. are kept"),
        ("a .pyc file, then the end.", "a .pyc file , then the end ."),
        ("the following::", "the following :"),
        ("if a < b", "if a < b"),
        ("naïve café", "naïve café"),
    ],
)
def test_the_rule(sentence: str, words: str) -> None:
    assert " ".join(plain_words(sentence)) == words


@given(st.text())
def test_words_are_never_empty_and_hold_no_blank(sentence: str) -> None:
    words = plain_words(sentence)
    assert " ".join(words).split() == words


@given(st.text(alphabet="Aa1.-'`\"*()[]<> n't\n"))
def test_no_capital_letter_and_no_leading_digit_is_left(sentence: str) -> None:
    for word in plain_words(sentence):
        assert word.removeprefix("N").lower() == word.removeprefix("N")
        assert not word[0].isdigit()
