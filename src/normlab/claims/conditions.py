"""A claim measured under several conditions: each judged within one correction, then put together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from normlab.claims.finding import Decision, Verdict
from normlab.stats.effect import Effect
from normlab.stats.verdict import judge


@dataclass(frozen=True)
class Together:
    """What several conditions say of one claim.

    Attributes:
        verdict: `supported` or `refuted` if all conditions say so; `conditional` if some support and some refute it;
            else `undecided`.
        p_value: The largest of those that decided, after Holm's correction within the claim: as strong as the weakest
            link. None if undecided.
        conditions: What holds where, as a sentence; empty unless conditional.
        by_condition: Each condition's own decision.
    """

    verdict: Verdict
    p_value: float | None
    conditions: str
    by_condition: Mapping[str, Decision]


def decide_each(effects: Mapping[str, Effect]) -> Together:
    """Return the verdict on a claimed improvement from its effect under every condition, by name; Holm's correction.

    Under a condition, *better* supports, *worse* and *equivalent* refute, as in `finding.decide`.
    """
    verdicts: dict[str, Verdict] = {"better": "supported", "worse": "refuted", "equivalent": "refuted"}
    decisions = {}
    for name, judged in zip(effects, judge(list(effects.values()), correction="holm"), strict=True):
        verdict = verdicts.get(judged.verdict, "undecided")
        p_value = judged.p_equivalence_adjusted if judged.verdict == "equivalent" else judged.p_adjusted
        decisions[name] = Decision(verdict, None if verdict == "undecided" else p_value, judged.reason)
    return together(decisions)


def together(decisions: Mapping[str, Decision]) -> Together:
    """Return one verdict from every condition's; p-values are those after correction within the claim."""
    found = {decision.verdict for decision in decisions.values()}
    verdict: Verdict = "undecided"
    conditions = ""
    if len(found) == 1:
        verdict = next(iter(found))
    elif {"supported", "refuted"} <= found:
        verdict = "conditional"
        sides = []
        for side in ("supported", "refuted", "undecided"):
            names = [name for name, decision in decisions.items() if decision.verdict == side]
            if names:
                sides.append(f"{side} at {', '.join(names)}")
        conditions = "; ".join(sides)
    p_values = [decision.p_value for decision in decisions.values() if decision.p_value is not None]
    p_value = max(p_values) if verdict != "undecided" and p_values else None
    return Together(verdict, p_value, conditions, decisions)
