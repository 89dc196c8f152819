"""Variants take turns: each in every round, in an order that changes, and compared within a round."""

from __future__ import annotations

from support.scripts import benchmark

turns = benchmark("turns")


def test_rounds_are_counted_after_the_warm_up_and_each_has_all_variants() -> None:
    taken: list[tuple[str, int]] = []

    def variant(name: str):
        return lambda number: lambda: taken.append((name, number))

    seconds = turns.in_turns({name: variant(name) for name in "ab"}, rounds=8, warm_up=3)
    assert {name: len(times) for name, times in seconds.items()} == {"a": 5, "b": 5}
    rounds = [taken[index : index + 2] for index in range(0, 16, 2)]
    assert [sorted(one) for one in rounds] == [[("a", number), ("b", number)] for number in range(8)]
    assert len({tuple(name for name, _ in one) for one in rounds}) == 2


def test_ratios_are_of_the_same_round() -> None:
    seconds = {"plain": [1.0, 10.0, 1.0], "other": [2.0, 20.0, 3.0]}
    assert turns.ratios(seconds, "plain") == {"plain": 1.0, "other": 2.0}
