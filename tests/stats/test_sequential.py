"""Sequential verdicts: every state from its interval, what stays, and the sentences."""

from __future__ import annotations

import math

import numpy as np
import pytest

from normlab.stats.betting import log_evidence
from normlab.stats.confidence_sequence import confidence_sequence
from normlab.stats.sequential import STATES, sequential_verdict, states_after_each_pair

GENERATOR = np.random.default_rng(6)
NOISE = GENERATOR.normal(size=40)


@pytest.mark.parametrize(
    ("shift", "margin", "higher_is_better", "verdict"),
    [
        (+2.0, 0.5, True, "better"),
        (+2.0, 0.5, False, "worse"),
        (-2.0, 0.5, True, "worse"),
        (-2.0, 0.5, False, "better"),
        (+2.0, 0.0, True, "better"),
        (0.0, 1.5, True, "equivalent"),
        (0.0, 1.5, False, "equivalent"),
        (+1.5, 4.0, True, "equivalent"),
        (0.0, 0.3, True, "undecided"),
        (0.0, 0.0, True, "undecided"),
    ],
)
def test_planted_verdicts(shift: float, margin: float, higher_is_better: bool, verdict: str) -> None:
    differences = shift + NOISE - NOISE.mean()
    judged = sequential_verdict(differences, margin=margin, higher_is_better=higher_is_better)
    assert judged.verdict == verdict
    assert judged.difference == pytest.approx(shift)
    assert judged.low < shift < judged.high
    assert (judged.decided_after is None) == (verdict == "undecided")


@pytest.mark.parametrize("margin", [0.0, 0.4, 1.0, 3.0])
@pytest.mark.parametrize("shift", [0.0, 0.4, -1.0, 2.5])
@pytest.mark.parametrize("alpha", [0.05, 0.01])
def test_states_are_those_of_the_intervals(shift: float, margin: float, alpha: float) -> None:
    differences = shift + NOISE
    sequence = confidence_sequence(differences, confidence=1 - alpha)
    expected = [
        "equivalent"
        if -margin < low and high < margin
        else "better"
        if low > 0
        else "worse"
        if high < 0
        else "undecided"
        for low, high in zip(sequence.low, sequence.high, strict=True)
    ]
    states = [STATES[state] for state in states_after_each_pair(differences, margin=margin, alpha=alpha)]
    assert states == expected
    judged = sequential_verdict(differences, margin=margin, alpha=alpha)
    assert (judged.verdict, judged.low, judged.high) == (
        expected[-1],
        pytest.approx(sequence.low[-1]),
        pytest.approx(sequence.high[-1]),
    )
    decided = [pair for pair, word in enumerate(expected, 1) if word != "undecided"]
    assert judged.decided_after == (decided[0] if decided else None)


@pytest.mark.parametrize(("side", "word"), [(1.0, "better"), (-1.0, "worse")])
def test_a_verdict_stays_whatever_comes_later(side: float, word: str) -> None:
    # The later pairs rule out every mean on the first side: the interval is empty, and the first verdict is kept.
    later = GENERATOR.normal(-5.0, 1.0, 150)
    differences = side * np.concatenate([2.0 + 0.5 * NOISE[:12], later])
    assert log_evidence(-side * differences).max() > math.log(40)
    states = states_after_each_pair(differences, margin=0.0)
    first = int(np.argmax(states > 0))
    assert 5 <= first < 12
    assert [STATES[state] for state in states[first:]] == [word] * (162 - first)
    assert sequential_verdict(differences, margin=0.0).decided_after == first + 1


def test_better_may_become_equivalent() -> None:
    differences = 1.0 + 0.5 * GENERATOR.normal(size=60)
    words = [STATES[state] for state in states_after_each_pair(differences, margin=1.5)]
    assert list(dict.fromkeys(words)) == ["undecided", "better", "equivalent"]
    assert "is there but lies inside the margin 1.5" in sequential_verdict(differences, margin=1.5).reason


def test_rows_are_each_their_own_study() -> None:
    rows = GENERATOR.normal(0.5, 1.0, (5, 3, 25))
    together = states_after_each_pair(rows, margin=1.0)
    for index in np.ndindex(5, 3):
        assert np.array_equal(together[index], states_after_each_pair(rows[index], margin=1.0))


def test_identical_arms() -> None:
    judged = sequential_verdict(np.zeros(8), margin=0.01, resolution=0.0)
    assert (judged.verdict, judged.decided_after, judged.low, judged.high) == ("equivalent", 6, 0.0, 0.0)
    assert sequential_verdict(np.zeros(50), margin=0.0).verdict == "undecided"


