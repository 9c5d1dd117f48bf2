"""The effect of an arm against its baseline: difference, interval and p-values before any correction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from normlab.stats.bootstrap import Interval, paired_bootstraps
from normlab.stats.differences import checked_rows, checked_vector, require_level, require_margin
from normlab.stats.equivalence import tost_p_value
from normlab.stats.sign_flip import sign_flip_p_value, smallest_p_value


@dataclass(frozen=True)
class Effect:
    """One paired comparison, before any correction.

    With one pair the interval is (-inf, inf): a writer of JSON, which knows no infinity, must store null.

    Attributes:
        value: Mean of the arm.
        baseline_value: Mean of the arm that it is compared with.
        difference: Mean of value - baseline over the pairs.
        ci_low: Lower bound of the difference's interval, confidence 1 - alpha, uncorrected.
        ci_high: Upper bound.
        pairs: Number of pairs.
        p_value: Of the two-sided sign-flip test; None where this number of pairs can never reach alpha.
        p_equivalence: Of the two one-sided t tests against the margin; None with one pair.
        margin: Differences smaller than this were declared negligible beforehand.
        higher_is_better: Whether a positive difference is an improvement.
        interval: How the interval was made.
        correlation: Pearson's, between the arms' paired values: near 1, pairing pays; None below three pairs or for
            an arm without spread.
        deviation: Standard deviation of the differences (n - 1); None with one pair.
        alpha: The level that the interval and `p_value` were made for.
        choices: Under how many choices it was judged; above 1, interval and p-values are the worst over them, see
            `normlab.stats.choices`.
    """

    value: float
    baseline_value: float
    difference: float
    ci_low: float
    ci_high: float
    pairs: int
    p_value: float | None
    p_equivalence: float | None
    margin: float
    higher_is_better: bool
    interval: str
    correlation: float | None = None
    deviation: float | None = None
    alpha: float = 0.05
    choices: int = 1


def paired_effect(
    values: ArrayLike,
    baseline_values: ArrayLike,
    *,
    margin: float,
    higher_is_better: bool,
    alpha: float = 0.05,
    num_resamples: int = 9999,
    seed: int = 0,
) -> Effect:
    """Return the effect of an arm against its baseline; entry i of both, shape (n,), is pair i.

    Raises:
        ValueError: If the shapes differ, there is no pair, a value is not finite, the margin is negative or alpha
            is not inside (0, 1), or the number of resamples is not positive.
    """
    arm, baseline = checked_vector(values, "values"), checked_vector(baseline_values, "baseline_values")
    return paired_effects(
        arm[None, :],
        baseline[None, :],
        margin=margin,
        higher_is_better=higher_is_better,
        alpha=alpha,
        num_resamples=num_resamples,
        seed=seed,
    )[0]


def paired_effects(
    values: ArrayLike,
    baseline_values: ArrayLike,
    *,
    margin: float,
    higher_is_better: bool,
    alpha: float = 0.05,
    num_resamples: int = 9999,
    seed: int = 0,
) -> list[Effect]:
    """Return `paired_effect` of every row of both arrays, shape (comparisons, n), in one bootstrap.

    Raises as `paired_effect`.
    """
    arms, baselines = checked_rows(values, "values"), checked_rows(baseline_values, "baseline_values")
    if arms.shape != baselines.shape:
        raise ValueError(f"values and baseline_values must pair up, got shapes {arms.shape} and {baselines.shape}.")
    require_margin(margin)
    require_level(alpha, "alpha")
    intervals = paired_bootstraps(arms - baselines, confidence=1 - alpha, num_resamples=num_resamples, seed=seed)
    return [
        _effect(arm, baseline, interval, margin, higher_is_better, alpha, seed)
        for arm, baseline, interval in zip(arms, baselines, intervals, strict=True)
    ]


def _effect(
    arm: NDArray[np.float64],
    baseline: NDArray[np.float64],
    interval: Interval,
    margin: float,
    higher_is_better: bool,
    alpha: float,
    seed: int,
) -> Effect:
    differences = arm - baseline
    reachable = smallest_p_value(arm.size) <= alpha
    return Effect(
        value=float(arm.mean()),
        baseline_value=float(baseline.mean()),
        difference=float(differences.mean()),
        ci_low=interval.low,
        ci_high=interval.high,
        pairs=arm.size,
        p_value=sign_flip_p_value(differences, seed=seed) if reachable else None,
        p_equivalence=tost_p_value(differences, margin) if arm.size > 1 else None,
        margin=float(margin),
        higher_is_better=higher_is_better,
        interval=interval.method,
        correlation=_correlation(arm, baseline),
        deviation=float(np.std(differences, ddof=1)) if arm.size > 1 else None,
        alpha=alpha,
    )


def _correlation(arm: NDArray[np.float64], baseline: NDArray[np.float64]) -> float | None:
    if arm.size < 3 or np.ptp(arm) == 0.0 or np.ptp(baseline) == 0.0:
        return None
    return float(np.corrcoef(arm, baseline)[0, 1])
