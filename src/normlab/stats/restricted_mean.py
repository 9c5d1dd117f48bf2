"""Restricted mean times of two arms: their difference and ratio where some runs never reach the target."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from normlab.stats.bootstrap import Interval, paired_bootstrap, paired_ratio_bootstrap
from normlab.stats.censored import restrict
from normlab.stats.differences import checked_pair


@dataclass(frozen=True)
class RestrictedTimes:
    """A paired comparison of times, each counted up to the horizon.

    Where both arms missed in some pairs, equal times mean nothing there: never conclude equivalence from them.

    Attributes:
        mean: Restricted mean time of the arm, in the unit of the times.
        baseline_mean: Of the arm that it is compared with.
        difference: mean - baseline_mean; below 0, the arm is faster.
        difference_interval: Paired bootstrap, BCa.
        ratio: mean / baseline_mean; below 1, the arm is faster.
        ratio_interval: Paired bootstrap, BCa.
        missed: Runs of the arm without the target up to the horizon.
        baseline_missed: Runs of the baseline without it.
        both_missed: Pairs in which neither reached it.
        pairs: Number of pairs.
        horizon: The longest time that counts.
    """

    mean: float
    baseline_mean: float
    difference: float
    difference_interval: Interval
    ratio: float
    ratio_interval: Interval
    missed: int
    baseline_missed: int
    both_missed: int
    pairs: int
    horizon: float


def restricted_times(
    times: ArrayLike,
    baseline_times: ArrayLike,
    horizon: float,
    *,
    confidence: float = 0.95,
    num_resamples: int = 9999,
    seed: int = 0,
) -> RestrictedTimes:
    """Return the comparison of min(time, horizon); entry i of both, shape (n,), is pair i, inf a run that never came.

    mean = (1/n) sum of min(t_i, horizon), the area under the share of runs not there yet. Pairs are drawn together in
    the bootstrap, and nothing is assumed about how the arms' hazards relate. Every run must have been watched up to
    the horizon, or to its target: then censoring is the same for all, and no weights are needed.

    Source: Royston and Parmar 2013, BMC Medical Research Methodology 13, 152 (difference and ratio).

    Raises:
        ValueError: If the shapes differ, there is no pair, a time is negative or NaN or a baseline time 0, the horizon
            is not positive and finite, or as `paired_bootstrap`.
    """
    arm, baseline = checked_pair(restrict(times, horizon), restrict(baseline_times, horizon))
    late = np.asarray(times, dtype=np.float64) > horizon
    baseline_late = np.asarray(baseline_times, dtype=np.float64) > horizon
    return RestrictedTimes(
        mean=float(arm.mean()),
        baseline_mean=float(baseline.mean()),
        difference=float(np.mean(arm - baseline)),
        difference_interval=paired_bootstrap(
            arm - baseline, confidence=confidence, num_resamples=num_resamples, seed=seed
        ),
        ratio=float(arm.mean() / baseline.mean()),
        ratio_interval=paired_ratio_bootstrap(
            arm, baseline, confidence=confidence, num_resamples=num_resamples, seed=seed
        ),
        missed=int(late.sum()),
        baseline_missed=int(baseline_late.sum()),
        both_missed=int(np.sum(late & baseline_late)),
        pairs=arm.size,
        horizon=float(horizon),
    )
