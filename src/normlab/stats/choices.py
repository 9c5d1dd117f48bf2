"""Choices made once and shared by all pairs: which options chance leaves open, and effects judged under each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from normlab.stats.differences import ROUNDING
from normlab.stats.effect import Effect

# An option that is the best in fewer resamples is ruled out.
LEAST_SHARE = 0.05
NUM_RESAMPLES = 10_000
# In place of a loss that is not finite: larger than any, and still a number when a resample leaves it out.
_WORST = 1e300
Criteria = Sequence[NDArray[np.float64]]


def best_option(criteria: Criteria) -> int:
    """Return the option with the lowest mean of the first criterion; ties go to the next criterion.

    Args:
        criteria: The most important first, each of shape (options, replicates); a value that is not finite is the
            worst. Options that tie in all of them: the first.
    """
    replicates = criteria[0].shape[1]
    return int(_best(criteria, np.full((1, replicates), 1.0 / replicates))[0])


def best_for_each(criteria: Criteria) -> NDArray[np.int64]:
    """Return, for each replicate by itself, the option that is best for it, shape (replicates,); see `best_option`.

    A choice that every pair makes for itself, from the same options in all arms, is no draw that pairs share: arms that
    are equal in distribution stay exchangeable within pairs.
    """
    return _best(criteria, np.eye(criteria[0].shape[1]))


def possible_options(criteria: Criteria, *, seed: int = 0) -> list[int]:
    """Return the options that may be the best: `best_option`, then the others, the likelier first.

    The replicates are resampled, the same ones for all options, and `best_option` is asked anew; an option stays if it
    comes out in at least 5 % of 10,000 resamples. Each resample draws one replicate less than there are, with
    replacement, so that its mean varies as much as the mean of new replicates would: drawing all n would make the
    variance too small by (n - 1) / n. One replicate shows no chance: then the best option stands alone.

    Sources: Efron 2014, J. American Statistical Association 109, 991-1007 (a choice as part of the procedure); Rao and
    Wu 1988, J. American Statistical Association 83, 231-241 (n - 1 draws).

    Args:
        criteria: As for `best_option`.
        seed: Of the resamples.
    """
    best = best_option(criteria)
    options, replicates = criteria[0].shape
    if replicates < 2 or options < 2:
        return [best]
    shares = np.bincount(_best(criteria, _resamples(replicates, seed)), minlength=options) / NUM_RESAMPLES
    likely = sorted(range(options), key=lambda option: -shares[option])
    return [best, *(option for option in likely if shares[option] >= LEAST_SHARE and option != best)]


@lru_cache(maxsize=8)
def _resamples(replicates: int, seed: int) -> NDArray[np.float64]:
    """Return the weight of each replicate in every resample, (resamples, replicates)."""
    drawn = replicates - 1
    counts = np.random.default_rng(seed).multinomial(drawn, np.full(replicates, 1.0 / replicates), NUM_RESAMPLES)
    weights: NDArray[np.float64] = counts / drawn
    return weights


def _best(criteria: Criteria, weights: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the best option under each row of weights, (resamples, replicates)."""
    allowed = np.full((len(weights), len(criteria[0])), True)
    for values in criteria:
        means = weights @ np.where(np.isfinite(values), values, _WORST).T
        means = np.where(allowed, means, np.inf)
        lowest = means.min(axis=1, keepdims=True)
        # Means of equal sums may differ by rounding.
        allowed = means <= lowest + ROUNDING * np.abs(lowest)
    return np.argmax(allowed, axis=1)


def under_every_choice(effects: Sequence[Effect]) -> Effect:
    """Return a comparison's effect whichever of several choices is right: an intersection-union test.

    A choice that is made once and shared by all pairs, such as a learning rate, is itself drawn by chance. If tuning
    does not say which of several rates is best, an arm is better only if it is better under each of them, and
    equivalent only if it is so under each. With effects e_1 ... e_k of the same comparison:

        p_value = max of all p-values, or 1 where the differences do not all have the same sign
        p_equivalence = max of all equivalence p-values
        interval = from the lowest lower bound to the highest upper bound

    Each is valid without a correction for k: if the null hypothesis holds under at least one of the choices, the test
    under that choice alone already rejects at most at its level. `value`, `baseline_value`, `difference`,
    `deviation` and `correlation` are those of the first effect; `choices` is k.

    Source: Berger 1982, Technometrics 24, 295-300.

    Args:
        effects: Under each choice, that under the best one first; of the same margin, level and direction.

    Raises:
        ValueError: If there is no effect, or margin, level or direction differ.
    """
    if not effects:
        raise ValueError("effects must hold at least one, got none.")
    first = effects[0]
    if any((e.alpha, e.higher_is_better) != (first.alpha, first.higher_is_better) for e in effects):
        raise ValueError("effects must be of one comparison: the same level and direction.")
    if len(effects) == 1:
        return first
    same_side = len({np.sign(effect.difference) for effect in effects}) == 1
    p_value = _largest([effect.p_value for effect in effects])
    return replace(
        first,
        ci_low=min(effect.ci_low for effect in effects),
        ci_high=max(effect.ci_high for effect in effects),
        p_value=p_value if same_side or p_value is None else 1.0,
        p_equivalence=_largest([effect.p_equivalence for effect in effects]),
        pairs=min(effect.pairs for effect in effects),
        choices=sum(effect.choices for effect in effects),
    )


def _largest(p_values: Sequence[float | None]) -> float | None:
    known = [p for p in p_values if p is not None]
    return max(known) if len(known) == len(p_values) else None
