"""When to stop: all decided, the budget spent, or more pairs; with a study run to its end."""

from __future__ import annotations

import numpy as np
import pytest

from normlab.stats.sequential import STATES, sequential_verdict, states_after_each_pair
from normlab.stats.stopping import Comparison, next_action

ABOVE, SAME = np.ones(12), np.zeros(12)
UNCLEAR = np.array([1.0, -1.0] * 6)


@pytest.mark.parametrize(
    ("arms", "pairs", "budget", "chunk", "added", "decided"),
    [
        ({"a": ABOVE}, 0, 20, 6, 6, ""),
        ({"a": ABOVE}, 0, 4, 6, 4, ""),
        ({"a": ABOVE}, 5, 20, 6, 6, ""),
        ({"a": ABOVE}, 6, 20, 6, 0, "a"),
        ({"a": ABOVE, "b": SAME}, 6, 20, 6, 6, ""),  # at 0.025 each, seven pairs are the fewest
        ({"a": ABOVE, "b": SAME}, 7, 20, 6, 0, "ab"),
        ({"a": ABOVE, "b": UNCLEAR}, 12, 20, 6, 6, "a"),
        ({"a": ABOVE, "b": UNCLEAR}, 12, 14, 6, 2, "a"),
        ({"a": ABOVE, "b": UNCLEAR}, 12, 12, 6, 0, "a"),
        ({"a": UNCLEAR}, 12, 10, 6, 0, ""),
        ({"a": ABOVE}, 3, 3, 6, 0, ""),
    ],
)
def test_what_to_do(arms: dict[str, np.ndarray], pairs: int, budget: int, chunk: int, added: int, decided: str) -> None:
    action = next_action(
        [Comparison(name, row[:pairs], margin=0.5, resolution=0.0) for name, row in arms.items()],
        budget=budget,
        chunk=chunk,
    )
    assert action.pairs_to_add == added
    assert action.go_on == (added > 0)
    assert action.decided == tuple(decided)
    assert action.undecided == tuple(name for name in arms if name not in decided)
    assert list(action.verdicts) == list(arms)


def test_every_comparison_has_its_share_of_the_level_and_its_own_direction() -> None:
    row = np.random.default_rng(0).normal(0.6, 1.0, 30)
    comparisons = [Comparison("up", row, 0.1), Comparison("down", row, 0.2, higher_is_better=False)]
    action = next_action(comparisons, budget=50, chunk=5, alpha=0.1)
    assert action.verdicts["up"] == sequential_verdict(row, margin=0.1, alpha=0.05)
    assert action.verdicts["down"] == sequential_verdict(row, margin=0.2, alpha=0.05, higher_is_better=False)
    assert (action.verdicts["up"].verdict, action.verdicts["down"].verdict) == ("better", "worse")


def test_the_resolution_of_the_differences_is_handed_on() -> None:
    fine, coarse = (
        next_action([Comparison("a", SAME, 0.005, resolution=1 / n)], budget=20, chunk=5) for n in (1000, 36)
    )
    assert (fine.decided, coarse.decided) == (("a",), ())


def test_before_the_first_look_nothing_is_decided() -> None:
    early, late = (next_action([Comparison("a", ABOVE[:n], 0.5)], budget=20, chunk=6, first_look=10) for n in (9, 10))
    assert (early.undecided, early.pairs_to_add) == (("a",), 6)
    assert (late.decided, late.pairs_to_add) == (("a",), 0)


@pytest.mark.parametrize("seed", range(3))
def test_a_study_run_to_its_end_stops_where_its_paths_say(seed: int) -> None:
    rows = np.random.default_rng(seed).normal([[0.0], [0.8], [0.3]], 1.0, (3, 40))
    pairs, chunk, budget = 0, 7, 40
    while True:
        action = next_action([Comparison(str(i), row[:pairs], 1.2) for i, row in enumerate(rows)], budget=40, chunk=7)
        if not action.go_on:
            break
        pairs += action.pairs_to_add
    paths = states_after_each_pair(rows, margin=1.2, alpha=0.05 / 3)
    looks = [*range(chunk, budget, chunk), budget]
    expected = next((look for look in looks if np.all(paths[:, look - 1] > 0)), budget)
    assert pairs == expected
    words = [STATES[state] for state in paths[:, expected - 1]]
    assert [judged.verdict for judged in action.verdicts.values()] == words


def test_reasons() -> None:
    def reason(rows: list[np.ndarray], budget: int) -> str:
        comparisons = [Comparison(str(index), row, 0.5, resolution=0.0) for index, row in enumerate(rows)]
        return next_action(comparisons, budget=budget, chunk=5).reason

    assert reason([ABOVE], 20) == "The comparison is decided after 12 pairs."
    assert reason([ABOVE, SAME], 20) == "All 2 comparisons are decided after 12 pairs."
    assert reason([ABOVE, UNCLEAR], 20) == "1 of 2 comparisons undecided after 12 of at most 20 pairs."
    assert reason([ABOVE, UNCLEAR], 12) == "The budget of 12 pairs is spent with 1 of 2 comparisons undecided."
    assert reason([ABOVE[:5]], 5) == (
        "The budget of 5 pairs is spent with 1 of 1 comparisons undecided; fewer than 6 pairs can't decide any."
    )


@pytest.mark.parametrize(
    ("comparisons", "options", "message"),
    [
        ([], {}, "at least one"),
        ([Comparison("a", ABOVE, 0.1), Comparison("a", SAME, 0.1)], {}, "different names"),
        ([Comparison("a", ABOVE, 0.1), Comparison("b", SAME[:3], 0.1)], {}, r"same number of pairs, got \[3, 12\]"),
        ([Comparison("a", ABOVE, 0.1)], {"budget": 0}, "budget must be at least 1"),
        ([Comparison("a", ABOVE, 0.1)], {"chunk": 0}, "chunk must be at least 1"),
        ([Comparison("a", ABOVE, -0.1)], {}, "margin"),
        ([Comparison("a", ABOVE, 0.1)], {"alpha": 1.5}, "alpha must lie"),
        ([Comparison("a", ABOVE, 0.1)], {"first_look": 0}, "first_look must be at least 1"),
    ],
)
def test_misuse(comparisons: list[Comparison], options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        next_action(comparisons, **{"budget": 20, "chunk": 5, **options})  # type: ignore[arg-type]
