"""A confidence sequence: an interval of the mean paired difference after every pair, all of them right at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from normlab.stats.betting import largest_log_evidence, log_evidence, log_threshold
from normlab.stats.differences import all_equal, checked_vector, require_level

_BISECTIONS = 60


@dataclass(frozen=True)
class ConfidenceSequence:
    """Intervals after 1 ... n pairs, each inside the one before.

    Attributes:
        low: Lower bounds, shape (n,); -inf while there are too few pairs.
        high: Upper bounds, shape (n,); inf while there are too few pairs.
        confidence: The chance that every interval holds the mean.
    """

    low: NDArray[np.float64]
    high: NDArray[np.float64]
    confidence: float


def confidence_sequence(differences: ArrayLike, *, confidence: float = 0.95, first_look: int = 1) -> ConfidenceSequence:
    """Return the interval of the mean of `differences`, shape (n,), after every pair.

    The interval after n pairs holds every m against which the evidence (`betting.log_evidence`, for a mean above m and
    for one below) has stayed under 2 / (1 - confidence) up to then:

        low_n = inf {m: max over k <= n of above_k(m) < 2 / (1 - confidence)}, high_n likewise with below_k.

    All intervals hold the mean at once with chance `confidence` at least, so one may look after every pair and stop
    when one likes. This asks that the differences are independent and symmetric around the mean; it asks nothing of
    their tails. Skewed differences break it on one side; docs/statistics.md has the rates.

    An interval may become empty, with chance 1 - confidence at most where the assumption holds; the last one that was
    not is then kept.

    With `first_look` the intervals before that pair are infinite, and evidence that was there only before it does not
    count: fewer pairs rule m out, so the chance stays, and a few equal differences at the start decide nothing.

    Source: as `betting.log_evidence`; confidence sequences, Darling and Robbins 1967, Proc. National Academy of
    Sciences 58, 66-68.

    Raises:
        ValueError: If there is no difference or one that is not finite, `confidence` is not inside (0, 1), or
            `first_look` is below 1.
    """
    vector = checked_vector(differences, "differences")
    require_level(confidence, "confidence")
    require_first_look(first_look)
    ends = np.arange(vector.size)
    threshold = log_threshold(1.0 - confidence)
    low = _lower_bounds(vector, threshold, ends, first_look)
    high = -_lower_bounds(-vector, threshold, ends, first_look)
    if low[-1] > high[-1]:
        last = int(np.argmax(low > high)) - 1
        low[last + 1 :], high[last + 1 :] = low[last], high[last]
    return ConfidenceSequence(low, high, confidence)


def interval_so_far(differences: ArrayLike, *, confidence: float = 0.95, first_look: int = 1) -> tuple[float, float]:
    """Return the last interval of `confidence_sequence`, without the others: a lot sooner. Raises as it does."""
    vector = checked_vector(differences, "differences")
    require_level(confidence, "confidence")
    require_first_look(first_look)
    end = np.array([vector.size - 1])
    threshold = log_threshold(1.0 - confidence)
    low, negated = (float(_lower_bounds(signed, threshold, end, first_look)[0]) for signed in (vector, -vector))
    high = -negated
    if low > high:
        sequence = confidence_sequence(vector, confidence=confidence, first_look=first_look)
        return float(sequence.low[-1]), float(sequence.high[-1])
    return low, high


def require_first_look(first_look: int) -> None:
    """Raise `ValueError` unless there is at least one pair before the first look."""
    if first_look < 1:
        raise ValueError(f"first_look must be at least 1, got {first_look!r}.")


def _lower_bounds(
    vector: NDArray[np.float64], threshold: float, ends: NDArray[np.int64], first_look: int
) -> NDArray[np.float64]:
    """Return the largest m that the pairs up to each of `ends`, counted from 0, rule out as too low; -inf for none."""
    bounds = np.full(ends.size, -np.inf)
    # The slack keeps the search for a lower end, whose evidence only tends to the largest, from going on for ever.
    possible = (largest_log_evidence(vector.size)[ends] >= threshold + 1e-9) & (ends + 1 >= first_look)
    if not possible.any():
        return bounds
    ends = ends[possible]
    # No difference lies above the largest, so nothing speaks for a mean above that.
    outside, inside = np.minimum.accumulate(vector)[ends], np.maximum.accumulate(vector)[ends]
    flat = np.array([bool(all_equal(vector[: end + 1])) for end in ends])
    outside, inside = (np.where(flat, vector[0], bound) for bound in (outside, inside))  # all below them is ruled out
    step = inside - outside
    while np.any(allowed := ~flat & (_most_evidence(vector, outside, ends, first_look) < threshold)):
        inside, outside = np.where(allowed, outside, inside), np.where(allowed, outside - step, outside)
        step = np.where(allowed, 2.0 * step, step)
    for _ in range(_BISECTIONS):
        middle = outside + (inside - outside) / 2
        ruled_out = _most_evidence(vector, middle, ends, first_look) >= threshold
        outside, inside = np.where(ruled_out, middle, outside), np.where(ruled_out, inside, middle)
    bounds[possible] = outside
    return bounds


def _most_evidence(
    vector: NDArray[np.float64], centers: NDArray[np.float64], ends: NDArray[np.int64], first_look: int
) -> NDArray[np.float64]:
    """Logarithm of the most evidence from the first look to pair `ends[i]`, for a mean above `centers[i]`."""
    evidence = log_evidence(vector, centers)
    evidence[..., : first_look - 1] = -np.inf
    most = np.maximum.accumulate(evidence, axis=-1)
    found: NDArray[np.float64] = most[np.arange(ends.size), ends]
    return found
