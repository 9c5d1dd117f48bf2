"""A published relation between two arms, judged over paired seeds: the figures of a source that can't be had here."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from normlab.errors import InputError
from normlab.replicate.replication import Checked
from normlab.stats.effect import Effect, paired_effect
from normlab.stats.sign_flip import smallest_p_value
from normlab.stats.verdict import Judged, judge

Kind = Literal["above", "below", "equal", "not above", "not below"]
ALPHA = 0.05


@dataclass(frozen=True)
class Relation:
    """Two arms' values of one quantity by seed, and how the first is said to stand to the second.

    Attributes:
        what: The quantity and the two arms, as in "test accuracy at rate 0.3, batch - none".
        values: Of the first arm, (seeds,); natural logarithms where `is_ratio`.
        baseline: Of the second, (seeds,).
        kind: `above`, `below`: a difference of that sign. `equal`: within the margin, on both sides. `not above`, `not
            below`: by no more than the margin.
        margin: Stated beforehand; not used by `above` and `below`.
        is_ratio: Whether the ratio of the two is shown.
    """

    what: str
    values: np.ndarray
    baseline: np.ndarray
    kind: Kind
    margin: float = 0.0
    is_ratio: bool = False


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
    """Judge all relations as one family, each by a paired effect over the seeds.

    `above` and `below` hold if the sign-flip test, corrected after Holm over the relations that need it, has p <= 0.05
    and the whole 95 % interval lies on that side of zero. `equal` holds if both one-sided tests against the margin do,
    corrected likewise; `not above` if the upper end of the interval lies below the margin, `not below` if the lower end
    lies above minus the margin.
    """
    strict = {index: _effect(one, 0.0) for index, one in enumerate(relations) if one.kind in ("above", "below")}
    equal = {index: _effect(one, one.margin) for index, one in enumerate(relations) if one.kind == "equal"}
    judged = {
        index: verdict
        for family in (strict, equal)
        for index, verdict in zip(family, judge(list(family.values()), correction="holm", alpha=ALPHA), strict=True)
    }
    return [_checked(one, judged.get(index)) for index, one in enumerate(relations)]


def _effect(relation: Relation, margin: float) -> Effect:
    higher_is_better = relation.kind != "below"
    return paired_effect(
        relation.values, relation.baseline, margin=margin, higher_is_better=higher_is_better, alpha=ALPHA
    )


def _checked(relation: Relation, judged: Judged | None) -> Checked:
    effect = judged.effect if judged else _effect(relation, relation.margin)
    zero, margin = _shown(0.0, relation), _shown(relation.margin, relation)
    if judged is not None and relation.kind == "equal":
        agrees, p_value = judged.verdict == "equivalent", judged.p_equivalence_adjusted
        expected, tolerance = (
            f"{zero}, within {_shown(-relation.margin, relation)} ... {margin}",
            "corrected p <= 0.05 (TOST)",
        )
    elif judged is not None:
        agrees, p_value = judged.verdict == "better", judged.p_adjusted
        expected, tolerance = f"{relation.kind} {zero}", "corrected p <= 0.05, whole interval"
    else:
        p_value = None
        is_upper = relation.kind == "not above"
        agrees = effect.ci_high < relation.margin if is_upper else effect.ci_low > -relation.margin
        bound = margin if is_upper else _shown(-relation.margin, relation)
        expected, tolerance = f"{relation.kind} {bound}", "whole interval"
    p_words = "" if p_value is None else f", corrected p {p_value:.2g}"
    ends = f"{_shown(effect.ci_low, relation)} to {_shown(effect.ci_high, relation)}"
    arms = f"{_shown(effect.value, relation, False)} against {_shown(effect.baseline_value, relation, False)}"
    measured = f"{_shown(effect.difference, relation)} ({ends}{p_words}, {effect.pairs} seeds): {arms}"
    return Checked(relation.what, expected, measured, tolerance, bool(agrees))


def _shown(value: float, relation: Relation, signed: bool = True) -> str:
    if relation.is_ratio:
        return f"{math.exp(min(value, 700.0)):.3g}"
    value = round(value, 6)  # accuracies come in float32
    return f"{value:+.3g}" if signed and value else f"{value:.3g}"
