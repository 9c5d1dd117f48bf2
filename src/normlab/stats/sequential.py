"""Verdicts that stay right when one looks after every pair."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from normlab.stats.betting import fewest_pairs, log_evidence, log_threshold
from normlab.stats.confidence_sequence import interval_so_far, require_first_look
from normlab.stats.differences import require_margin
from normlab.stats.equivalence import rare_evidence
from normlab.stats.verdict import Verdict

STATES: tuple[Verdict, ...] = ("undecided", "better", "worse", "equivalent")
"""The numbers of `states_after_each_pair`, as words."""

_UNDECIDED, _BETTER, _WORSE, _EQUIVALENT = range(4)


@dataclass(frozen=True)
class SequentialVerdict:
    """A verdict on the pairs so far.

    The bounds are infinite while there are too few pairs: a writer of JSON, which knows no infinity, must store null.

    Attributes:
        verdict: The state.
        difference: Mean of the differences; 0 without any.
        low: Lower bound of the mean difference, from the confidence sequence of confidence 1 - alpha.
        high: Upper bound.
        pairs: Number of pairs so far.
        decided_after: Number of pairs after which the verdict was no longer undecided; None while it is.
        margin: Differences smaller than this were declared negligible beforehand.
        alpha: The chance of a wrong verdict, over all looks, is this at most.
        reason: One sentence, with the numbers that decided.
    """

    verdict: Verdict
    difference: float
    low: float
    high: float
    pairs: int
    decided_after: int | None
    margin: float
    alpha: float
    reason: str


def sequential_verdict(
    differences: ArrayLike,
    *,
    margin: float,
    alpha: float = 0.05,
    higher_is_better: bool = True,
    first_look: int = 1,
    resolution: float | None = None,
) -> SequentialVerdict:
    """Return the verdict on the differences so far, shape (n,), n >= 0, in the order in which the pairs came.

    With the confidence sequence's interval after n pairs, in this order:

    - *equivalent*: it lies inside (-margin, margin), and the evidence against rare differences (`rare_evidence`) has
      reached 2 / alpha. This also holds for a real difference smaller than the margin.
    - *better*, *worse*: it lies on one side of 0.
    - *undecided* otherwise.

    The chance that a wrong verdict ever comes is at most alpha: *better* or *worse* where the mean is 0, *equivalent*
    where it lies at the margin or beyond, the wrong side of 0. A verdict once reached stays, except that *better* or
    *worse* may become *equivalent* as the interval shrinks. No verdict comes before the pair `first_look`, nor from
    what the pairs before it said alone. `resolution` is that of `equivalence.tost_p_value`. Assumption and source:
    `confidence_sequence`; equivalence of differences of few values does not rest on it.

    Raises:
        ValueError: If there is not exactly one axis, a difference is not finite, the margin is negative, alpha is not
            inside (0, 1) or `first_look` is below 1.
    """
    vector = np.asarray(differences, dtype=np.float64)
    if vector.ndim != 1:
        raise ValueError(f"differences must have one axis, got shape {vector.shape}.")
    states = states_after_each_pair(vector, margin=margin, alpha=alpha, first_look=first_look, resolution=resolution)
    decided = np.flatnonzero(states)
    low, high = -np.inf, np.inf
    if vector.size:
        low, high = interval_so_far(vector, confidence=1.0 - alpha, first_look=first_look)
    state = int(states[-1]) if vector.size else _UNDECIDED
    if state in (_BETTER, _WORSE) and not higher_is_better:
        state = _BETTER + _WORSE - state
    unexplained = SequentialVerdict(
        verdict=STATES[state],
        difference=float(vector.mean()) if vector.size else 0.0,
        low=low,
        high=high,
        pairs=vector.size,
        decided_after=int(decided[0]) + 1 if decided.size else None,
        margin=float(margin),
        alpha=alpha,
        reason="",
    )
    return replace(unexplained, reason=_reason(unexplained, max(fewest_pairs(alpha), first_look)))


def states_after_each_pair(
    differences: ArrayLike,
    *,
    margin: float,
    alpha: float = 0.05,
    first_look: int = 1,
    resolution: float | None = None,
) -> NDArray[np.int64]:
    """Return `sequential_verdict` of every beginning of the last axis of `differences`, shape (..., n).

    As indices of `STATES`, for a metric where higher is better. An interval lies above m exactly where the evidence
    for a mean above m has reached 2 / alpha at the first look or later, so no interval is computed. Raises as
    `sequential_verdict`.
    """
    require_margin(margin)
    require_first_look(first_look)
    threshold = log_threshold(alpha)
    rows = np.asarray(differences, dtype=np.float64)
    above, below = (_pairs_since(log_evidence(signed), threshold, first_look) for signed in (rows, -rows))
    over, under = (_pairs_since(log_evidence(signed, -margin), threshold, first_look) for signed in (rows, -rows))
    # Both above and below 0 only where the interval has become empty: the side reached first stays.
    states = np.where(above > below, _BETTER, np.where(below > above, _WORSE, _UNDECIDED))
    common = _pairs_since(rare_evidence(rows, margin, resolution), threshold, first_look)
    return np.where((over > 0) & (under > 0) & (common > 0) & (margin > 0.0), _EQUIVALENT, states)


def _pairs_since(evidence: NDArray[np.float64], threshold: float, first_look: int) -> NDArray[np.int64]:
    """For how many pairs, the last one included, the evidence has been known to reach the threshold."""
    reached = evidence >= threshold
    reached[..., : first_look - 1] = False
    reached = np.logical_or.accumulate(reached, axis=-1)
    return np.cumsum(reached, axis=-1)


def _reason(judged: SequentialVerdict, fewest: int) -> str:
    if judged.pairs < fewest:
        so_far = "No pair" if judged.pairs == 0 else f"{judged.pairs} pair{'s' if judged.pairs > 1 else ''}"
        return f"{so_far} so far; at this level, no decision can come before {fewest} pairs."
    interval = f"{100 * (1 - judged.alpha):.4g} % interval {judged.low:.3g} to {judged.high:.3g}, right at every look"
    subject = f"The difference {judged.difference:.3g} ({interval}, {judged.pairs} pairs)"
    side = "above" if judged.low > 0.0 else "below"
    inside = f"inside the margin {judged.margin:.3g} stated beforehand"
    if judged.verdict == "undecided" and -judged.margin < judged.low and judged.high < judged.margin:
        return f"{subject} lies {inside}, but differences too rare to show in so few pairs are not ruled out."
    if judged.verdict == "undecided":
        return f"{subject} is neither told from 0 nor shown to lie {inside}."
    if judged.verdict != "equivalent":
        return f"{subject} lies {side} 0 with its whole interval."
    apart = judged.low > 0.0 or judged.high < 0.0
    return f"{subject} is there but lies {inside}." if apart else f"{subject} lies {inside}."
