"""The bootstrap interval: against SciPy's, by its laws, and where it degenerates."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from normlab.stats.bootstrap import Interval, paired_bootstrap, paired_bootstraps, paired_ratio_bootstrap

GENERATOR = np.random.default_rng(7)
SAMPLES = {
    "gaussian": GENERATOR.normal(0.3, 1.0, 12),
    "skewed": GENERATOR.exponential(1.0, 25),
    "heavy-tailed": GENERATOR.standard_t(3, 40),
    "ties": np.array([0, 0, 1, 1, 1, 2, -1, 0, 3, 1], dtype=float),
    "six": np.array([1.0, 4.0, 2.0, 2.5, 7.0, 3.0]),
    "large offset": 1e6 + GENERATOR.normal(size=15),
}


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
@pytest.mark.parametrize("name", SAMPLES)
def test_same_as_scipy_with_the_same_draws(name: str, confidence: float) -> None:
    sample = SAMPLES[name]
    expected = stats.bootstrap(
        (sample,),
        np.mean,
        method="BCa",
        confidence_level=confidence,
        n_resamples=4999,
        rng=np.random.default_rng(3),
    ).confidence_interval
    interval = paired_bootstrap(sample, confidence=confidence, num_resamples=4999, seed=3)
    assert interval.method == "BCa"
    assert (interval.low, interval.high) == pytest.approx(tuple(expected), rel=1e-9)


def test_negating_mirrors_and_scaling_scales() -> None:
    sample = SAMPLES["skewed"]
    interval = paired_bootstrap(sample)
    mirrored = paired_bootstrap(-3.0 * sample)
    assert (mirrored.low, mirrored.high) == pytest.approx((-3.0 * interval.high, -3.0 * interval.low), rel=1e-9)


def test_seed_decides_and_is_repeatable() -> None:
    sample = SAMPLES["gaussian"]
    assert paired_bootstrap(sample, seed=1) == paired_bootstrap(sample, seed=1)
    assert paired_bootstrap(sample, seed=1) != paired_bootstrap(sample, seed=2)


def test_many_rows_give_each_rows_own_interval() -> None:
    rows = np.random.default_rng(0).normal(size=(300, 9))
    rows[5] = 0.25
    together = paired_bootstraps(rows, num_resamples=199, seed=4)
    for index in (0, 5, 255, 256, 299):
        alone = paired_bootstrap(rows[index], num_resamples=199, seed=4)
        assert together[index].method == alone.method
        assert (together[index].low, together[index].high) == pytest.approx((alone.low, alone.high), abs=1e-12)


def test_draws_in_blocks_are_the_draws_at_once() -> None:
    sample = np.random.default_rng(1).normal(size=700)  # 700 x 2,999 draws: more than one block
    expected = stats.bootstrap(
        (sample,), np.mean, method="BCa", n_resamples=2999, rng=np.random.default_rng(0)
    ).confidence_interval
    interval = paired_bootstrap(sample, num_resamples=2999)
    assert (interval.low, interval.high) == pytest.approx(tuple(expected), rel=1e-9)


@pytest.mark.parametrize(
    ("differences", "expected"),
    [
        ([0.0] * 6, Interval(0.0, 0.0, "degenerate: all differences equal")),
        ([0.5] * 7, Interval(0.5, 0.5, "degenerate: all differences equal")),
        (
            [0.93 - 0.92, 0.92 - 0.91] * 3,
            Interval((0.93 - 0.91) / 2, (0.93 - 0.91) / 2, "degenerate: all differences equal"),
        ),
        *[([2.0, 1.0, 3.0, 2.5, 4.0][:n], Interval(-math.inf, math.inf, "none below 6 pairs")) for n in range(1, 6)],
    ],
)
def test_degenerate(differences: list[float], expected: Interval) -> None:
    interval = paired_bootstrap(differences)
    assert interval.method == expected.method
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high), rel=1e-12)


def test_percentile_where_bca_is_undefined() -> None:
    # One resample lies on one side of the mean, so the bias correction is infinite.
    interval = paired_bootstrap([1.0, 2.0, 4.0, 3.0, 7.0, 5.0], num_resamples=1)
    assert interval.method == "percentile (BCa is undefined here)"
    assert interval.low == interval.high


@pytest.mark.parametrize(
    ("differences", "options", "message"),
    [
        ([], {}, "at least one number"),
        ([[1.0, 2.0]], {}, "one axis"),
        ([1.0, math.nan], {}, "finite, got 1 of 2"),
        ([1.0, math.inf], {}, "finite, got 1 of 2"),
        ([1.0, 2.0], {"confidence": 1.0}, "confidence"),
        ([1.0, 2.0], {"num_resamples": 0}, "num_resamples"),
    ],
)
def test_misuse(differences: list[float], options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        paired_bootstrap(differences, **options)  # type: ignore[arg-type]


def test_rows_need_two_axes() -> None:
    with pytest.raises(ValueError, match="shape"):
        paired_bootstraps([1.0, 2.0])


def test_ratio_is_scipys_with_the_same_draws() -> None:
    # With very few pairs many resamples tie with the observed ratio, and SciPy lets rounding decide on which side.
    for num_pairs in (10, 30):
        baseline = GENERATOR.exponential(2.0, num_pairs)
        arm = 0.7 * baseline + GENERATOR.exponential(1.0, num_pairs)
        expected = stats.bootstrap(
            (arm, baseline),
            lambda a, b, axis: a.mean(axis=axis) / b.mean(axis=axis),
            method="BCa",
            n_resamples=2999,
            paired=True,
            vectorized=True,
            rng=np.random.default_rng(3),
        ).confidence_interval
        interval = paired_ratio_bootstrap(arm, baseline, num_resamples=2999, seed=3)
        assert interval.method == "BCa"
        assert (interval.low, interval.high) == pytest.approx(tuple(expected), rel=1e-9)


def test_ratio_laws_and_degenerate_cases() -> None:
    baseline, arm = GENERATOR.exponential(2.0, 9), GENERATOR.exponential(1.0, 9)
    interval = paired_ratio_bootstrap(arm, baseline)
    scaled = paired_ratio_bootstrap(3.0 * arm, 0.5 * baseline)
    assert (scaled.low, scaled.high) == pytest.approx((6.0 * interval.low, 6.0 * interval.high), rel=1e-9)
    alike = paired_ratio_bootstrap(0.3 * baseline, baseline)
    assert alike.method == "degenerate: all ratios equal"
    assert (alike.low, alike.high) == pytest.approx((0.3, 0.3))
    for n in (1, 5):
        few = paired_ratio_bootstrap(arm[:n], baseline[:n])
        assert few == Interval(-math.inf, math.inf, "none below 6 pairs")


@pytest.mark.parametrize(
    ("values", "baseline_values", "message"),
    [
        ([1.0, 2.0], [1.0, 0.0], "baseline_values must be positive"),
        ([1.0, 2.0], [1.0], "pair up"),
        ([1.0, math.inf], [1.0, 1.0], "values must be finite"),
    ],
)
def test_ratio_misuse(values: list[float], baseline_values: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        paired_ratio_bootstrap(values, baseline_values)
