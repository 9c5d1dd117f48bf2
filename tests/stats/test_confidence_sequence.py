"""The confidence sequence: the means that the evidence allows, nested, mirrored, and where it degenerates."""

from __future__ import annotations

import math

import numpy as np
import pytest

from normlab.stats.betting import fewest_pairs, log_evidence
from normlab.stats.confidence_sequence import confidence_sequence, interval_so_far

GENERATOR = np.random.default_rng(9)
SAMPLES = {
    "gaussian": GENERATOR.normal(0.3, 1.0, 20),
    "heavy-tailed": GENERATOR.standard_t(2, 20),
    "accuracy": np.round(GENERATOR.normal(0.01, 0.01, 20), 2),
    "tiny": 1e-150 * GENERATOR.normal(0.3, 1.0, 12),
    "far away": 1e3 + GENERATOR.normal(size=12),
}


@pytest.mark.parametrize("confidence", [0.8, 0.95])
@pytest.mark.parametrize("name", SAMPLES)
def test_holds_the_means_that_the_evidence_has_always_allowed(name: str, confidence: float) -> None:
    sample = SAMPLES[name]
    sequence = confidence_sequence(sample, confidence=confidence)
    spread = np.ptp(sample)
    grid = np.linspace(sample.min() - 2 * spread, sample.max() + 2 * spread, 2001)
    threshold = math.log(2 / (1 - confidence))
    above = np.maximum.accumulate(log_evidence(sample, grid), axis=1) >= threshold
    below = np.maximum.accumulate(log_evidence(-sample, -grid), axis=1) >= threshold
    allowed = ~above & ~below
    for pair in range(sample.size):
        low, high = sequence.low[pair], sequence.high[pair]
        inside = (grid > low + 1e-9 * spread) & (grid < high - 1e-9 * spread)
        outside = (grid < low - 1e-9 * spread) | (grid > high + 1e-9 * spread)
        assert np.all(allowed[inside, pair])
        assert not np.any(allowed[outside, pair])


@pytest.mark.parametrize("name", SAMPLES)
def test_nested_and_infinite_before_the_fewest_pairs(name: str) -> None:
    sequence = confidence_sequence(SAMPLES[name])
    assert np.all(np.diff(sequence.low[5:]) >= 0)
    assert np.all(np.diff(sequence.high[5:]) <= 0)
    assert np.all(np.isinf(sequence.low[: fewest_pairs(0.05) - 1]))
    assert sequence.high[-1] < math.inf
    assert sequence.low[-1] > -math.inf


def test_the_last_interval_alone_and_the_intervals_of_a_beginning() -> None:
    sample = SAMPLES["gaussian"]
    sequence = confidence_sequence(sample)
    for pairs in (3, 8, 20):
        expected = (sequence.low[pairs - 1], sequence.high[pairs - 1])
        assert interval_so_far(sample[:pairs]) == pytest.approx(expected, rel=1e-9)


def test_mirrors_scales_and_shifts() -> None:
    low, high = interval_so_far(SAMPLES["gaussian"])
    assert interval_so_far(-2.0 * SAMPLES["gaussian"] + 5.0) == pytest.approx((5 - 2 * high, 5 - 2 * low), rel=1e-9)


def test_more_confidence_is_wider() -> None:
    widths = [np.ptp(interval_so_far(SAMPLES["gaussian"], confidence=one)) for one in (0.5, 0.9, 0.99)]
    assert widths == sorted(widths)


def test_wider_than_the_t_interval_but_less_than_twice() -> None:
    # Whoever may look at any time pays for it; here, with Gaussian differences and 100 pairs.
    sample = np.random.default_rng(0).normal(size=100)
    low, high = interval_so_far(sample)
    fixed = 2 * 1.984 * sample.std(ddof=1) / 10
    assert fixed < high - low < 2 * fixed
    assert low < sample.mean() < high


@pytest.mark.parametrize("value", [0.0, 0.01, -3.0])
def test_equal_differences_leave_one_mean(value: float) -> None:
    sequence = confidence_sequence([value] * 7)
    assert sequence.low.tolist() == [-math.inf] * 5 + [value] * 2
    assert sequence.high.tolist() == [math.inf] * 5 + [value] * 2


def test_an_empty_interval_keeps_the_last_one() -> None:
    # Eight equal differences leave only their value, which the later ones then rule out: they are not alike.
    sample = np.concatenate([np.ones(8), np.random.default_rng(1).normal(-1.0, 0.1, 30)])
    sequence = confidence_sequence(sample)
    assert (sequence.low[-1], sequence.high[-1]) == pytest.approx((1.0, 1.0), abs=1e-9)
    assert interval_so_far(sample) == pytest.approx((1.0, 1.0), abs=1e-9)
    assert log_evidence(-sample, -1.0).max() > math.log(40)


@pytest.mark.parametrize(
    ("differences", "confidence", "message"),
    [
        ([], 0.95, "at least one"),
        ([1.0, math.inf], 0.95, "finite"),
        ([1.0], 1.0, "confidence must lie"),
        ([[1.0]], 0.95, "one axis"),
    ],
)
def test_misuse(differences: list[float], confidence: float, message: str) -> None:
    for function in (confidence_sequence, interval_so_far):
        with pytest.raises(ValueError, match=message):
            function(differences, confidence=confidence)


@pytest.mark.parametrize("first", [1, 8, 15])
def test_before_the_first_look_there_is_no_interval_and_after_it_a_wider_one(first: int) -> None:
    sample = SAMPLES["accuracy"]
    whole, later = confidence_sequence(sample), confidence_sequence(sample, first_look=first)
    assert np.isinf(later.low[: first - 1]).all()
    assert np.isinf(later.high[: first - 1]).all()
    assert (later.low <= whole.low + 1e-12).all()
    assert (later.high >= whole.high - 1e-12).all()
    assert interval_so_far(sample, first_look=first) == pytest.approx((later.low[-1], later.high[-1]))


def test_six_equal_differences_do_not_fix_the_interval_before_the_first_look() -> None:
    sample = [0.0] * 6 + [0.01] * 4
    whole, later = interval_so_far(sample), interval_so_far(sample, first_look=10)
    assert whole == pytest.approx((0.0, 0.0), abs=1e-12)
    assert later[0] <= 0.0 < 0.009 < later[1]
