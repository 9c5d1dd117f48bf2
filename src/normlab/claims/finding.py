"""What came out of a claim: an effect with its interval, and a verdict that can go either way."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from normlab.stats.effect import Effect
from normlab.stats.verdict import Judged, judge

Verdict = Literal["supported", "refuted", "conditional", "undecided", "not applicable"]
Scale = Literal["difference", "ratio"]


@dataclass(frozen=True)
class Finding:
    """The verdict on one claim.

    Attributes:
        verdict: `supported`, `refuted`, `conditional` (see `conditions`), `undecided` or `not applicable`.
        effect: Of the primary metric, in its unit; None where nothing was measured.
        ci_low: Lower bound of the effect's 95 % interval; None where it has none (an exact claim, or fewer than six
            pairs).
        ci_high: Upper bound.
        pairs: Independent pairs behind the interval; 0 for an exact claim.
        answer: What was found, in one sentence with its numbers.
        conditions: On what the verdict depends; empty unless it is conditional.
        would_change: What would change the verdict, in one sentence.
        p_value: Of the test that decided, before Holm's correction over the claims; None for an exact claim, or one
            that is undecided.
        pair_values: The effect in every pair where they are too few for an interval; else empty.
        details: Further numbers worth keeping: secondary metrics, controls.
    """

    verdict: Verdict
    effect: float | None
    ci_low: float | None
    ci_high: float | None
    pairs: int
    answer: str
    conditions: str = ""
    would_change: str = ""
    p_value: float | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    pair_values: tuple[float, ...] = ()


@dataclass(frozen=True)
class Decision:
    """One paired effect judged as evidence for a claim that says that there is an improvement.

    Attributes:
        verdict: `supported` for a *better* effect; `refuted` for *worse*, and for *equivalent*, since the claimed gain
            is then smaller than the margin; else `undecided`.
        p_value: Of the test that decided; None if undecided.
        reason: One sentence with the numbers that decided.
        outlook: If undecided, how many pairs would decide, as a clause; else empty.
    """

    verdict: Verdict
    p_value: float | None
    reason: str
    outlook: str = ""


def decide(effect: Effect) -> Decision:
    """Return what an effect says about a claimed improvement; alone, before any correction over claims."""
    return decision_of(judge([effect])[0])


def decision_of(judged: Judged, equivalent: Verdict = "refuted") -> Decision:
    """Return what a judged effect says about a claimed improvement.

    Args:
        judged: Alone, or corrected within its claim.
        equivalent: What equivalence says; `supported` where the claim is that nothing is lost.
    """
    verdicts: dict[str, Verdict] = {"better": "supported", "worse": "refuted", "equivalent": equivalent}
    verdict = verdicts.get(judged.verdict, "undecided")
    p_value = judged.p_equivalence_adjusted if judged.verdict == "equivalent" else judged.p_adjusted
    return Decision(verdict, None if verdict == "undecided" else p_value, judged.reason, judged.outlook)


def numbers(effect: Effect, scale: Scale = "difference") -> dict[str, Any]:
    """Return effect, ci_low, ci_high, pairs and pair_values for a `Finding`.

    On the scale `ratio` the effect was made of natural logarithms, and ratios are returned.
    """

    def shown(value: float) -> float | None:
        value = math.exp(value) if scale == "ratio" and math.isfinite(value) else value
        return value if math.isfinite(value) else None

    values = {"effect": effect.difference, "ci_low": effect.ci_low, "ci_high": effect.ci_high}
    pairs = tuple(value for one in effect.pair_differences if (value := shown(one)) is not None)
    return {**{name: shown(value) for name, value in values.items()}, "pairs": effect.pairs, "pair_values": pairs}


def not_applicable(why: str) -> Finding:
    """Return the finding of a claim that says nothing about this data or network."""
    return Finding("not applicable", None, None, None, 0, f"Not applicable: {why}.")
