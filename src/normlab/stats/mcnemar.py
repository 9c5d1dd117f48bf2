"""McNemar's test of paired outcomes with two values, such as whether a run diverged."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from normlab.stats.differences import require_level


@dataclass(frozen=True)
class PairedOutcomes:
    """How often an outcome came in an arm and in its baseline, pair by pair.

    Attributes:
        share: Of the arm's runs with the outcome.
        baseline_share: Of the baseline's.
        difference: share - baseline_share.
        low: Lower bound of the difference.
        high: Upper bound.
        p_value: Of McNemar's exact two-sided test that both chances are equal.
        only_arm: Pairs in which only the arm had the outcome.
        only_baseline: Pairs in which only the baseline had it.
        both: Pairs in which both had it.
        neither: Pairs in which neither had it.
    """

    share: float
    baseline_share: float
    difference: float
    low: float
    high: float
    p_value: float
    only_arm: int
    only_baseline: int
    both: int
    neither: int


def mcnemar(outcomes: ArrayLike, baseline_outcomes: ArrayLike, *, confidence: float = 0.95) -> PairedOutcomes:
    """Return the comparison of paired outcomes; entry i of both, booleans of shape (n,), is pair i.

    p_value: with b pairs in which only the arm had the outcome and c in which only the baseline had it, the two-sided
    binomial test of b in b + c tosses of a fair coin. Exact for independent pairs; conservative, and 1 if b + c = 0.
    Fewer than six such pairs never reach 0.05.

    Interval: with p = (b + 1) / (n + 2) and q = (c + 1) / (n + 2), p - q -+ z sqrt((p + q - (p - q)^2) / (n + 2)),
    inside [-1, 1].

    Source: McNemar 1947, Psychometrika 12, 153-157; interval, Bonett and Price 2012, J. Educational and Behavioral
    Statistics 37, 479-488.

    Raises:
        ValueError: If the shapes differ or do not have one axis, there is no pair, an outcome is neither true nor
            false, or `confidence` is not inside (0, 1).
    """
    from scipy import stats

    arm, baseline = _outcomes(outcomes, "outcomes"), _outcomes(baseline_outcomes, "baseline_outcomes")
    if arm.shape != baseline.shape:
        raise ValueError(f"outcomes and baseline_outcomes must pair up, got shapes {arm.shape} and {baseline.shape}.")
    require_level(confidence, "confidence")
    b, c = int(np.sum(arm & ~baseline)), int(np.sum(baseline & ~arm))
    p, q = (b + 1) / (arm.size + 2), (c + 1) / (arm.size + 2)
    reach = float(stats.norm.ppf((1 + confidence) / 2)) * math.sqrt((p + q - (p - q) ** 2) / (arm.size + 2))
    return PairedOutcomes(
        share=float(arm.mean()),
        baseline_share=float(baseline.mean()),
        difference=(b - c) / arm.size,
        low=max(-1.0, p - q - reach),
        high=min(1.0, p - q + reach),
        p_value=float(stats.binomtest(b, b + c, 0.5).pvalue) if b + c else 1.0,
        only_arm=b,
        only_baseline=c,
        both=int(np.sum(arm & baseline)),
        neither=int(np.sum(~arm & ~baseline)),
    )


def _outcomes(given: ArrayLike, name: str) -> NDArray[np.bool_]:
    array = np.asarray(given)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"{name} must have one axis and at least one outcome, got shape {array.shape}.")
    if not np.all((array == 0) | (array == 1)):
        raise ValueError(f"{name} must be true or false, got others.")
    return array.astype(np.bool_)
