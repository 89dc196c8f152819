"""A text source that is known exactly: what it says next, how uncertain that is, and how probable a given text is.

The source is always in one of S states. In state s it says word w with probability P[s, w], and s and w together fix
its next state; `<eos>` leads back to state 0, in which every line starts. So whoever has read a line so far knows the
state, and P[s] is the exact probability of every next word given the whole past, not a bound of it.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Any, final

import numpy as np

from tiedlm.corpora.text import END
from tiedlm.errors import ArgumentError, suggestion

Array = np.ndarray[Any, Any]

START = 0
"""The state at the start of every line."""


@final
@dataclass(frozen=True, eq=False)
class KnownSource:
    """States, the probabilities of their next words, and where these lead.

    Raises:
        ArgumentError: no `<eos>`, shapes that do not fit, rows that are no distributions, a line that can be empty, an
            `<eos>` that does not lead to state 0, or a state that is never reached or never left for good.
    """

    words: tuple[str, ...]
    """Every word that the source says, `<eos>` among them [V]."""
    probabilities: Array
    """P: the probability of the next word in each state [S, V], float64; every row sums to 1."""
    next_states: Array
    """The state after each word in each state [S, V], integers; without meaning where the probability is 0."""

    def __post_init__(self) -> None:
        _check_tables(self.words, self.probabilities, self.next_states)
        _check_returns(self.transitions)

    @cached_property
    def transitions(self) -> Array:
        """T: the probability to get from each state to each state in one word [S, S], float64."""
        table = np.zeros((len(self.probabilities),) * 2)
        np.add.at(table, (np.arange(len(table))[:, None], self.next_states), self.probabilities)
        return table

    @cached_property
    def stationary(self) -> Array:
        """pi: the share of words that the source says in each state [S], float64; pi = pi T and sum(pi) = 1."""
        balance = self.transitions.T - np.eye(len(self.transitions))
        balance[-1] = 1.0  # one equation of pi = pi T follows from the others; the sum takes its place
        return np.linalg.solve(balance, np.eye(len(balance))[-1])

    @cached_property
    def entropy_rate_nats(self) -> float:
        """The exact entropy a word, `<eos>` counted as one, in nats: - sum_s pi[s] sum_w P[s, w] ln P[s, w].

        Its exponential is the true perplexity: the least that any model can reach on endless text of this source.
        """
        logs = np.log(self.probabilities, where=self.probabilities > 0, out=np.zeros_like(self.probabilities))
        return float(-self.stationary @ (self.probabilities * logs).sum(axis=1))

    def next_probabilities(self, past: Iterable[str]) -> Array:
        """Return the exact probability of every next word [V], float64, given all words before it.

        Args:
            past: the words so far, `<eos>` at the end of each line; the first one starts a line. May be empty.

        Raises:
            ArgumentError: a word that the source never says, or never there.
        """
        state = START
        for _, _, after in self._steps(past):
            state = after
        return self.probabilities[state].copy()

    def nll_nats(self, words: Iterable[str]) -> Array:
        """Return -ln P of each word of a text given all before it [N], float64, in nats.

        Args:
            words: as `past` of `next_probabilities`; the sum over them is -ln of the probability of the whole text.

        Raises:
            ArgumentError: a word that the source never says, or never there.
        """
        steps = np.array(list(self._steps(words)), dtype=np.int64).reshape(-1, 3)
        return -np.log(self.probabilities[steps[:, 0], steps[:, 1]])

    def sampling_error_nats(self, words: list[str]) -> float:
        """Return the standard error of the mean of `nll_nats(words)` as an estimate of the entropy rate, in nats.

        Words of a line depend on each other, but lines are independent draws, since every one starts in state 0. So
        with Y the nats and n the words of a line and H the entropy rate, the sum over lines of (Y - H n) has mean 0 and
        a variance that the sum of their squares estimates; the standard error is its root over the number of words
        (the ratio estimator of regenerative simulation; Crane & Lemoine 1977).

        Args:
            words: at least one whole line, the last word is `<eos>`.

        Raises:
            ArgumentError: a text that does not end in `<eos>`, or that the source never says.
        """
        if words[-1:] != [END]:
            raise ArgumentError(f"The text must consist of whole lines, but its last word is {words[-1:]}, not {END}.")
        excess = self.nll_nats(words) - self.entropy_rate_nats
        ends = np.flatnonzero(np.array(words) == END)
        by_line = np.add.reduceat(excess, np.append(0, ends[:-1] + 1))
        return float(np.sqrt(np.square(by_line).sum()) / len(words))

    def draw(self, least_words: int, generator: np.random.Generator) -> list[str]:
        """Return a text of whole lines, `<eos>` at the end of each, with `least_words` words or a few more."""
        sums = [list(accumulate(row)) for row in self.probabilities.tolist()]
        text: list[str] = []
        state = START
        while len(text) < least_words or state != START:
            # scaled by the row's own sum, which differs from 1 by rounding: no draw falls behind the last word
            column = bisect(sums[state], generator.random() * sums[state][-1])
            text.append(self.words[column])
            state = int(self.next_states[state, column])
        return text

    def _steps(self, words: Iterable[str]) -> Iterator[tuple[int, int, int]]:
        """Yield for each word the state before it, its column, and the state after it."""
        columns = {word: column for column, word in enumerate(self.words)}
        state = START
        for position, word in enumerate(words):
            column = columns.get(word)
            if column is None:
                raise ArgumentError(f"The source has no word {word!r} (word {position}).{suggestion(word, columns)}")
            if self.probabilities[state, column] == 0:
                raise ArgumentError(f"The source never says {word!r} where word {position} of the text has it.")
            before, state = state, int(self.next_states[state, column])
            yield before, column, state


def _check_tables(words: tuple[str, ...], probabilities: Array, next_states: Array) -> None:
    states = len(probabilities)
    if END not in words or len(set(words)) != len(words):
        raise ArgumentError(f"A source needs distinct words with {END} among them, but has {words}.")
    if probabilities.shape != (states, len(words)) or next_states.shape != probabilities.shape:
        raise ArgumentError(
            f"A source of {len(words)} words needs two tables [S, {len(words)}], but has {probabilities.shape} and "
            f"{next_states.shape}."
        )
    if not (np.all(probabilities >= 0) and np.allclose(probabilities.sum(axis=1), 1, rtol=0, atol=1e-12)):
        raise ArgumentError("Every row of the probabilities must be 0 or more throughout and sum to 1.")
    if next_states.min() < 0 or next_states.max() >= states:
        raise ArgumentError(f"The next states must lie in 0 to {states - 1}.")
    end = words.index(END)
    if probabilities[START, end] > 0 or np.any(next_states[:, end] != START):
        raise ArgumentError(f"{END} must lead to state {START} from everywhere, and be impossible there.")


def _check_returns(transitions: Array) -> None:
    reached = (transitions > 0) | np.eye(len(transitions), dtype=bool)
    for _ in range(len(transitions).bit_length()):
        reached = reached @ reached  # twice as many words as before
    lost = np.flatnonzero(~(reached[START] & reached[:, START]))
    if lost.size:
        raise ArgumentError(f"State {lost[0]} is never reached from state {START}, or never leads back to it.")
