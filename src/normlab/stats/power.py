"""How many pairs a study needs before it can be expected to decide."""

from __future__ import annotations

import math
from collections.abc import Callable

from normlab.stats.sign_flip import smallest_p_value

MOST_PAIRS = 100_000
"""Beyond this number of pairs no estimate is given."""


def difference_power(num_pairs: int, difference: float, deviation: float, *, alpha: float) -> float:
    """Return the chance that a two-sided paired t test finds a true `difference`, in its direction.

    P(T > t), T noncentral with n - 1 degrees and noncentrality |difference| sqrt(n) / deviation. The sign-flip test
    has nearly the same power, except that it has none where 2 / 2^n exceeds alpha.
    """
    if smallest_p_value(num_pairs) > alpha:
        return 0.0
    return 1 - _miss(num_pairs, abs(difference) / deviation, alpha / 2)


def equivalence_power(num_pairs: int, difference: float, deviation: float, margin: float, *, alpha: float) -> float:
    """Return a lower bound of the chance that both one-sided t tests place `difference` inside the margin.

    P(first rejects) + P(second rejects) - 1 from noncentral t distributions; close where the chance is high.
    """
    room = margin - abs(difference)
    if num_pairs < 2 or room <= 0:
        return 0.0
    far = margin + abs(difference)
    return max(0.0, 1 - _miss(num_pairs, room / deviation, alpha) - _miss(num_pairs, far / deviation, alpha))


def pairs_to_decide(
    difference: float,
    deviation: float,
    margin: float,
    *,
    alpha: float = 0.05,
    power: float = 0.8,
    fewest_equivalent: int | None = 2,
) -> int | None:
    """Return the fewest pairs that show the difference or the equivalence with the given power, whichever is first.

    `difference` and `deviation` (the standard deviation of the paired differences) are taken as the true ones, so
    the number is as rough as they are. Equivalence takes at least `fewest_equivalent` pairs, None for never: see
    `equivalence.fewest_equal_pairs`. None if neither is in reach of 100,000 pairs.
    """
    if deviation == 0.0:
        inside = fewest_equivalent if abs(difference) < margin else None
        shown = _fewest(lambda n: float(smallest_p_value(n) <= alpha), power) if difference != 0.0 else None
        return min((number for number in (inside, shown) if number is not None), default=None)
    different = _fewest(lambda n: difference_power(n, difference, deviation, alpha=alpha), power)
    equivalent = _fewest(lambda n: equivalence_power(n, difference, deviation, margin, alpha=alpha), power)
    if equivalent is not None:
        equivalent = None if fewest_equivalent is None else max(equivalent, fewest_equivalent)
    return min((number for number in (different, equivalent) if number is not None), default=None)


def pairs_to_reach(num_pairs: int, p_value: float, *, alpha: float, power: float = 0.8) -> int | None:
    """Return about how many pairs reach a smaller alpha with the given power, from the two-sided p-value of some.

    n ((z(1 - alpha / 2) + z(power)) / z(1 - p / 2))², z the normal quantile: a paired test's statistic grows as the
    square root of its pairs, the effect being taken as it was found. At least as many as a sign-flip test needs. None
    if it is out of reach of 100,000 pairs.
    """
    from scipy.special import ndtri

    reached = -float(ndtri(p_value / 2))
    if reached <= 0.0:
        return None
    needed = num_pairs * ((float(ndtri(power)) - float(ndtri(alpha / 2))) / reached) ** 2
    if needed > MOST_PAIRS:
        return None
    least = next(n for n in range(1, MOST_PAIRS) if smallest_p_value(n) <= alpha)
    return max(math.ceil(needed), least, num_pairs + 1)


def _fewest(power_of: Callable[[int], float], power: float) -> int | None:
    """Bisection over the number of pairs, in which power rises."""
    if power_of(MOST_PAIRS) < power:
        return None
    low, high = 1, MOST_PAIRS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power_of(middle) >= power else (middle, high)
    return high


def _miss(num_pairs: int, standardized: float, alpha: float) -> float:
    """Chance that a one-sided paired t test misses a true mean of `standardized` standard deviations."""
    from scipy.special import nctdtr, stdtrit

    critical = float(stdtrit(num_pairs - 1, 1 - alpha))
    # Further out the chance is below 1e-6, and nctdtr returns NaN for some of the values below 1e-100.
    noncentrality = min(standardized * math.sqrt(num_pairs), 5 * critical + 10)
    missed = float(nctdtr(num_pairs - 1, noncentrality, critical))
    # NaN remains for two pairs at levels below 1e-5, where no test has power.
    return 1.0 if math.isnan(missed) else missed