def test_what_comes_before_the_first_look_decides_nothing_alone() -> None:
    """Six equal differences leave only the mean 0; a first look after ten pairs asks the others too."""
    row = [0.0] * 6 + [0.01, 0.012, 0.009, 0.011]
    early, late = (sequential_verdict(row, margin=0.005, first_look=first, resolution=0.0) for first in (1, 10))
    assert (early.verdict, early.decided_after) == ("equivalent", 6)
    assert early.high < 1e-9
    assert (late.verdict, late.decided_after) == ("undecided", None)
    assert late.low < 0.0 < np.mean(row) < late.high
    assert sequential_verdict(row[:9], margin=0.005, first_look=10).reason == (
        "9 pairs so far; at this level, no decision can come before 10 pairs."
    )


@pytest.mark.parametrize("first", [1, 7, 12])
def test_a_later_first_look_only_ever_delays(first: int) -> None:
    rows = np.random.default_rng(4).normal(0.7, 1.0, (30, 40))
    now, later = (states_after_each_pair(rows, margin=1.5, first_look=look) for look in (1, first))
    assert not later[:, : first - 1].any()
    assert np.all((later == 0) | (now > 0))
    for row, states in zip(rows[:4], later[:4], strict=True):
        judged = [sequential_verdict(row[:n], margin=1.5, first_look=first).verdict for n in (first, 25, 40)]
        assert judged == [STATES[states[n - 1]] for n in (first, 25, 40)]


def test_no_pairs_yet() -> None:
    judged = sequential_verdict([], margin=0.1)
    assert (judged.verdict, judged.pairs, judged.decided_after) == ("undecided", 0, None)
    assert (judged.low, judged.high) == (-math.inf, math.inf)
    assert states_after_each_pair(np.zeros((4, 0)), margin=0.1).shape == (4, 0)


@pytest.mark.parametrize(("pairs", "so_far"), [(0, "No pair"), (1, "1 pair"), (5, "5 pairs")])
def test_reason_while_there_are_too_few_pairs(pairs: int, so_far: str) -> None:
    expected = f"{so_far} so far; at this level, no decision can come before 6 pairs."
    assert sequential_verdict(np.ones(pairs), margin=0.1).reason == expected


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (1.0, "1 (95 % interval 1 to 1, right at every look, 6 pairs) lies above 0 with its whole interval."),
        (-1.0, "-1 (95 % interval -1 to -1, right at every look, 6 pairs) lies below 0 with its whole interval."),
        (0.0, "0 (95 % interval 0 to 0, right at every look, 6 pairs) lies inside the margin 0.5 stated beforehand."),
    ],
)
def test_reasons_are_one_sentence_with_numbers(value: float, reason: str) -> None:
    assert sequential_verdict([value] * 6, margin=0.5, resolution=0.0).reason == f"The difference {reason}"


def test_equal_pairs_do_not_decide_while_rare_differences_could_hide() -> None:
    """Ten equal pairs on 36 test samples: a sample more or less in every fifth pair may still come."""
    judged = sequential_verdict([0.0] * 10, margin=0.005, resolution=1 / 36)
    assert judged.verdict == "undecided"
    assert judged.reason.endswith("differences too rare to show in so few pairs are not ruled out.")
    assert sequential_verdict([0.0] * 10, margin=0.005).verdict == "undecided"  # nor where nobody says how rare
    assert sequential_verdict([0.0] * 10, margin=0.005, resolution=1 / 360).verdict == "equivalent"


def test_reason_of_an_undecided_verdict() -> None:
    judged = sequential_verdict([1.0, -1.0] * 4, margin=0.5, alpha=0.025)
    numbers = f"The difference 0 (97.5 % interval {judged.low:.3g} to {judged.high:.3g}, right at every look, 8 pairs)"
    assert (
        judged.reason == f"{numbers} is neither told from 0 nor shown to lie inside the margin 0.5 stated beforehand."
    )


@pytest.mark.parametrize(
    ("differences", "options", "message"),
    [
        ([[1.0]], {}, "one axis"),
        ([1.0, math.nan], {}, "finite"),
        ([1.0], {"margin": -1.0}, "margin"),
        ([1.0], {"margin": math.inf}, "margin"),
        ([1.0], {"alpha": 1.0}, "alpha must lie"),
        ([1.0], {"first_look": 0}, "first_look must be at least 1"),
    ],
)
def test_misuse(differences: list[float], options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sequential_verdict(differences, **{"margin": 0.1, **options})  # type: ignore[arg-type]
