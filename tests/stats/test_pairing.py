"""What pairing saves: against SciPy, the definition of Pitman's interval, and where there is no spread."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import optimize, stats

from normlab.stats.pairing import Pairing, pairing

GENERATOR = np.random.default_rng(12)
BASELINE = GENERATOR.normal(0.9, 0.02, 9)
ARM = 0.7 * BASELINE + GENERATOR.normal(0.3, 0.01, 9)


@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_correlation_is_scipys(confidence: float) -> None:
    expected = stats.pearsonr(ARM, BASELINE)
    interval = expected.confidence_interval(confidence)
    found = pairing(ARM, BASELINE, confidence=confidence)
    assert found.correlation == pytest.approx(expected.statistic)
    assert (found.correlation_low, found.correlation_high) == pytest.approx((interval.low, interval.high))


def test_variance_ratio_is_its_definition_and_one_minus_r_for_equal_variances() -> None:
    found = pairing(ARM, BASELINE)
    expected = np.var(ARM - BASELINE, ddof=1) / (np.var(ARM, ddof=1) + np.var(BASELINE, ddof=1))
    assert found.variance_ratio == pytest.approx(expected)
    scaled = (ARM - ARM.mean()) / ARM.std(), (BASELINE - BASELINE.mean()) / BASELINE.std()
    alike = pairing(*scaled)
    assert alike.correlation is not None
    assert alike.variance_ratio == pytest.approx(1 - alike.correlation)
    assert pairing(BASELINE, ARM).variance_ratio == found.variance_ratio


@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_bounds_of_the_ratio_are_where_pitmans_test_turns(confidence: float) -> None:
    # Var(u) = w Var(v) exactly where u + sqrt(w) v and u - sqrt(w) v do not correlate.
    u, v = ARM - BASELINE, ARM + BASELINE

    def excess(ratio: float) -> float:
        w = ratio / (2 - ratio)
        return float(stats.pearsonr(u + math.sqrt(w) * v, u - math.sqrt(w) * v).pvalue) - (1 - confidence)

    found = pairing(ARM, BASELINE, confidence=confidence)
    assert found.variance_ratio is not None
    low = optimize.brentq(excess, 1e-6, found.variance_ratio)
    high = optimize.brentq(excess, found.variance_ratio, 2 - 1e-6)
    assert (found.ratio_low, found.ratio_high) == pytest.approx((low, high), rel=1e-6)


@pytest.mark.parametrize(
    ("values", "baseline_values", "expected"),
    [
        ([1.0, 2.0, 4.0, 3.0], [1.0, 2.0, 4.0, 3.0], Pairing(1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 4)),
        ([1.0, 2.0, 4.0, 3.0], [-1.0, -2.0, -4.0, -3.0], Pairing(-1.0, -1.0, -1.0, 2.0, 2.0, 2.0, 4)),
        ([0.5, 0.5, 0.5], [0.1, 0.1, 0.1], Pairing(None, -1.0, 1.0, None, 0.0, 2.0, 3)),
    ],
)
def test_degenerate(values: list[float], baseline_values: list[float], expected: Pairing) -> None:
    assert pairing(values, baseline_values) == expected


def test_one_arm_without_spread_gains_nothing() -> None:
    found = pairing(ARM, np.full(9, 0.9))
    assert (found.correlation, found.correlation_low, found.correlation_high) == (None, -1.0, 1.0)
    assert found.variance_ratio == pytest.approx(1.0)


def test_three_pairs_know_little() -> None:
    found = pairing([1.0, 2.0, 4.0], [1.1, 2.3, 3.9])
    assert (found.correlation_low, found.correlation_high) == (-1.0, 1.0)
    assert found.ratio_low < 0.01
    assert found.ratio_high > 0.3


@pytest.mark.parametrize(
    ("values", "baseline_values", "confidence", "message"),
    [
        ([1.0, 2.0], [1.0, 3.0], 0.95, "at least three pairs"),
        ([1.0, 2.0, 3.0], [1.0, 3.0], 0.95, "pair up"),
        ([1.0, 2.0, math.nan], [1.0, 3.0, 2.0], 0.95, "finite"),
        ([1.0, 2.0, 3.0], [1.0, 3.0, 2.0], 0.0, "confidence"),
    ],
)
def test_misuse(values: list[float], baseline_values: list[float], confidence: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pairing(values, baseline_values, confidence=confidence)
