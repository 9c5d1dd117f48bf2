"""Bootstrap intervals of mean paired differences and of ratios of paired means: bias-corrected, accelerated (BCa)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from normlab.stats.differences import (
    ROUNDING,
    all_equal,
    checked_pair,
    checked_rows,
    checked_vector,
    require_level,
)

FEWEST_PAIRS = 6
"""From fewer pairs no interval is given: those called 95 % held the truth in 50 to 84 % of studies of 2 to 5 pairs.

Six are also the fewest with which a sign-flip test can reach p <= 0.05.
"""

NO_INTERVAL = f"none below {FEWEST_PAIRS} pairs"

_ROWS_AT_ONCE = 256
_DRAWS_AT_ONCE = 1 << 20


@dataclass(frozen=True)
class Interval:
    """An interval and how it was made.

    `low` and `high` are infinite below `FEWEST_PAIRS`: a writer of JSON, which knows no infinity, must store null.
    """

    low: float
    high: float
    method: str


def paired_bootstrap(
    differences: ArrayLike, *, confidence: float = 0.95, num_resamples: int = 9999, seed: int = 0
) -> Interval:
    """Return the BCa bootstrap interval of the mean of `differences`, shape (n,).

    With z0 the normal quantile of the share of resampled means below the observed mean (ties count half) and
    a = sum(c^3) / (6 sum(c^2)^1.5), c the centred differences, the bounds are the resampled means' quantiles at
    Phi(z0 + (z0 + z) / (1 - a (z0 + z))), z = the normal quantiles of (1 -+ confidence) / 2.
    Source: Efron and Tibshirani 1993, An Introduction to the Bootstrap, section 14.3.

    With few pairs the interval is too short. Share of 95 % intervals that held the true mean, 20,000 simulated
    studies each (standard error below 0.003):

    | pairs | Gaussian | Student t, 3 degrees | centred exponential |
    |---|---|---|---|
    | 6 | 0.859 | 0.831 | 0.831 |
    | 10 | 0.906 | 0.863 | 0.874 |
    | 20 | 0.927 | 0.888 | 0.915 |
    | 30 | 0.937 | 0.899 | 0.928 |

    Therefore a verdict also asks the exact sign-flip test, and below six pairs, where the share falls to 0.50, 0.72,
    0.80 and 0.84 for 2 to 5 Gaussian pairs, the interval is infinite.

    Raises:
        ValueError: If there is no difference or one that is not finite, `confidence` is not inside (0, 1), or
            `num_resamples` is not positive.
    """
    vector = checked_vector(differences, "differences")
    return paired_bootstraps(vector[None, :], confidence=confidence, num_resamples=num_resamples, seed=seed)[0]


def paired_bootstraps(
    differences: ArrayLike, *, confidence: float = 0.95, num_resamples: int = 9999, seed: int = 0
) -> list[Interval]:
    """Return `paired_bootstrap` of every row of `differences`, shape (studies, n), with the same resamples.

    A row's interval is that of the row alone, up to rounding. Raises as `paired_bootstrap`.
    """
    rows = checked_rows(differences, "differences")
    _require_resampling(confidence, num_resamples)
    if rows.shape[1] < FEWEST_PAIRS:
        return [Interval(-np.inf, np.inf, NO_INTERVAL) for _ in rows]
    intervals: list[Interval] = []
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        intervals += _intervals(rows[start : start + _ROWS_AT_ONCE], confidence, num_resamples, seed)
    return intervals


def paired_ratio_bootstrap(
    values: ArrayLike,
    baseline_values: ArrayLike,
    *,
    confidence: float = 0.95,
    num_resamples: int = 9999,
    seed: int = 0,
) -> Interval:
    """Return the BCa bootstrap interval of mean(values) / mean(baseline_values); entry i of both, (n,), is pair i.

    As `paired_bootstrap`, with resampled ratios of pairs drawn together, and the acceleration from the n ratios l_i
    that leave one pair out: a = sum(c^3) / (6 sum(c^2)^1.5), c_i = mean(l) - l_i.

    Raises:
        ValueError: If the shapes differ, there is no pair, a value is not finite, a baseline value is not positive,
            `confidence` is not inside (0, 1), or `num_resamples` is not positive.
    """
    pair = np.stack(checked_pair(values, baseline_values))
    _require_resampling(confidence, num_resamples)
    num_pairs = pair.shape[1]
    if np.any(pair[1] <= 0.0):
        raise ValueError(f"baseline_values must be positive for a ratio, got {float(np.min(pair[1]))!r}.")
    if num_pairs < FEWEST_PAIRS:
        return Interval(-np.inf, np.inf, NO_INTERVAL)
    ratio = float(pair[0].mean() / pair[1].mean())
    left_out = (pair.sum(axis=1, keepdims=True) - pair) / (num_pairs - 1)
    influence = left_out[0] / left_out[1]
    influence = influence.mean() - influence
    resampled = _resampled_means(pair, num_resamples, seed)
    flat = np.max(np.abs(pair[0] - ratio * pair[1])) <= ROUNDING * np.max(np.abs(pair[0]))
    return _bca(
        (resampled[0] / resampled[1] - ratio)[None, :],
        influence[None, :],
        np.array([ratio]),
        np.array([bool(flat)]),
        confidence,
        "degenerate: all ratios equal",
    )[0]


def _require_resampling(confidence: float, num_resamples: int) -> None:
    require_level(confidence, "confidence")
    if num_resamples < 1:
        raise ValueError(f"num_resamples must be at least 1, got {num_resamples!r}.")


def _intervals(rows: NDArray[np.float64], confidence: float, num_resamples: int, seed: int) -> list[Interval]:
    means = rows.mean(axis=1)
    centred = rows - means[:, None]
    resampled = _resampled_means(centred, num_resamples, seed)
    return _bca(resampled, centred, means, all_equal(rows), confidence, "degenerate: all differences equal")


def _bca(
    resampled: NDArray[np.float64],
    influence: NDArray[np.float64],
    observed: NDArray[np.float64],
    degenerate: NDArray[np.bool_],
    confidence: float,
    degenerate_method: str,
) -> list[Interval]:
    """Intervals from resampled - observed, (studies, resamples), the pairs' influence, (studies, n), and observed."""
    from scipy.special import ndtr, ndtri

    resampled = np.sort(resampled, axis=1)
    num_resamples = resampled.shape[1]
    tie = ROUNDING * np.max(np.abs(influence), axis=1)[:, None]
    num_below = np.count_nonzero(resampled < -tie, axis=1) + np.count_nonzero(resampled <= tie, axis=1)
    bias = ndtri(num_below / (2 * num_resamples))[:, None]
    squares = np.where(degenerate, 1.0, np.sum(influence**2, axis=1))
    acceleration = (np.sum(influence**3, axis=1) / (6 * squares**1.5))[:, None]

    tail = (1 - confidence) / 2
    plain = np.array([tail, 1 - tail])
    defined = np.isfinite(bias[:, 0])
    shifted = np.where(defined[:, None], bias, 0.0) + ndtri(plain)
    shrink = 1 - acceleration * shifted
    defined &= np.all(shrink > 0, axis=1)
    shrink = np.where(defined[:, None], shrink, 1.0)
    levels = np.where(defined[:, None], ndtr(np.where(defined[:, None], bias, 0.0) + shifted / shrink), plain)
    bounds = _quantiles(resampled, levels) + observed[:, None]
    intervals = []
    for (low, high), value, has_bca, is_flat in zip(bounds, observed, defined, degenerate, strict=True):
        if is_flat:
            intervals.append(Interval(float(value), float(value), degenerate_method))
        else:
            method = "BCa" if has_bca else "percentile (BCa is undefined here)"
            intervals.append(Interval(float(low), float(high), method))
    return intervals


