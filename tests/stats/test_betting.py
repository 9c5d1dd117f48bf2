"""Evidence by betting on signs: exact over all signs, against a plain loop, its laws and its fewest pairs."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from normlab.stats.betting import EFFECTS, fewest_pairs, largest_log_evidence, log_evidence, log_threshold

GENERATOR = np.random.default_rng(4)
SIZES = {
    "gaussian": np.abs(GENERATOR.normal(size=11)),
    "heavy-tailed": np.abs(GENERATOR.standard_cauchy(size=11)),
    "equal": np.ones(11),
    "ties and zeros": np.array([0.0, 1.0, 1.0, 0.0, 2.0, 1.0, 0.0, 3.0, 1.0, 1.0, 2.0]),
    "growing": 3.0 ** np.arange(11),
}


def plain(differences: list[float], center: float) -> float:
    """The definition, pair by pair."""
    total = 0.0
    for theta in EFFECTS:
        wealth = 1.0
        for index, difference in enumerate(differences):
            past = np.array(differences[:index])
            squares = float(np.sum((past - past.mean()) ** 2)) if index else 0.0
            z = difference - center
            if z != 0.0:
                wealth *= 1 + math.tanh(theta * z * math.sqrt(index + 1) / math.sqrt(squares + z * z))
        total += wealth
    return math.log(total / len(EFFECTS))


@pytest.mark.parametrize("center", [0.0, 0.3, -2.0])
def test_is_its_definition(center: float) -> None:
    sample = GENERATOR.normal(0.4, 1.0, 9)
    found = log_evidence(sample, center)
    assert found == pytest.approx([plain(list(sample[: n + 1]), center) for n in range(9)], rel=1e-10, abs=1e-12)


def test_one_and_two_pairs_by_hand() -> None:
    assert np.round(EFFECTS, 3).tolist() == [0.354, 0.5, 0.707, 1.0, 1.414, 2.0, 2.828]
    first = [1 + math.tanh(theta) for theta in EFFECTS]
    second = [one * (1 + math.tanh(-theta * math.sqrt(2))) for one, theta in zip(first, EFFECTS, strict=True)]
    expected = [math.log(sum(first) / 7), math.log(sum(second) / 7)]
    assert log_evidence([5.0, -0.1]) == pytest.approx(expected)


@pytest.mark.parametrize("name", SIZES)
def test_over_all_signs_it_is_a_fair_game_that_seldom_wins(name: str) -> None:
    # Every sign vector is equally likely under symmetry: the mean is 1 after every pair, and Ville's bound is exact.
    signs = np.array(list(itertools.product((-1.0, 1.0), repeat=11)))
    evidence = np.exp(log_evidence(signs * SIZES[name]))
    assert evidence.mean(axis=0) == pytest.approx(np.ones(11), rel=1e-9)
    most = evidence.max(axis=1)
    for alpha in (0.5, 0.2, 0.05, 0.01):
        assert np.mean(most >= 1 / alpha) <= alpha


def test_a_game_that_peeks_ahead_is_not_fair() -> None:
    # The test above can fail: a scale that knows the sign at stake makes the mean leave 1.
    signs = np.array(list(itertools.product((-1.0, 1.0), repeat=6)))
    rows = signs * SIZES["gaussian"][:6]
    scale = np.sqrt(np.cumsum((rows - np.cumsum(rows, axis=1) / np.arange(1, 7)) ** 2, axis=1) / np.arange(1, 7) + 0.1)
    peeking = np.prod(1 + np.tanh(rows / scale), axis=1)
    assert abs(peeking.mean() - 1) > 0.05


def test_laws() -> None:
    sample = GENERATOR.normal(0.5, 1.0, 30)
    found = log_evidence(sample, 0.2)
    assert log_evidence(1e-200 * sample, 0.2e-200) == pytest.approx(found, rel=1e-9)
    assert log_evidence(1e300 * sample, 0.2e300) == pytest.approx(found, rel=1e-9)
    assert log_evidence(sample + 1000.0, 1000.2) == pytest.approx(found, rel=1e-6)
    assert log_evidence(sample[:12], 0.2) == pytest.approx(found[:12])
    centers = np.linspace(-3.0, 3.0, 61)
    assert np.all(np.diff(log_evidence(sample, centers), axis=0) <= 1e-12)
    assert np.all(np.diff(log_evidence(sample, centers)[:, -1]) < 0)
    rows = np.stack([sample, -sample])
    assert log_evidence(rows, np.array([0.2, 0.1]))[1] == pytest.approx(log_evidence(-sample, 0.1))


def test_a_difference_that_ties_with_the_center_up_to_rounding_bets_nothing() -> None:
    equal = np.array([0.3 - 0.2, 0.4 - 0.3, 0.8 - 0.7])
    assert np.all(equal != 0.1)
    assert log_evidence(equal, 0.1).tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("alpha", "pairs"), [(0.5, 3), (0.1, 5), (0.05, 6), (0.025, 7), (0.05 / 4, 8), (0.01, 9), (0.001, 12)]
)
def test_fewest_pairs_are_those_of_equal_differences(alpha: float, pairs: int) -> None:
    assert fewest_pairs(alpha) == pairs
    evidence = log_evidence(np.ones(pairs))
    assert evidence == pytest.approx(largest_log_evidence(pairs))
    assert evidence[-2] < log_threshold(alpha) <= evidence[-1]
    assert np.all(log_evidence(GENERATOR.normal(1.0, 1.0, (1000, pairs))) <= evidence + 1e-12)


def test_no_pairs_and_misuse() -> None:
    assert log_evidence([]).shape == (0,)
    with pytest.raises(ValueError, match="axis of pairs"):
        log_evidence(1.0)
    with pytest.raises(ValueError, match="finite"):
        log_evidence([1.0, math.nan])
    with pytest.raises(ValueError, match="alpha must lie"):
        fewest_pairs(0.0)
