"""The log-rank test of times that may never come, for independent and for paired runs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from normlab.stats.censored import restrict
from normlab.stats.differences import checked_pair
from normlab.stats.sign_flip import sign_flip_p_value


@dataclass(frozen=True)
class LogRank:
    """Whether two arms reach the target at the same pace.

    Attributes:
        observed: Runs of the arm that reached the target up to the horizon.
        expected: How many would have, had both arms one pace; fewer than observed: the arm is faster.
        paired_p_value: Exact over exchanges within pairs; the one for paired runs.
        p_value: Of the usual log-rank test, which takes the arms' runs as independent: with pairs that move together it
            is too large.
        pairs: Number of pairs.
    """

    observed: int
    expected: float
    paired_p_value: float
    p_value: float
    pairs: int


def log_rank(times: ArrayLike, baseline_times: ArrayLike, horizon: float, *, seed: int = 0) -> LogRank:
    """Return the log-rank tests of min(time, horizon); entry i of both, shape (n,), is pair i, inf a miss.

    A run that reached the target at t <= horizon scores 1 - H(t), one that missed -H(horizon), with
    H(t) = sum over the times s <= t at which runs reached it of (how many did) / (how many were still on the way), over
    both arms. The arm's scores add up to observed - expected. Then

    - `paired_p_value`: the sign-flip test (`sign_flip`) of the differences of scores within pairs. Exact if the arms of
      a pair may be exchanged when they do not differ, whatever the pairs share. This many pairs must be able to reach
      the level at all: `smallest_p_value`.
    - `p_value`: (observed - expected)^2 / its variance under independence, against chi-squared; for many runs.

    Both find hazards in a constant proportion best, and crossing ones hardly. A log-rank test stratified by pairs
    would only count which run of each pair was first, so it is not offered. Both are 1 where no run reached the target,
    or all did at one time.

    Source: Mantel 1966, Cancer Chemotherapy Reports 50, 163-170; scores, Peto and Peto 1972, J. Royal Statistical
    Society A 135, 185-207; in pairs, O'Brien and Fleming 1987, Biometrics 43, 169-180. scipy.stats.logrank.

    Args:
        times: Of the arm.
        baseline_times: Of the arm that it is compared with.
        horizon: Up to which all runs were watched.
        seed: Of the random signs above 20 pairs.

    Raises:
        ValueError: If the shapes differ, there is no pair, a time is negative or NaN, or the horizon is not positive
            and finite.
    """
    from scipy import stats

    arm, baseline = checked_pair(restrict(times, horizon), restrict(baseline_times, horizon))
    late = np.asarray(times, dtype=np.float64) > horizon
    baseline_late = np.asarray(baseline_times, dtype=np.float64) > horizon
    both, both_late = np.concatenate([arm, baseline]), np.concatenate([late, baseline_late])
    observed = int(np.sum(~late))
    if both_late.all():
        return LogRank(0, 0.0, 1.0, 1.0, arm.size)
    scores = _scores(both, both_late)
    first, second = scores[: arm.size], scores[arm.size :]
    independent = 1.0
    if (
        both_late.any() or np.ptp(both) > 0
    ):  # if all came at one time, there is nothing to compare, and scipy divides by 0
        given = [stats.CensoredData.right_censored(*one) for one in ((arm, late), (baseline, baseline_late))]
        independent = float(stats.logrank(*given).pvalue)
    return LogRank(
        observed=observed,
        expected=observed - float(first.sum()),
        paired_p_value=sign_flip_p_value(first - second, seed=seed),
        p_value=independent,
        pairs=arm.size,
    )


def _scores(times: NDArray[np.float64], late: NDArray[np.bool_]) -> NDArray[np.float64]:
    """1 - H(t) for a run that reached the target, -H(t) for a miss; they add up to 0."""
    moments, index = np.unique(times, return_inverse=True)
    came = np.bincount(index, weights=~late, minlength=moments.size)
    left = np.bincount(index, minlength=moments.size)
    waiting = np.cumsum(left[::-1])[::-1]
    hazard = np.cumsum(came / waiting)
    scores: NDArray[np.float64] = ~late - hazard[index]
    return scores
