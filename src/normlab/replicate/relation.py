"""A published relation between two arms, judged over paired seeds against a range that holds the published figure."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from normlab.errors import InputError
from normlab.replicate.replication import Checked
from normlab.stats.bootstrap import paired_bootstrap
from normlab.stats.equivalence import tost_p_value
from normlab.stats.multiplicity import holm
from normlab.stats.sign_flip import smallest_p_value

ALPHA = 0.05


@dataclass(frozen=True)
class Relation:
    """Two arms' values of one quantity by seed, the published figure, and the range that counts as agreement.

    Attributes:
        what: The quantity and the two arms, as in "test accuracy at rate 0.3, batch - none".
        values: Of the first arm, (seeds,); natural logarithms where `is_ratio`. Or (k, seeds), under each of k choices
            that may be right: the relation must then hold under all of them, see `normlab.stats.choices`.
        baseline: Of the second, likewise.
        published: The source's figure, in words; or what it says where it gives none.
        low: Lower end of the range for the mean of values - baseline; a logarithm where `is_ratio`.
        high: Upper end. Both are stated before the data are seen.
        reason: Why the range is as wide as it is.
        is_ratio: Whether the ratio of the two is shown.
        known: What is known of the cause, where the result is known not to be reproduced.
    """

    what: str
    values: np.ndarray
    baseline: np.ndarray
    published: str
    low: float
    high: float
    reason: str
    is_ratio: bool = False
    known: str = ""


def relative(relation: Relation, scale: np.ndarray) -> Relation:
    """Return the relation of values divided by the mean of `scale`: a difference of 0.5 is a rise by half."""
    mean = max(float(np.mean(scale)), np.finfo(float).tiny)
    return dataclasses.replace(relation, values=relation.values / mean, baseline=relation.baseline / mean)


def check_seeds(seeds: int, num_relations: int) -> None:
    """Refuse a number of seeds that can't show a difference in one of so many relations, corrected after Holm.

    Raises:
        InputError: With too few.
    """
    fewest = next(n for n in range(1, 64) if num_relations * smallest_p_value(n) <= ALPHA)
    if seeds < fewest:
        rule = f"{num_relations} relations, judged together, need at least {fewest} paired seeds"
        raise InputError(rule, seeds, "raise --seeds")


def checked(relations: Sequence[Relation]) -> list[Checked]:
    """Judge all relations as one family.

    A relation agrees if the mean difference is shown to lie inside its range: both one-sided paired tests against the
    ends of the range, corrected after Holm over the relations, have p <= 0.05, and the 95 % interval lies inside.
    """
    adjusted = holm([_outside(one) for one in relations])
    return [_checked(one, float(p)) for one, p in zip(relations, adjusted, strict=True)]


def _differences(relation: Relation) -> np.ndarray:
    """Return the paired differences under each choice, (choices, seeds)."""
    return np.atleast_2d(np.asarray(relation.values, float) - np.asarray(relation.baseline, float))


def _outside(relation: Relation) -> float:
    """Return the p-value of a mean at or beyond an end of the range: the largest over the choices."""
    middle, half = (relation.low + relation.high) / 2, (relation.high - relation.low) / 2
    return max(tost_p_value(differences - middle, half) for differences in _differences(relation))


def _checked(relation: Relation, p_value: float) -> Checked:
    differences = _differences(relation)
    intervals = [paired_bootstrap(each) for each in differences]
    low, high = min(one.low for one in intervals), max(one.high for one in intervals)
    agrees = p_value <= ALPHA and relation.low <= low and high <= relation.high
    ends = f"{_shown(low, relation)} to {_shown(high, relation)}"
    first = [np.atleast_2d(own)[0].mean() for own in (relation.values, relation.baseline)]
    arms = " against ".join(_shown(float(mean), relation, False) for mean in first)
    mean, num_seeds = _shown(float(differences[0].mean()), relation), differences.shape[1]
    measured = f"{mean} ({ends}, corrected p {p_value:.2g}, {num_seeds} seeds): {arms}"
    tolerance = f"{_shown(relation.low, relation)} to {_shown(relation.high, relation)}: {relation.reason}"
    return Checked(relation.what, relation.published, measured, tolerance, bool(agrees), relation.known)


def _shown(value: float, relation: Relation, signed: bool = True) -> str:
    if relation.is_ratio:
        return f"{math.exp(min(value, 700.0)):.3g}"
    value = round(value, 6)  # accuracies come in float32
    return f"{value:+.3g}" if signed and value else f"{value:.3g}"
