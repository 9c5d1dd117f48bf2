"""Evidence that grows pair by pair: bets on the signs of paired differences, valid whenever one looks."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from normlab.stats.differences import ROUNDING, require_finite, require_level

EFFECTS: tuple[float, ...] = tuple(2.0 ** (power / 2) for power in range(-3, 4))
"""Means, in standard deviations of the differences, that the bets prepare for: 0.35 to 2.83, equally weighted.

Smaller ones would speed up decisions that take more than 150 pairs, and delay the others.
"""


def log_evidence(differences: ArrayLike, center: ArrayLike = 0.0) -> NDArray[np.float64]:
    """Return the logarithm of the evidence, after every pair, that the mean difference lies above `center`.

    With z_i = d_i - center, S_i = the sum of squares of d_1 ... d_i around their mean, and theta each of `EFFECTS`,

        x_i = theta z_i sqrt(i) / sqrt(S_(i-1) + z_i^2),
        evidence_n = mean over theta of the product over i <= n of (1 + tanh x_i).

    The evidence for a mean below `center` is that of -differences and -center.

    Why it is valid: if the mean is `center` and every difference is symmetric around it, independent of the earlier
    ones, then the sign of z_i is a fair coin once its size and the past are known. Size and past fix |x_i|, so every
    factor has mean 1 and the products are what a gambler owns who bets on fair coins. By Ville's inequality they ever
    reach 1 / alpha with chance alpha at most: at any number of pairs, for any sizes (heavy tails, ties, zeros), and
    whatever rule decides when to stop. An arm against itself gives such differences, whatever its distribution.

    S_(i-1) / i stands for the variance; z_i in the root bounds a bet while that is unknown or when an outlier comes.
    S does not depend on `center`, so the evidence falls as `center` rises.

    Source: symmetry as a game of coins, Vovk and Wang 2024, arXiv:2208.08925, and
    Ramdas, Ruf, Larsson and Koolen 2020, arXiv:2009.03167. For Gaussian differences with mean theta standard
    deviations, 1 + tanh(theta z) is the best bet (Kelly's). Ville 1939, Étude critique de la notion de collectif.

    Args:
        differences: Shape (..., n), n >= 0, in the order in which the pairs came; that order must not depend on them.
        center: The mean in question; broadcasts against the leading axes.

    Returns:
        The broadcast shape (..., n).

    Raises:
        ValueError: If there is no axis, or a difference is not finite.
    """
    rows = np.asarray(differences, dtype=np.float64)
    if rows.ndim == 0:
        raise ValueError("differences must have an axis of pairs, got a single number.")
    require_finite(rows, "differences")
    bets = _standardized(rows, np.asarray(center, dtype=np.float64)[..., None])
    return _log_mean([_log_wealth(effect * bets) for effect in EFFECTS])


def largest_log_evidence(num_pairs: int) -> NDArray[np.float64]:
    """Return the most that `log_evidence` can be after 1 ... `num_pairs` pairs, shape (num_pairs,).

    It is reached by a center infinitely far away: x_i = theta sqrt(i).
    """
    roots = np.sqrt(np.arange(1.0, num_pairs + 1.0))
    return _log_mean([_log_wealth(effect * roots) for effect in EFFECTS])


def fewest_pairs(alpha: float) -> int:
    """Return the number of pairs before which no two-sided decision at level `alpha` can come: 6 for 0.05.

    Raises:
        ValueError: If alpha is not inside (0, 1).
    """
    # Every pair less than doubles the evidence; the slowest bet's first factor is 1 + tanh 0.35 = 1.34.
    threshold = log_threshold(alpha)
    reach = largest_log_evidence(math.ceil(threshold / math.log(1.3)) + 10)
    return int(np.argmax(reach >= threshold)) + 1


def log_threshold(alpha: float) -> float:
    """Return log(2 / alpha): the evidence on one side that decides at the two-sided level `alpha`.

    Raises:
        ValueError: If alpha is not inside (0, 1).
    """
    require_level(alpha, "alpha")
    return math.log(2.0 / alpha)


def _standardized(rows: NDArray[np.float64], center: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return x / theta: every difference from the center in units of the spread so far, itself included."""
    # One unit for all keeps the squares of very small and very large numbers away from underflow and overflow.
    unit = np.maximum(np.max(np.abs(rows), axis=-1, keepdims=True, initial=0.0), np.abs(center))
    unit = np.where(unit > 0.0, unit, 1.0)
    rows, center = rows / unit, center / unit
    index = np.arange(1.0, rows.shape[-1] + 1.0)
    means = np.cumsum(rows, axis=-1) / index
    steps = (rows[..., 1:] - means[..., :-1]) ** 2 * (1.0 - 1.0 / index[1:])
    before = np.zeros_like(rows)
    before[..., 2:] = np.cumsum(steps, axis=-1)[..., :-1]
    distances = rows - center
    # A difference that equals the center up to rounding bets nothing: its sign is noise.
    tied = np.abs(distances) <= ROUNDING * np.maximum(np.abs(rows), np.abs(center))
    scale = np.sqrt((before + distances**2) / index)
    standardized: NDArray[np.float64] = np.where(tied, 0.0, distances / np.where(tied, 1.0, scale))
    return standardized


def _log_wealth(bets: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums of log(1 + tanh bet), written so that it stays finite where tanh rounds to -1."""
    return np.cumsum(math.log(2.0) - np.log1p(np.exp(np.minimum(-2.0 * bets, 700.0))), axis=-1)


def _log_mean(logs: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    peak = np.maximum.reduce(logs)
    total = sum((np.exp(one - peak) for one in logs), start=np.zeros_like(peak))
    mean: NDArray[np.float64] = peak + np.log(total / len(logs))
    return mean
