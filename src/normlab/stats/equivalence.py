"""Equivalence of two arms: paired t tests against a margin stated beforehand, and a bet for differences of few values.

A mean over a few test samples takes few values. Then most pairs may be equal by chance, a spread of none is no sign of
precision, and what the t test takes for a small mean may be a rare difference that no pair has shown yet.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from normlab.stats.differences import ROUNDING, all_equal, checked_vector, require_margin

RARE_STEPS = 4
"""Differences of up to so many steps of their resolution may be rare without being taken for none.

Four test samples; five exceed a level of 0.05 by less than 0.01, by the bet's own slack. More would cost power: with
ten, ten equal pairs could not show equivalence at a margin of 0.005 on 360 test samples, (1 - 0.005 x 360 / 10)^10
being 0.14. Rarer and larger differences, such as one run in fifty that
collapses, cannot be ruled out by a few dozen pairs, whatever the test.
"""

STAKES: tuple[float, ...] = (1.0, 0.75, 0.5, 0.25)
"""Shares of its wealth that the bet puts on every pair, equally weighted: all of it is best where pairs are equal."""

# Values nearer than this share of their range are the same value: accuracies in float32 differ by their last digit.
_SAME = 1e-3


def tost_p_value(differences: ArrayLike, margin: float, *, resolution: float | None = None) -> float:
    """Return the p-value of the hypothesis that the mean difference lies at the margin or outside.

    It is the largest of three. With m the mean of the n differences and s its standard error:

    - the one-sided t test nearer to its margin, P(T < (abs(m) - margin) / s), with n - 1 degrees of freedom;
    - 2^-n where the differences are all equal, so s = 0, and lie inside the margin; 1 where they do not;
    - 1 / evidence against rare differences, see `rare_evidence`; it matters from a resolution of
      margin / `RARE_STEPS` on.

    The t tests hold their level for near-normal and for heavy-tailed symmetric differences. Skewed ones exceed it on
    one side: exponential differences (skewness 2) at a margin of three deviations are called equivalent in 11 to 15 %
    of studies of 6 to 20 pairs at a level of 5 %. The bet holds it for any distribution on a grid whose differences lie
    within `RARE_STEPS` steps. A margin of 0 cannot be met.

    Source: Schuirmann 1987, J. Pharmacokinetics and Biopharmaceutics 15, 657-680.

    Args:
        differences: Shape (n,), n >= 2.
        margin: Half-width of the region of equivalence, in the unit of the differences.
        resolution: What all differences are multiples of, such as 1 / (number of test samples); 0 for continuous ones.
            Default: `resolution_of` the differences and 0.

    Raises:
        ValueError: If there are fewer than two differences, one is not finite, or the margin or the resolution is
            negative.
    """
    from scipy.special import stdtr

    vector = checked_vector(differences, "differences")
    require_margin(margin)
    if vector.size < 2:
        raise ValueError("differences must have at least two pairs for a test of equivalence, got 1.")
    most = float(rare_evidence(vector, margin, resolution)[-1])
    rare = min(1.0, math.exp(-most)) if most < math.inf else 0.0
    mean = float(vector.mean())
    if all_equal(vector):
        return max(0.5**vector.size, rare) if abs(mean) < margin else 1.0
    error = float(np.std(vector, ddof=1)) / math.sqrt(vector.size)
    return max(float(stdtr(vector.size - 1, (abs(mean) - margin) / error)), rare)


def rare_evidence(differences: ArrayLike, margin: float, resolution: float | None = None) -> NDArray[np.float64]:
    """Return the logarithm of the evidence, after every pair, that rare differences do not bring the mean to a margin.

    With B = `RARE_STEPS` x resolution and y_i = max(B - d_i, 0) / (B - margin), on the side of the upper margin

        evidence_n = mean over `STAKES` s of the product over i <= n of (1 - s + s y_i),

    on that of the lower one the same of -d; the smaller of both is returned. n differences of 0 give almost
    (1 - margin / B)^-n / 4: what the chance of no difference in n pairs is, if those there are have the size B.

    Why it is valid: if d <= B and its mean is the margin or more, the mean of y is at most 1, so the products are a
    gambler's wealth in a fair or unfair game, which ever reaches 1 / alpha with chance alpha at most (Ville 1939), at
    any number of pairs. Nothing else is assumed of the distribution. If B < margin, no such difference can have its
    mean there, and the evidence is infinite.

    Source: bets on a bounded mean, Waudby-Smith and Ramdas 2024, J. Royal Statistical Society B 86, 1-27.

    Args:
        differences: Shape (..., n).
        margin: Half-width of the region of equivalence.
        resolution: As of `tost_p_value`. Where it is unknown, for all differences are 0, the evidence is 1.

    Returns:
        The shape of `differences`.
    """
    rows = np.asarray(differences, dtype=np.float64)
    if resolution is None:
        if rows.ndim > 1:
            return np.stack([rare_evidence(row, margin) for row in rows]) if len(rows) else np.zeros(rows.shape)
        resolution = resolution_of(rows, 0.0)
        if resolution is None:
            return np.zeros(rows.shape)
    if not resolution >= 0.0:
        raise ValueError(f"resolution must not be negative, got {resolution!r}.")
    bound = RARE_STEPS * resolution
    if bound <= margin * (1 + ROUNDING):
        return np.full(rows.shape, np.inf)
    return np.minimum(_wealth(rows, margin, bound), _wealth(-rows, margin, bound))


def fewest_equal_pairs(margin: float, resolution: float | None, alpha: float) -> int | None:
    """Return how many differences of 0 show equivalence at level alpha, the fewest pairs that can; None for never.

    As `tost_p_value` of them; without a resolution (all values equal) no number is known to.
    """
    if margin == 0.0 or resolution is None:
        return None
    fewest = max(2, math.ceil(-math.log2(alpha)))
    bound = RARE_STEPS * resolution
    if bound <= margin * (1 + ROUNDING):
        return fewest
    # The evidence grows by less than the log of the largest factor, and reaches that but for the bet's weights.
    most = math.ceil(math.log(len(STAKES) / alpha) / -math.log1p(-margin / bound)) + 1
    evidence = rare_evidence(np.zeros(most), margin, resolution)
    return max(fewest, int(np.argmax(evidence >= -math.log(alpha))) + 1)


def resolution_of(*values: ArrayLike) -> float | None:
    """Return the smallest distance between two of all `values`; None if they are all equal.

    Scores that are means over N test samples are multiples of 1 / N, and a few of them mostly show it. The distance is
    never below 1 / N, and of continuous values it is small.
    """
    ordered = np.sort(np.concatenate([np.ravel(np.asarray(part, dtype=np.float64)) for part in values]))
    spread = float(np.ptp(ordered)) if ordered.size else 0.0
    if spread <= ROUNDING * float(np.max(np.abs(ordered), initial=0.0)):
        return None
    gaps = np.diff(ordered)
    return float(np.min(gaps[gaps > _SAME * spread], initial=spread))


def _wealth(rows: NDArray[np.float64], margin: float, bound: float) -> NDArray[np.float64]:
    gains = np.maximum(bound - rows, 0.0) / (bound - margin) - 1.0
    with np.errstate(divide="ignore"):  # all of it may be lost
        logs = [np.cumsum(np.log1p(stake * gains), axis=-1) for stake in STAKES]
    return np.asarray(np.logaddexp.reduce(logs, axis=0) - math.log(len(STAKES)))
