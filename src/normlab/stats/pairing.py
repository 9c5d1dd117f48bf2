"""Whether pairing pays: how far the arms of a pair move together, and the variance that this saves."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from normlab.stats.differences import ROUNDING, checked_pair, require_level


@dataclass(frozen=True)
class Pairing:
    """What pairing does to one comparison.

    Attributes:
        correlation: Pearson's r between the arms' paired values; None if an arm has no spread.
        correlation_low: Lower bound; -1 below four pairs or without a correlation.
        correlation_high: Upper bound; 1 below four pairs or without a correlation.
        variance_ratio: Variance of the paired difference / that of two unpaired runs: below 1, pairing pays. An
            unpaired study needs 1 / variance_ratio times as many runs. None if neither arm has a spread.
        ratio_low: Lower bound; 0 where there is no ratio.
        ratio_high: Upper bound; 2 where there is no ratio.
        pairs: Number of pairs.
    """

    correlation: float | None
    correlation_low: float
    correlation_high: float
    variance_ratio: float | None
    ratio_low: float
    ratio_high: float
    pairs: int


def pairing(values: ArrayLike, baseline_values: ArrayLike, *, confidence: float = 0.95) -> Pairing:
    """Return what pairing does; entry i of both arrays, shape (n,), n >= 3, is pair i.

    With a and b the paired values, u = a - b and v = a + b,

        variance_ratio = Var(a - b) / (Var(a) + Var(b)) = 2 w / (1 + w), w = Var(u) / Var(v),

    which is 1 - r where both arms have the same variance. Bounds of w are w (k -+ sqrt(k^2 - 1)), with
    k = 1 + 2 (1 - r_uv^2) t^2 / (n - 2), r_uv the correlation of u and v, t Student's quantile with n - 2 degrees;
    bounds of r are tanh(atanh(r) -+ z / sqrt(n - 3)). Both are made for Gaussian pairs, the first is exact there;
    heavy tails make both too short.

    Source: w, Pitman 1939 and Morgan 1939, Biometrika 31, 9-19; r, Fisher 1921, Metron 1, 3-32.

    Raises:
        ValueError: If the shapes differ, there are fewer than three pairs, a value is not finite, or `confidence` is
            not inside (0, 1).
    """
    arm, baseline = checked_pair(values, baseline_values)
    require_level(confidence, "confidence")
    if arm.size < 3:
        raise ValueError(f"values must have at least three pairs to show how they vary together, got {arm.size}.")
    r, low, high = _correlation(arm, baseline, confidence)
    return Pairing(r, low, high, *_variance_ratio(arm, baseline, confidence), arm.size)


def _correlation(
    arm: NDArray[np.float64], baseline: NDArray[np.float64], confidence: float
) -> tuple[float | None, float, float]:
    from scipy.special import ndtri

    if _is_flat(arm) or _is_flat(baseline):
        return None, -1.0, 1.0
    r = float(np.clip(np.corrcoef(arm, baseline)[0, 1], -1.0, 1.0))
    if arm.size < 4:
        return r, -1.0, 1.0
    if 1.0 - abs(r) <= ROUNDING:
        return r, r, r
    reach = float(ndtri((1 + confidence) / 2)) / math.sqrt(arm.size - 3)
    return r, math.tanh(math.atanh(r) - reach), math.tanh(math.atanh(r) + reach)


def _variance_ratio(
    arm: NDArray[np.float64], baseline: NDArray[np.float64], confidence: float
) -> tuple[float | None, float, float]:
    from scipy.special import stdtrit

    if _is_flat(arm) and _is_flat(baseline):
        return None, 0.0, 2.0
    difference, total = arm - baseline, arm + baseline
    u, v = np.var(difference, ddof=1), np.var(total, ddof=1)
    if min(u, v) <= ROUNDING**2 * max(u, v):  # the arms move as one, or against each other, exactly
        ratio = float(2 * u / (u + v))
        return ratio, ratio, ratio
    r_uv = float(np.corrcoef(difference, total)[0, 1])
    t = float(stdtrit(arm.size - 2, (1 + confidence) / 2))
    k = 1 + 2 * max(0.0, 1 - r_uv**2) * t**2 / (arm.size - 2)
    root = math.sqrt(k**2 - 1)
    # The lower factor is 1 / (k + root), which does not cancel.
    ratio, low, high = (float(2 * w / (1 + w)) for w in (u / v, u / v / (k + root), u / v * (k + root)))
    return ratio, low, high


def _is_flat(values: NDArray[np.float64]) -> bool:
    return bool(np.ptp(values) <= ROUNDING * np.max(np.abs(values)))
