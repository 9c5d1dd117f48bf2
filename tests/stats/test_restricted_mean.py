"""Restricted mean times: counted by hand, against the survival curve, and their intervals from the bootstrap."""

from __future__ import annotations

import math

import numpy as np
import pytest
from statsmodels.duration.survfunc import SurvfuncRight

from normlab.stats.bootstrap import paired_bootstrap, paired_ratio_bootstrap
from normlab.stats.restricted_mean import restricted_times

INF = math.inf
GENERATOR = np.random.default_rng(3)


@pytest.mark.parametrize(
    ("times", "baseline_times", "mean", "baseline_mean", "missed"),
    [
        ([1, 2, 3], [2, 4, 6], 2.0, 4.0, (0, 0, 0)),
        ([1, 2, INF], [2, INF, INF], 13 / 3, 22 / 3, (1, 2, 1)),
        ([1, 2, 12], [10, 11, 9], 13 / 3, 29 / 3, (1, 1, 0)),
        ([1, 2, 10], [10, 11, 9], 13 / 3, 29 / 3, (0, 1, 0)),  # at the horizon is still in time
        ([INF, INF, INF], [INF, INF, INF], 10.0, 10.0, (3, 3, 3)),
    ],
)
def test_by_hand(
    times: list[float], baseline_times: list[float], mean: float, baseline_mean: float, missed: tuple[int, int, int]
) -> None:
    found = restricted_times(times, baseline_times, 10.0)
    assert (found.mean, found.baseline_mean) == pytest.approx((mean, baseline_mean))
    assert found.difference == pytest.approx(mean - baseline_mean)
    assert found.ratio == pytest.approx(mean / baseline_mean)
    assert (found.missed, found.baseline_missed, found.both_missed) == missed
    assert (found.pairs, found.horizon) == (3, 10.0)


def test_mean_is_the_area_under_the_survival_curve() -> None:
    times = np.append(GENERATOR.exponential(4.0, 40), [INF] * 5)
    late = times > 6.0
    curve = SurvfuncRight(np.minimum(times, 6.0), (~late).astype(int))
    steps = np.concatenate([[0.0], curve.surv_times, [6.0]])
    area = np.sum(np.diff(steps) * np.concatenate([[1.0], curve.surv_prob]))
    assert restricted_times(times, np.ones(45), 6.0).mean == pytest.approx(area)


def test_intervals_are_those_of_the_restricted_pairs() -> None:
    times, baseline = GENERATOR.exponential(2.0, 12), GENERATOR.exponential(4.0, 12)
    found = restricted_times(times, baseline, 5.0, confidence=0.9, num_resamples=999, seed=4)
    arm, base = np.minimum(times, 5.0), np.minimum(baseline, 5.0)
    options = {"confidence": 0.9, "num_resamples": 999, "seed": 4}
    assert found.difference_interval == paired_bootstrap(arm - base, **options)  # type: ignore[arg-type]
    assert found.ratio_interval == paired_ratio_bootstrap(arm, base, **options)  # type: ignore[arg-type]
    assert found.difference_interval.low < found.difference < found.difference_interval.high
    assert found.ratio_interval.low < found.ratio < found.ratio_interval.high


def test_where_no_run_came_there_is_no_spread() -> None:
    found = restricted_times([INF] * 6, [INF] * 6, 10.0)
    assert found.difference_interval.method == "degenerate: all differences equal"
    assert found.ratio_interval.method == "degenerate: all ratios equal"
    assert (found.ratio_interval.low, found.ratio_interval.high) == (1.0, 1.0)


@pytest.mark.parametrize(
    ("times", "baseline_times", "horizon", "message"),
    [
        ([1.0, 2.0], [1.0], 5.0, "pair up"),
        ([1.0, -2.0], [1.0, 2.0], 5.0, "times must be"),
        ([1.0, 2.0], [1.0, 2.0], INF, "horizon"),
        ([1.0, 2.0], [0.0, 2.0], 5.0, "baseline_values must be positive"),
        ([], [], 5.0, "at least one number"),
    ],
)
def test_misuse(times: list[float], baseline_times: list[float], horizon: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        restricted_times(times, baseline_times, horizon)
