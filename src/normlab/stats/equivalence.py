"""Equivalence of two arms: two one-sided paired t tests (TOST) against a margin stated beforehand."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from normlab.stats.differences import all_equal, checked_vector, require_margin


def tost_p_value(differences: ArrayLike, margin: float) -> float:
    """Return the larger p-value of the tests of mean <= -margin and of mean >= margin.

    With m the mean of the n differences and s its standard error, the larger of P(T > (m + margin) / s) and
    P(T < (m - margin) / s), T of Student's distribution with n - 1 degrees of freedom. Differences that are all
    equal have s = 0, which two pairs can have by chance: the result is then that of a sign test, 2^-n, if they lie
    strictly inside the margin, else 1. A margin of 0 cannot be met.

    The t tests hold their level for near-normal and for heavy-tailed symmetric differences. Skewed ones exceed it on
    one side: exponential differences (skewness 2) at a margin of three deviations are called equivalent in 11 to 15 %
    of studies of 6 to 20 pairs at a level of 5 %. So do few pairs of few possible values, such as three accuracies
    on a small test set, which may be equal by chance.

    Source: Schuirmann 1987, J. Pharmacokinetics and Biopharmaceutics 15, 657-680.

    Args:
        differences: Shape (n,), n >= 2.
        margin: Half-width of the region of equivalence, in the unit of the differences.

    Raises:
        ValueError: If there are fewer than two differences, one is not finite, or the margin is negative.
    """
    from scipy.special import stdtr

    vector = checked_vector(differences, "differences")
    require_margin(margin)
    if vector.size < 2:
        raise ValueError("differences must have at least two pairs for a test of equivalence, got 1.")
    mean = float(vector.mean())
    if all_equal(vector):
        return 0.5**vector.size if abs(mean) < margin else 1.0
    error = float(np.std(vector, ddof=1)) / math.sqrt(vector.size)
    return float(stdtr(vector.size - 1, (abs(mean) - margin) / error))
