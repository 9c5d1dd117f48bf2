"""Verdicts on paired comparisons: better, worse, equivalent or undecided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from normlab.stats.differences import require_level
from normlab.stats.effect import Effect, paired_effect, paired_effects
from normlab.stats.multiplicity import benjamini_hochberg, holm
from normlab.stats.power import MOST_PAIRS, pairs_to_decide
from normlab.stats.sign_flip import smallest_p_value

__all__ = ["Correction", "Effect", "Judged", "Verdict", "judge", "paired_effect", "paired_effects"]

Verdict = Literal["better", "worse", "equivalent", "undecided"]
Correction = Literal["none", "holm", "benjamini-hochberg"]


@dataclass(frozen=True)
class Judged:
    """An effect with its verdict.

    Attributes:
        effect: What was judged.
        verdict: The state.
        p_adjusted: The sign-flip p-value after correction; None where the effect has none.
        reason: One sentence, with the numbers that decided.
        pairs_needed: If undecided, the estimated total number of pairs that would decide; None if it can't be said.
        p_equivalence_adjusted: The equivalence p-value after correction; None where the effect has none.
        outlook: If undecided, how many pairs would decide, as a clause without the effect's own numbers; it says so too
            where pairs as few as these never can. Else empty.
    """

    effect: Effect
    verdict: Verdict
    p_adjusted: float | None
    reason: str
    pairs_needed: int | None
    p_equivalence_adjusted: float | None = None
    outlook: str = ""


def judge(effects: Sequence[Effect], *, correction: Correction = "none", alpha: float = 0.05) -> list[Judged]:
    """Return the verdict on every effect; together they are one family of questions.

    The sign-flip p-values are corrected as one family, the equivalence p-values as another; an effect without a
    p-value still counts in its family, as 1. Then, in this order:

    - *equivalent*: the corrected equivalence p-value is at most alpha. This also holds for a real difference that is
      smaller than the margin; the reason then says both.
    - *better*, *worse*: the interval excludes 0 and the corrected sign-flip p-value is at most alpha.
    - *undecided* otherwise, with the number of pairs for a power of 80 % at alpha / (size of the family), the most
      that a correction can ask.

    Raises:
        ValueError: If the correction is unknown, alpha is not inside (0, 1) or an effect was made for another alpha.
    """
    require_level(alpha, "alpha")
    for effect in effects:
        if effect.alpha != alpha:
            raise ValueError(f"alpha must be the one the effects were made for, got {alpha!r} and {effect.alpha!r}.")
    p_values = [effect.p_value for effect in effects]
    p_adjusted = _corrected(p_values, correction)
    q_adjusted = _corrected([effect.p_equivalence for effect in effects], correction)
    judged = []
    for index, (effect, p, q) in enumerate(zip(effects, p_adjusted, q_adjusted, strict=True)):
        verdict = _verdict(effect, p, q, alpha)
        if verdict == "undecided":
            level = alpha if correction == "none" else alpha / len(effects)
            needed = _pairs_needed(effect, level)
            never, ahead = _unreachable(p_values, index, effect.pairs, correction, alpha), _outlook(effect, needed)
            reason = f"{never or _inconclusive(effect, p, q)}; {ahead}."
            judged.append(Judged(effect, verdict, p, reason, needed, q, f"{never}; {ahead}" if never else ahead))
        else:
            judged.append(Judged(effect, verdict, p, _decided(effect, verdict, p, q, alpha), None, q))
    return judged


def _verdict(effect: Effect, p: float | None, q: float | None, alpha: float) -> Verdict:
    if q is not None and q <= alpha:
        return "equivalent"
    if not _differs(effect, p, alpha):
        return "undecided"
    return "better" if (effect.difference > 0) == effect.higher_is_better else "worse"


def _differs(effect: Effect, p: float | None, alpha: float) -> bool:
    return p is not None and p <= alpha and (effect.ci_low > 0 or effect.ci_high < 0)


def _corrected(p_values: Sequence[float | None], correction: Correction) -> list[float | None]:
    counted = np.array([1.0 if p is None else p for p in p_values])
    if correction == "holm":
        counted = holm(counted)
    elif correction == "benjamini-hochberg":
        counted = benjamini_hochberg(counted)
    elif correction != "none":
        raise ValueError(f"correction must be none, holm or benjamini-hochberg, got {correction!r}.")
    return [None if p is None else float(adjusted) for p, adjusted in zip(p_values, counted, strict=True)]


def _pairs_needed(effect: Effect, level: float) -> int | None:
    """More pairs than there are: those at hand did not decide, whatever the estimate says."""
    if effect.deviation is None or effect.choices > 1:
        return None
    estimate = pairs_to_decide(effect.difference, effect.deviation, effect.margin, alpha=level)
    return None if estimate is None else max(estimate, effect.pairs + 1)


def _decided(effect: Effect, verdict: Verdict, p: float | None, q: float | None, alpha: float) -> str:
    if verdict != "equivalent":
        sides = "above" if effect.difference > 0 else "below"
        return f"{_numbers(effect)} lies {sides} 0 with its whole interval (sign-flip p {p:.3g})."
    inside = f"inside the margin {effect.margin:.3g} stated beforehand (equivalence p {q:.3g})"
    if _differs(effect, p, alpha):
        return f"{_numbers(effect)} is there (sign-flip p {p:.3g}) but lies {inside}."
    return f"{_numbers(effect)} lies {inside}."


def _unreachable(
    p_values: Sequence[float | None], index: int, num_pairs: int, correction: Correction, alpha: float
) -> str | None:
    """Say so if this number of pairs can never show a difference, even with every sign the same."""
    if num_pairs == 1:
        return "One pair shows no spread, so it can decide nothing"
    smallest = smallest_p_value(num_pairs)
    if smallest > alpha:
        return (
            f"{num_pairs} pairs can never reach p <= {alpha:g} in a two-sided sign-flip test (at best {smallest:.3g}), "
            "and they do not show equivalence either"
        )
    best = _corrected([*p_values[:index], smallest, *p_values[index + 1 :]], correction)[index]
    if best is not None and best > alpha:
        return (
            f"{num_pairs} pairs can never reach p <= {alpha:g} among these {len(p_values)} comparisons (at best "
            f"{smallest:.3g}, corrected {best:.3g}), and they do not show equivalence either"
        )
    return None


def _inconclusive(effect: Effect, p: float | None, q: float | None) -> str:
    tests = " and ".join(
        f"{name} p {number:.3g}" for name, number in (("sign-flip", p), ("equivalence", q)) if number is not None
    )
    return f"{_numbers(effect)} is neither told from 0 nor shown to lie inside the margin {effect.margin:.3g} ({tests})"


def _outlook(effect: Effect, needed: int | None) -> str:
    if effect.choices > 1:
        return "a clearer choice may decide, which takes more tuning seeds"
    if needed is not None:
        return f"about {needed} pairs in all would decide"
    if effect.deviation is None:
        return "how many would cannot be estimated"
    return f"more than {MOST_PAIRS} pairs would be needed"


def _numbers(effect: Effect) -> str:
    """The difference with its evidence, as the subject of a sentence."""
    interval = f"{100 * (1 - effect.alpha):g} % interval {effect.ci_low:.3g} to {effect.ci_high:.3g}"
    choices = f", worst of {effect.choices} choices" if effect.choices > 1 else ""
    return f"The difference {effect.difference:.3g} ({interval}, {effect.pairs} pairs{choices})"
