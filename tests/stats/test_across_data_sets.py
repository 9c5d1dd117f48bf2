"""Interquartile means and probabilities of improvement: by hand, by the definition, and by SciPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from normlab.stats.across_data_sets import (
    _resampled,
    _wins,
    across_data_sets,
    interquartile_mean,
    probability_of_improvement,
)

GENERATOR = np.random.default_rng(5)
ARM, BASELINE = GENERATOR.normal(0.3, 1.0, (4, 6)).round(1), GENERATOR.normal(0.0, 1.0, (4, 6)).round(1)


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([1, 2, 3, 4, 5, 6, 7, 8], 4.5),
        ([7, 1, 400, 2, 6, 3, 5, 4], 4.5),  # the outlier falls
        ([[1, 2, 3, 4], [5, 6, 7, 8]], 4.5),  # all scores together, not data set by data set
        ([0, 0, 1, 1, 1, 9, 9, 9], 3.0),
        ([1, 2, 3], 2.0),  # below four nothing falls
        ([1, 2, 3, 10, 11], 5.0),  # one of five falls at either end
        ([7], 7.0),
    ],
)
def test_interquartile_mean_by_hand(scores: list[float], expected: float) -> None:
    assert interquartile_mean(scores) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("values", "baseline_values", "expected"),
    [
        ([[2, 4]], [[1, 3]], 1 / 2),  # 2 against 3 and 4 against 1
        ([[2, 4, 6]], [[1, 3, 5]], 3 / 6),
        ([[2, 4]], [[2, 4]], 1 / 2),
        ([[1, 1]], [[1, 2]], 1 / 4),  # 1 against 2 and a tie
        ([[2, 4], [0, 0]], [[1, 3], [5, 6]], 1 / 4),
    ],
)
def test_probability_by_hand(values: list[list[float]], baseline_values: list[list[float]], expected: float) -> None:
    assert probability_of_improvement(values, baseline_values) == pytest.approx(expected)
    assert probability_of_improvement(values, baseline_values, higher_is_better=False) == pytest.approx(1 - expected)
    assert probability_of_improvement(baseline_values, values) == pytest.approx(1 - expected)


def test_probability_is_mann_whitneys_without_the_pairs_themselves() -> None:
    all_wins = sum(stats.mannwhitneyu(arm, base).statistic for arm, base in zip(ARM, BASELINE, strict=True))
    own_wins = np.sum(0.5 + 0.5 * np.sign(ARM - BASELINE))
    assert probability_of_improvement(ARM, BASELINE) == pytest.approx((all_wins - own_wins) / (4 * 30))


@pytest.mark.parametrize("confidence", [0.8, 0.95])
@pytest.mark.parametrize("higher_is_better", [True, False])
def test_intervals_are_quantiles_over_stratified_resamples(confidence: float, higher_is_better: bool) -> None:
    found = across_data_sets(
        ARM, BASELINE, higher_is_better=higher_is_better, confidence=confidence, num_resamples=300, seed=2
    )
    drawn = np.random.default_rng(2).integers(0, 6, (4, 300, 6))
    differences, probabilities, means, baseline_means = [], [], [], []
    sign = 1 if higher_is_better else -1
    for index in range(300):
        seeds = drawn[:, index]
        arm, base = (np.stack([part[t, seeds[t]] for t in range(4)]) for part in (ARM, BASELINE))
        means.append(stats.trim_mean(arm.ravel(), 0.25))
        baseline_means.append(stats.trim_mean(base.ravel(), 0.25))
        differences.append(means[-1] - baseline_means[-1])
        each = [
            [0.5 + 0.5 * sign * np.sign(arm[t, i] - base[t, j]) for i in range(6) for j in range(6)
             if seeds[t, i] != seeds[t, j]] for t in range(4)
        ]  # fmt: skip
        probabilities.append(np.mean([np.mean(one) for one in each]))
    for interval, resampled in (
        (found.mean_interval, means),
        (found.baseline_interval, baseline_means),
        (found.difference_interval, differences),
        (found.probability_interval, probabilities),
    ):
        low, high = np.quantile(resampled, [(1 - confidence) / 2, (1 + confidence) / 2])
        assert (interval.low, interval.high) == pytest.approx((low, high))
        assert interval.method == "stratified percentile"
    assert found.mean == interquartile_mean(ARM)
    assert found.baseline_mean == interquartile_mean(BASELINE)
    assert found.difference == found.mean - found.baseline_mean
    assert found.probability == probability_of_improvement(ARM, BASELINE, higher_is_better=higher_is_better)
    assert (found.data_sets, found.pairs) == (4, 6)


def test_blocks_do_not_lose_resamples() -> None:
    # 2 x 60 pairs fill a block after 582 resamples; the quantiles settle all the same.
    arm, base = GENERATOR.normal(0.5, 1.0, (2, 60)), GENERATOR.normal(0.0, 1.0, (2, 60))
    found = across_data_sets(arm, base, num_resamples=2000)
    error = math.sqrt(2 / 120)
    width = found.difference_interval.high - found.difference_interval.low
    assert width == pytest.approx(2 * 1.96 * error, rel=0.35)
    assert found.difference_interval.low < found.difference < found.difference_interval.high


def test_pairs_that_move_together_give_a_shorter_interval() -> None:
    base = GENERATOR.normal(size=(3, 12))
    arm = base + 0.05 * GENERATOR.normal(size=(3, 12))
    together = across_data_sets(arm, base, num_resamples=500).difference_interval
    apart = across_data_sets(arm, np.roll(base, 1, axis=1), num_resamples=500).difference_interval
    assert together.high - together.low < 0.5 * (apart.high - apart.low)


@pytest.mark.parametrize(
    ("values", "baseline_values", "options", "message"),
    [
        ([[1.0, 2.0]], [[1.0]], {}, "pair up"),
        ([1.0, 2.0], [1.0, 2.0], {}, "shape"),
        ([[1.0, math.nan]], [[1.0, 2.0]], {}, "finite"),
        (np.zeros((0, 3)), np.zeros((0, 3)), {}, "at least one data set"),
        ([[1.0]], [[1.0]], {}, "at least two pairs"),
        ([[1.0, 2.0]], [[1.0, 3.0]], {"confidence": 1.0}, "confidence"),
        ([[1.0, 2.0]], [[1.0, 3.0]], {"num_resamples": 0}, "num_resamples"),
    ],
)
def test_misuse(values: list[float], baseline_values: list[float], options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        across_data_sets(values, baseline_values, **options)  # type: ignore[arg-type]


def test_resamples_of_one_pair_only_keep_the_observed_probability() -> None:
    arm, baseline = np.array([[1.0, 5.0]]), np.array([[2.0, 3.0]])
    assert np.all(_resampled(arm, baseline, _wins(arm, baseline, True), 200, 0)[2] == 0.5)


def test_few_pairs_give_no_interval() -> None:
    found = across_data_sets([[1.0, 5.0, 2.0, 3.0, 4.0]], [[2.0, 3.0, 1.0, 0.0, 2.5]], num_resamples=20)
    for one in (found.mean_interval, found.difference_interval, found.probability_interval):
        assert (one.low, one.high, one.method) == (-np.inf, np.inf, "none below 6 pairs")
    six = across_data_sets([[1.0, 5.0, 2.0, 3.0, 4.0, 1.0]], [[2.0, 3.0, 1.0, 0.0, 2.5, 0.5]], num_resamples=20)
    assert np.isfinite([six.difference_interval.low, six.probability_interval.high]).all()


def test_no_scores() -> None:
    with pytest.raises(ValueError, match="at least one pair"):
        interquartile_mean([])
