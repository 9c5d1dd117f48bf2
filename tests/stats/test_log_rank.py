"""The log-rank tests: against statsmodels, hand counts and all exchanges within pairs."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from statsmodels.duration.survfunc import survdiff

from normlab.stats.log_rank import log_rank

INF = math.inf
GENERATOR = np.random.default_rng(8)
SAMPLES = {
    "all come": (GENERATOR.exponential(2.0, 9), GENERATOR.exponential(3.0, 9)),
    "some miss": (GENERATOR.exponential(4.0, 9), GENERATOR.exponential(9.0, 9)),
    "epochs, with ties": (np.array([2, 3, 3, 1, 2, INF, 4.0]), np.array([3, 3, 5, 2, INF, INF, 6.0])),
    "one arm never": (np.array([1.0, 2.0, 3.0, 4.0, 2.0, 1.0]), np.full(6, INF)),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_the_usual_test_is_statsmodels(name: str) -> None:
    arm, baseline = SAMPLES[name]
    both = np.concatenate([arm, baseline])
    group = np.repeat([1, 0], arm.size)
    _, expected = survdiff(np.minimum(both, 6.0), (both <= 6.0).astype(int), group)
    assert log_rank(arm, baseline, 6.0).p_value == pytest.approx(expected, rel=1e-9)


def expected_count(arm: np.ndarray, baseline: np.ndarray) -> float:
    """At every moment, the runs that came are shared out by how many of each arm were still on the way."""
    both = np.concatenate([arm, baseline])
    return sum(
        float(np.sum(both == moment) * np.sum(arm >= moment) / np.sum(both >= moment))
        for moment in np.unique(both[both <= 6.0])
    )


@pytest.mark.parametrize("name", SAMPLES)
def test_observed_and_expected_are_counts_over_time(name: str) -> None:
    arm, baseline = SAMPLES[name]
    found = log_rank(arm, baseline, 6.0)
    assert (found.observed, found.pairs) == (np.sum(arm <= 6.0), arm.size)
    assert found.expected == pytest.approx(expected_count(arm, baseline))


@pytest.mark.parametrize("name", SAMPLES)
def test_the_paired_test_counts_all_exchanges_within_pairs(name: str) -> None:
    arm, baseline = SAMPLES[name]
    excesses = []
    for swap in itertools.product((False, True), repeat=arm.size):
        first, second = np.where(swap, baseline, arm), np.where(swap, arm, baseline)
        excesses.append(abs(np.sum(first <= 6.0) - expected_count(first, second)))
    expected = np.mean(np.array(excesses) >= excesses[0] - 1e-9)
    assert log_rank(arm, baseline, 6.0).paired_p_value == pytest.approx(expected)


def test_stratified_by_pairs_it_would_only_count_who_was_first() -> None:
    # The reason why that test is not offered.
    arm, baseline = SAMPLES["all come"]
    both = np.concatenate([arm, baseline])
    chi_squared, _ = survdiff(both, np.ones(18), np.repeat([1, 0], 9), strata=np.tile(np.arange(9), 2))
    first = int(np.sum(arm < baseline))
    assert chi_squared == pytest.approx((2 * first - 9) ** 2 / 9)


def test_pairs_that_share_show_more_in_pairs() -> None:
    shared = np.exp(2 * GENERATOR.normal(size=15))
    found = log_rank(shared, 1.3 * shared, 1e6)
    assert found.paired_p_value < 0.001 < 0.5 < found.p_value


def test_exchanging_the_arms_and_no_run_that_came() -> None:
    arm, baseline = SAMPLES["some miss"]
    found, mirrored = log_rank(arm, baseline, 6.0), log_rank(baseline, arm, 6.0)
    assert found.observed - found.expected == pytest.approx(mirrored.expected - mirrored.observed)
    assert (found.paired_p_value, found.p_value) == (mirrored.paired_p_value, pytest.approx(mirrored.p_value))
    nothing = log_rank([INF, 7.0], [INF, INF], 6.0)
    assert (nothing.observed, nothing.expected, nothing.paired_p_value, nothing.p_value) == (0, 0.0, 1.0, 1.0)
    alike = log_rank([1.0, 2.0, 3.0], [1.0, 2.0, 3.0], 6.0)
    assert (alike.paired_p_value, alike.p_value) == (1.0, pytest.approx(1.0))


@pytest.mark.parametrize(
    ("times", "baseline_times", "horizon", "message"),
    [
        ([1.0, 2.0], [1.0], 5.0, "pair up"),
        ([1.0, math.nan], [1.0, 2.0], 5.0, "times must be"),
        ([1.0], [1.0], 0.0, "horizon"),
    ],
)
def test_misuse(times: list[float], baseline_times: list[float], horizon: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        log_rank(times, baseline_times, horizon)
