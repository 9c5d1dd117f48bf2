"""Turns: balanced over rounds, a function of the round alone, and going on from chunk to chunk."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from normlab.train.turns import round_number, turn_order


@pytest.mark.parametrize("size", range(1, 9))
def test_over_a_whole_design_positions_and_successions_are_balanced(size: int) -> None:
    rounds = [turn_order(range(size), number) for number in range(size if size % 2 == 0 else 2 * size)]
    assert all(sorted(order) == list(range(size)) for order in rounds)
    positions = Counter((place, name) for order in rounds for place, name in enumerate(order))
    assert len(set(positions.values())) == 1
    follows = Counter(pair for order in rounds for pair in pairwise(order))
    assert len(follows) == size * (size - 1)
    assert len(set(follows.values())) <= 1
    assert turn_order(range(size), len(rounds)) == rounds[0]


@pytest.mark.parametrize("size", range(2, 9))
@pytest.mark.parametrize("first", [0, 1, 5])
def test_over_fewer_rounds_positions_are_as_balanced_as_they_can_be(size: int, first: int) -> None:
    start = first * size
    for count in range(1, 2 * size + 1):
        orders = [turn_order(range(size), number) for number in range(start, start + count)]
        for place in range(size):
            came = Counter(order[place] for order in orders)
            assert max(came.values()) - min(came[name] for name in range(size)) <= 1


def test_two_arms_change_places_every_round() -> None:
    assert [turn_order("ab", number) for number in range(3)] == [["a", "b"], ["b", "a"], ["a", "b"]]
    assert turn_order([], 3) == []


@pytest.mark.parametrize("epochs", [1, 2, 5])
def test_rounds_that_count_follow_each_other_through_the_chunks(epochs: int) -> None:
    counted = range(2, epochs + 1) if epochs > 1 else range(1, 2)
    numbers = [round_number(chunk, epoch, epochs) for chunk in range(4) for epoch in counted]
    assert numbers == list(range(len(numbers)))
