"""A claim measured under several conditions: each judged within one correction, then put together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from normlab.claims.finding import Decision, Verdict, decision_of
from normlab.stats.effect import Effect
from normlab.stats.verdict import judge

ALPHA = 0.05


@dataclass(frozen=True)
class Together:
    """What several conditions say of one claim.

    Attributes:
        verdict: `supported` or `refuted` if all conditions say so; `conditional` if some support and some refute it;
            else `undecided`.
        p_value: Of what the verdict says, from p-values after Holm's correction within the claim. That every condition
            says so is as sure as the least sure one. That at least one supports and at least one refutes
            (`conditional`) needs one of each: the less sure of the two sides, each as sure as its surest condition.
            None if undecided.
        conditions: What holds where, as a sentence; empty unless conditional.
        by_condition: Each condition's own decision.
        open: How many pairs would decide each condition that is undecided, as a sentence after a blank, to append to an
            answer; empty where all are decided.
    """

    verdict: Verdict
    p_value: float | None
    conditions: str
    by_condition: Mapping[str, Decision]
    open: str = ""


def decide_each(effects: Mapping[str, Effect]) -> Together:
    """Return the verdict on a claimed improvement from its effect under every condition, by name; Holm's correction.

    Under a condition, *better* supports, *worse* and *equivalent* refute, as in `finding.decide`.
    """
    judged = judge(list(effects.values()), correction="holm")
    return together({name: decision_of(one) for name, one in zip(effects, judged, strict=True)})


def together(decisions: Mapping[str, Decision], *, one_refutes: bool = False) -> Together:
    """Return one verdict from every condition's.

    Args:
        decisions: By condition, with p-values after correction within the claim.
        one_refutes: Whether one condition that refutes the claim is enough where none supports it, as of a claim about
            every condition; else an undecided one leaves the claim undecided.
    """
    found = {decision.verdict for decision in decisions.values()}
    verdict: Verdict = "undecided"
    conditions = ""
    if len(found) == 1:
        verdict = next(iter(found))
    elif one_refutes and "refuted" in found and "supported" not in found:
        verdict = "refuted"
    elif {"supported", "refuted"} <= found:
        verdict = "conditional"
        sides = []
        for side in ("supported", "refuted", "undecided"):
            names = [name for name, decision in decisions.items() if decision.verdict == side]
            if names:
                sides.append(f"{side} at {', '.join(names)}")
        conditions = "; ".join(sides)
    p_value = _p_value(verdict, decisions, one_refutes)
    return Together(verdict, p_value, conditions, decisions, _open(decisions))


def all_needed(decisions: Mapping[str, Decision]) -> Together:
    """Return the verdict on a claim that holds only if it does under every condition, and fails if it fails under one.

    Args:
        decisions: By condition. No correction is needed for *supported*: all tests must reject at the level. Of the
            conditions that refute it the surest counts, its p-value times the number of conditions (Bonferroni).
    """
    refuting = [one.p_value for one in decisions.values() if one.verdict == "refuted" and one.p_value is not None]
    if refuting and min(refuting) * len(decisions) <= ALPHA:
        return Together("refuted", min(refuting) * len(decisions), "", decisions)
    if all(decision.verdict == "supported" for decision in decisions.values()):
        supporting = [one.p_value for one in decisions.values() if one.p_value is not None]
        return Together("supported", max(supporting), "", decisions)
    return Together("undecided", None, "", decisions, _open(decisions))


def _p_value(verdict: Verdict, decisions: Mapping[str, Decision], one_refutes: bool) -> float | None:
    """Return the p-value of what a verdict says, see `Together`; None if it is undecided."""
    sides: dict[Verdict, list[float]] = {"supported": [], "refuted": []}
    for decision in decisions.values():
        if decision.p_value is not None:
            sides[decision.verdict].append(decision.p_value)
    if verdict == "undecided":
        return None
    if verdict == "conditional":
        return max(min(p_values) for p_values in sides.values())
    return min(sides[verdict]) if verdict == "refuted" and one_refutes else max(sides[verdict])


def _open(decisions: Mapping[str, Decision]) -> str:
    """Return what would decide the undecided conditions; those with the same outlook are named together."""
    names: dict[str, list[str]] = {}
    for name, decision in decisions.items():
        if decision.verdict == "undecided":
            names.setdefault(decision.outlook, []).append(name)
    parts = [f"at {', '.join(where)}: {outlook}" for outlook, where in names.items()]
    return f" Undecided {'; '.join(parts)}." if parts else ""
