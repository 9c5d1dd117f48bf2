"""Shapley values: a difference between two settings, shared out among the factors in which they differ."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from normlab.stats.differences import checked_vector

Coalition = frozenset[str]


@dataclass(frozen=True)
class Shares:
    """Each factor's share of the difference, pair by pair.

    Attributes:
        shares: By factor, shape (pairs,). They add up to the value with all factors minus the value with none.
        interactions: By pair of factors, shape (pairs,): how much more the two give together than one by one, averaged
            over the settings of the others.
    """

    shares: dict[str, NDArray[np.float64]]
    interactions: dict[tuple[str, str], NDArray[np.float64]]


def shapley(values: Mapping[Coalition, ArrayLike]) -> Shares:
    """Return shares and interactions of k factors from the values of all 2^k combinations.

    With v(S) the value when the factors in S are switched on and the others are not,

        share_i = sum over S without i of |S|! (k - |S| - 1)! / k! (v(S + i) - v(S))
        interaction_ij = sum over S without i, j of |S|! (k - |S| - 2)! / (k - 1)!
                         (v(S + i + j) - v(S + i) - v(S + j) + v(S))

    Source: Shapley 1953, A value for n-person games; Grabisch and Roubens 1999, International Journal of Game Theory
    28, 547-565, for the interactions.

    Args:
        values: By the set of factors that are on: shape (pairs,), entry i of all of them from the same seed.

    Raises:
        ValueError: If a combination is missing, or shapes differ or a value is not finite.
    """
    factors = sorted(frozenset().union(*values)) if values else []
    wanted = [frozenset(chosen) for size in range(len(factors) + 1) for chosen in itertools.combinations(factors, size)]
    if not factors or set(values) != set(wanted):
        raise ValueError(f"values must hold all {2 ** len(factors)} combinations of {factors}, got {len(values)}.")
    checked = {chosen: checked_vector(value, "values") for chosen, value in values.items()}
    if len({len(value) for value in checked.values()}) > 1:
        raise ValueError("values must have one number per pair in every combination, got different numbers of pairs.")
    shares = {factor: _mean_gain(checked, factors, factor) for factor in factors}
    pairs = list(itertools.combinations(factors, 2))
    return Shares(shares, {pair: _mean_interaction(checked, factors, pair) for pair in pairs})


def _mean_gain(values: Mapping[Coalition, NDArray[np.float64]], factors: list[str], one: str) -> NDArray[np.float64]:
    k = len(factors)
    total = np.zeros_like(next(iter(values.values())))
    for chosen in (chosen for chosen in values if one not in chosen):
        weight = math.factorial(len(chosen)) * math.factorial(k - len(chosen) - 1) / math.factorial(k)
        total += weight * (values[chosen | {one}] - values[chosen])
    return total


def _mean_interaction(
    values: Mapping[Coalition, NDArray[np.float64]], factors: list[str], pair: tuple[str, str]
) -> NDArray[np.float64]:
    k, (one, other) = len(factors), pair
    total = np.zeros_like(next(iter(values.values())))
    for chosen in (chosen for chosen in values if not chosen & {one, other}):
        weight = math.factorial(len(chosen)) * math.factorial(k - len(chosen) - 2) / math.factorial(k - 1)
        both, first, second = values[chosen | {one, other}], values[chosen | {one}], values[chosen | {other}]
        total += weight * (both - first - second + values[chosen])
    return total
