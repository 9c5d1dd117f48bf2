"""The sign-flip test: against brute force and SciPy, its laws and its smallest p-value."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from normlab.stats.sign_flip import MOST_EXACT_PAIRS, NUM_RANDOM_FLIPS, sign_flip_p_value, smallest_p_value

GENERATOR = np.random.default_rng(11)
SAMPLES = {
    "one": np.array([0.4]),
    "two": np.array([0.4, -0.1]),
    "gaussian": GENERATOR.normal(0.5, 1.0, 11),
    "skewed": GENERATOR.exponential(1.0, 9) - 1.0,
    "ties and zeros": np.array([0, 0, 1, 1, -1, 2, 1, -2, 1, 1], dtype=float),
    "same sign": np.arange(1.0, 8.0),
    "zero sum": np.array([1.0, -1.0, 2.0, -2.0]),
    "tiny": 1e-200 * GENERATOR.normal(0.5, 1.0, 8),
    "huge": 1e300 * GENERATOR.normal(0.5, 1.0, 8),
}


def brute_force(differences: np.ndarray) -> float:
    """Every sign vector in turn, in exact arithmetic."""
    exact = [round(float(d / np.max(np.abs(differences))) * 10**12) for d in differences]
    observed = abs(sum(exact))
    sums = [
        abs(sum(s * d for s, d in zip(signs, exact, strict=True)))
        for signs in itertools.product((-1, 1), repeat=len(exact))
    ]
    return sum(total >= observed for total in sums) / len(sums)


@pytest.mark.parametrize("name", SAMPLES)
def test_exact_is_brute_force(name: str) -> None:
    assert sign_flip_p_value(SAMPLES[name]) == brute_force(SAMPLES[name])


@pytest.mark.parametrize("name", ["gaussian", "skewed", "ties and zeros", "same sign"])
def test_exact_is_scipys(name: str) -> None:
    sample = SAMPLES[name]
    expected = stats.permutation_test(
        (sample,), np.mean, permutation_type="samples", n_resamples=10_000, vectorized=True
    )
    assert sign_flip_p_value(sample) == pytest.approx(expected.pvalue, rel=1e-12)


def test_exact_up_to_twenty_pairs_whatever_the_seed() -> None:
    sample = GENERATOR.normal(0.4, 1.0, MOST_EXACT_PAIRS)
    signs = 1.0 - 2.0 * ((np.arange(2**MOST_EXACT_PAIRS)[:, None] >> np.arange(MOST_EXACT_PAIRS)) & 1)
    expected = np.mean(np.abs(signs @ sample) >= abs(sample.sum()) - 1e-9)
    assert sign_flip_p_value(sample, seed=1) == sign_flip_p_value(sample, seed=2) == expected


def test_rounding_does_not_break_ties() -> None:
    # Differences of accuracies over 1,000 samples: sums that tie in whole numbers must tie in floats.
    hits, baseline_hits = np.array([931, 927, 940, 915, 922, 933, 928]), np.array([924, 929, 931, 915, 919, 921, 930])
    whole = (hits - baseline_hits).astype(float)
    assert sign_flip_p_value(hits / 1000 - baseline_hits / 1000) == sign_flip_p_value(whole) == brute_force(whole)


def test_monte_carlo_lies_near_the_normal_approximation() -> None:
    sample = np.random.default_rng(5).normal(0.0, 1.0, 60)
    sample += 0.2 - sample.mean()
    p_value = sign_flip_p_value(sample, seed=3)
    normal = 2 * stats.norm.sf(abs(sample.sum()) / math.sqrt(np.sum(sample**2)))
    assert 0.05 < normal < 0.3
    assert p_value == pytest.approx(normal, rel=0.05)
    assert p_value == sign_flip_p_value(sample, seed=3) != sign_flip_p_value(sample, seed=4)


def test_monte_carlo_never_gives_zero() -> None:
    assert sign_flip_p_value(np.ones(40)) == 1 / (NUM_RANDOM_FLIPS + 1)


def test_all_zero_is_one() -> None:
    assert sign_flip_p_value(np.zeros(6)) == 1.0
    assert sign_flip_p_value(np.zeros(30)) == 1.0


@pytest.mark.parametrize(("num_pairs", "expected"), [(1, 1.0), (2, 0.5), (5, 0.0625), (6, 0.03125), (10, 2 / 1024)])
def test_smallest_p_value_is_that_of_equal_signs(num_pairs: int, expected: float) -> None:
    assert smallest_p_value(num_pairs) == expected == sign_flip_p_value(np.arange(1.0, num_pairs + 1.0))


def test_misuse() -> None:
    with pytest.raises(ValueError, match="num_pairs must be at least 1"):
        smallest_p_value(0)
    with pytest.raises(ValueError, match="at least one number"):
        sign_flip_p_value([])
    with pytest.raises(ValueError, match="finite"):
        sign_flip_p_value([1.0, math.nan])
