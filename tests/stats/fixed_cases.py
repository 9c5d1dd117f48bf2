"""Calibration of what is asked once, after the last pair: paired outcomes, times, pairing and several data sets."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from normlab.stats.across_data_sets import across_data_sets
from normlab.stats.log_rank import log_rank
from normlab.stats.mcnemar import mcnemar
from normlab.stats.pairing import pairing
from normlab.stats.restricted_mean import restricted_times
from tests.stats.calibration import NOISE, Case, Rows

Hits = Callable[[Any, np.random.Generator, int], int]
HORIZON = 6.0


def mcnemar_rate(pairs: int, only_arm: float, only_baseline: float) -> float:
    """The exact chance of p <= 0.05, summed over all counts of pairs that differ."""
    total = 0.0
    for differing in range(1, pairs + 1):
        chance = stats.binom.pmf(differing, pairs, only_arm + only_baseline)
        tosses = np.arange(differing + 1)
        p_values = np.minimum(1.0, 2 * stats.binom.cdf(np.minimum(tosses, differing - tosses), differing, 0.5))
        arm_share = only_arm / (only_arm + only_baseline)
        total += chance * float(stats.binom.pmf(tosses, differing, arm_share)[p_values <= 0.05].sum())
    return total


def outcomes(only_arm: float, only_baseline: float) -> Hits:
    """Forty pairs; runs diverge in only the arm, or only the baseline, with these chances: p <= 0.05."""

    def hits(procedure: Callable[..., Any], generator: np.random.Generator, studies: int) -> int:
        pairs = _outcome_pairs(generator, studies, only_arm, only_baseline)
        return sum(procedure(arm, baseline).p_value <= 0.05 for arm, baseline in pairs)

    return hits


def outcome_interval(procedure: Callable[..., Any], generator: np.random.Generator, studies: int) -> int:
    """The interval of the difference in shares holds 0.2 - 0.05."""
    found = (procedure(*pair) for pair in _outcome_pairs(generator, studies, 0.2, 0.05))
    return sum(one.low <= 0.15 <= one.high for one in found)


def paces(ratio: float, shared: float, pairs: int, name: str) -> Hits:
    """Times with hazards in this ratio, pairs sharing a frailty of this log-deviation: the p-value `name` <= 0.05."""

    def hits(procedure: Callable[..., Any], generator: np.random.Generator, studies: int) -> int:
        arms, baselines = _times(generator, (studies, pairs), ratio, shared)
        found = (procedure(*pair, HORIZON) for pair in zip(arms, baselines, strict=True))
        return sum(getattr(one, name) <= 0.05 for one in found)

    return hits


def time_interval(name: str) -> Hits:
    """Twenty pairs of times, hazards in a ratio of two: the interval `name` of restricted means holds the truth."""
    # The mean of min(t, h) at rate r is (1 - exp(-r h)) / r.
    means = [(1 - math.exp(-rate * HORIZON)) / rate for rate in (0.5, 0.25)]
    truth = means[0] - means[1] if name == "difference_interval" else means[0] / means[1]

    def hits(procedure: Callable[..., Any], generator: np.random.Generator, studies: int) -> int:
        arms, baselines = _times(generator, (studies, 20), 2.0, 0.0)
        found = (
            getattr(procedure(*pair, HORIZON, num_resamples=999), name) for pair in zip(arms, baselines, strict=True)
        )
        return sum(one.low <= truth <= one.high for one in found)

    return hits


def pairing_interval(noise: str, low: str, high: str) -> Hits:
    """Ten pairs with correlation 0.8 and equal variances: the bounds hold 0.8, or the variance ratio 0.2."""
    truth = 0.8 if low == "correlation_low" else 0.2

    def hits(procedure: Callable[..., Any], generator: np.random.Generator, studies: int) -> int:
        first, second = (NOISE[noise](generator, (studies, 10)) for _ in range(2))
        found = (procedure(a, b) for a, b in zip(first, 0.8 * first + 0.6 * second, strict=True))
        return sum(getattr(one, low) <= truth <= getattr(one, high) for one in found)

    return hits


def data_sets(name: str) -> Hits:
    """Ten pairs with correlation 0.8 on each of five data sets, the arm 0.5 deviations above: the truth is held."""
    truth = 0.5 if name == "difference_interval" else stats.norm.cdf(0.5 / math.sqrt(2))

    def hits(procedure: Callable[..., Any], generator: np.random.Generator, studies: int) -> int:
        common, own, other = (generator.normal(size=(studies, 5, 10)) for _ in range(3))
        arms, baselines = (math.sqrt(0.8) * common + math.sqrt(0.2) * noise for noise in (own, other))
        found = (
            getattr(procedure(arm + 0.5, baseline, num_resamples=499), name)
            for arm, baseline in zip(arms, baselines, strict=True)
        )
        return sum(one.low <= truth <= one.high for one in found)

    return hits


def _outcome_pairs(
    generator: np.random.Generator, studies: int, only_arm: float, only_baseline: float
) -> list[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    """Forty pairs a study; both diverge in a tenth of them."""
    drawn = generator.uniform(size=(studies, 40))
    both = drawn >= 0.9
    arms, baselines = both | (drawn < only_arm), both | ((drawn >= only_arm) & (drawn < only_arm + only_baseline))
    return list(zip(arms, baselines, strict=True))


def _times(generator: np.random.Generator, shape: tuple[int, int], ratio: float, shared: float) -> tuple[Rows, Rows]:
    """Exponential times at rates 0.25 ratio and 0.25, both multiplied by what a pair shares; late ones never come."""
    rate = 0.25 * np.exp(shared * generator.normal(size=shape))
    arms, baselines = generator.exponential(size=shape) / (ratio * rate), generator.exponential(size=shape) / rate
    return np.where(arms > HORIZON, math.inf, arms), np.where(baselines > HORIZON, math.inf, baselines)


_NULL, _POWER = mcnemar_rate(40, 0.15, 0.15), mcnemar_rate(40, 0.3, 0.05)
_EXACT = math.floor(0.05 * 2**9) / 2**9  # what 2^10 equally likely signs can give, at most
_R, _RATIO = ("correlation_low", "correlation_high"), ("ratio_low", "ratio_high")
_TIMES = restricted_times
# Where no theory gives the rate, the bounds are two standard errors around that of a longer simulation, 4,000 to
# 40,000 studies with other seeds.
CASES = [
    Case("McNemar, equal chances", _NULL, _NULL, outcomes(0.15, 0.15), mcnemar, 1000),
    Case("McNemar, 0.4 against 0.15 diverge, found", _POWER, _POWER, outcomes(0.3, 0.05), mcnemar, 1000),
    Case("outcomes, interval holds the difference", 0.949, 0.957, outcome_interval, mcnemar, 1000),
    Case("log-rank in pairs, equal paces, 10", 0.8 * _EXACT, _EXACT, paces(1, 1, 10, "paired_p_value"), log_rank, 1500),
    Case("log-rank in pairs, three times the pace, 20", 0.726, 0.748, paces(3, 1, 20, "paired_p_value"), log_rank, 500),
    Case("log-rank, usual, equal paces, 20", 0.05, 0.062, paces(1, 0, 20, "p_value"), log_rank, 1000),
    Case("log-rank, usual, equal paces, pairs that share", 0.0, 0.01, paces(1, 2, 20, "p_value"), log_rank, 500),
    Case("log-rank, usual, three times the pace, 20", 0.574, 0.6, paces(3, 1, 20, "p_value"), log_rank, 500),
    Case("restricted mean, difference held, 20", 0.922, 0.934, time_interval("difference_interval"), _TIMES, 1000),
    Case("restricted mean, ratio held, 20", 0.925, 0.937, time_interval("ratio_interval"), _TIMES, 1000),
    Case("correlation held, gaussian, 10", 0.945, 0.951, pairing_interval("gaussian", *_R), pairing, 2000),
    Case("variance ratio held, gaussian, 10", 0.95, 0.95, pairing_interval("gaussian", *_RATIO), pairing, 2000),
    Case("correlation held, heavy-tailed, 10", 0.838, 0.848, pairing_interval("heavy-tailed", *_R), pairing, 2000),
    Case(
        "variance ratio held, heavy-tailed, 10", 0.822, 0.832, pairing_interval("heavy-tailed", *_RATIO), pairing, 2000
    ),
    Case("five data sets, difference held, 10", 0.929, 0.945, data_sets("difference_interval"), across_data_sets, 200),
    Case(
        "five data sets, probability held, 10", 0.943, 0.959, data_sets("probability_interval"), across_data_sets, 200
    ),
]


def unpaired(times: Rows, baseline_times: Rows, horizon: float) -> Any:
    """Broken on purpose: a pair's second run is another pair's."""
    return log_rank(times, np.roll(baseline_times, 1), horizon)


def no_misses(times: Rows, baseline_times: Rows, horizon: float, **options: int) -> Any:
    """Broken on purpose: pairs with a run that never came are dropped."""
    came = np.isfinite(times) & np.isfinite(baseline_times)
    return restricted_times(times[came], baseline_times[came], horizon, **options)


def not_joined(outcomes: NDArray[np.bool_], baseline_outcomes: NDArray[np.bool_]) -> Any:
    """Broken on purpose: a pair's second outcome is another pair's."""
    return mcnemar(outcomes, np.random.default_rng(1).permutation(baseline_outcomes))


def swapped(outcomes: NDArray[np.bool_], baseline_outcomes: NDArray[np.bool_]) -> Any:
    """Broken on purpose: the arms are exchanged."""
    return mcnemar(baseline_outcomes, outcomes)


def narrow(values: Rows, baseline_values: Rows, **options: int) -> Any:
    """Broken on purpose: intervals of 80 % that are called 95 %."""
    return pairing(values, baseline_values, confidence=0.8)


def apart(values: Rows, baseline_values: Rows, **options: int) -> Any:
    """Broken on purpose: the two runs of a pair are drawn apart."""
    return across_data_sets(values, np.roll(baseline_values, 1, axis=1), **options)


BROKEN: list[tuple[str, Callable[..., Any]]] = [
    ("McNemar, 0.4 against 0.15 diverge, found", not_joined),
    ("outcomes, interval holds the difference", swapped),
    ("log-rank in pairs, three times the pace, 20", unpaired),
    ("restricted mean, difference held, 20", no_misses),
    ("correlation held, gaussian, 10", narrow),
    ("variance ratio held, gaussian, 10", narrow),
    ("five data sets, difference held, 10", apart),
]