def _resampled_means(rows: NDArray[np.float64], num_resamples: int, seed: int) -> NDArray[np.float64]:
    """Means of the resamples, shape (studies, num_resamples): a product with how often each pair was drawn."""
    generator = np.random.default_rng(seed)
    num_rows, num_pairs = rows.shape
    means = np.empty((num_rows, num_resamples))
    block = max(1, _DRAWS_AT_ONCE // num_pairs)
    for start in range(0, num_resamples, block):
        size = min(block, num_resamples - start)
        drawn = generator.integers(0, num_pairs, (size, num_pairs))
        cells = (drawn + num_pairs * np.arange(size)[:, None]).ravel()
        counts = np.bincount(cells, minlength=size * num_pairs).reshape(size, num_pairs)
        means[:, start : start + size] = rows @ (counts.T / num_pairs)
    return means


def _quantiles(ordered: NDArray[np.float64], levels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Quantiles of each row of `ordered`, interpolated linearly, at that row's `levels`, shape (studies, 2)."""
    position = levels * (ordered.shape[1] - 1)
    lower = np.floor(position).astype(np.int64)
    upper = np.minimum(lower + 1, ordered.shape[1] - 1)
    below = np.take_along_axis(ordered, lower, axis=1)
    above = np.take_along_axis(ordered, upper, axis=1)
    interpolated: NDArray[np.float64] = below + (position - lower) * (above - below)
    return interpolated
