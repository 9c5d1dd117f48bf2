"""One verdict from several conditions."""

from __future__ import annotations

import numpy as np
import pytest

from normlab.claims.conditions import decide_each, together
from normlab.claims.finding import Decision, Verdict
from normlab.stats.effect import Effect, paired_effect
from normlab.stats.verdict import judge

RNG = np.random.default_rng(0)
NOISE = RNG.normal(size=12)
DIFFERENCES = {
    "supported": 1.0 + 0.1 * NOISE,
    "refuted": -1.0 + 0.1 * NOISE,
    "equivalent": 0.01 * NOISE,
    "undecided": 0.3 + NOISE,
}
CASES = {
    "all support": (["supported", "supported"], "supported", ""),
    "all refute, one as equivalent": (["refuted", "equivalent"], "refuted", ""),
    "one each way": (["supported", "equivalent"], "conditional", "supported at 0; refuted at 1"),
    "one open": (["supported", "undecided"], "undecided", ""),
    "both ways and one open": (
        ["refuted", "supported", "undecided"],
        "conditional",
        "supported at 1; refuted at 0; undecided at 2",
    ),
    "none decided": (["undecided", "undecided"], "undecided", ""),
}


def _effect(kind: str) -> Effect:
    return paired_effect(DIFFERENCES[kind], np.zeros(12), margin=0.5, higher_is_better=True)


@pytest.mark.parametrize("case", CASES)
def test_conditions_are_put_together(case: str) -> None:
    kinds, verdict, conditions = CASES[case]
    found = decide_each({str(index): _effect(kind) for index, kind in enumerate(kinds)})
    assert (found.verdict, found.conditions) == (verdict, conditions)
    assert (found.p_value is None) == (verdict == "undecided")


def test_p_values_are_corrected_within_the_claim() -> None:
    alone = _effect("supported").p_value
    assert alone is not None
    assert decide_each({"a": _effect("supported"), "b": _effect("supported")}).p_value == pytest.approx(2 * alone)


def test_undecided_conditions_say_how_many_pairs_would_decide() -> None:
    """Each with its own number, those that say the same together; a decided one says nothing."""
    found = decide_each({"low": _effect("undecided"), "same": _effect("undecided"), "own": _effect("supported")})
    needed = judge([_effect("undecided")] * 2 + [_effect("supported")], correction="holm")[0].pairs_needed
    assert needed is not None
    assert found.open == f" Undecided at low, same: about {needed} pairs in all would decide."
    few = paired_effect(DIFFERENCES["supported"][:5], np.zeros(5), margin=0.5, higher_is_better=True)
    assert "Undecided at few: 5 pairs can never reach p <= 0.05" in decide_each({"few": few}).open
    assert "about 6 pairs in all would decide." in decide_each({"few": few}).open
    assert decide_each({"all": _effect("supported")}).open == ""


@pytest.mark.parametrize(
    ("decisions", "one_refutes", "verdict", "p_value"),
    [
        ("s.001 s.03", False, "supported", 0.03),  # every condition is claimed
        ("r.001 r.03", False, "refuted", 0.03),
        ("r.001 r.03", True, "refuted", 0.001),  # one is enough
        ("r.001 r.03 u", True, "refuted", 0.001),
        ("r.001 u", False, "undecided", None),
        ("s.001 u", True, "undecided", None),
        # One that supports and one that refutes are enough: further ones, however unsure, take nothing away.
        ("s.001 s.04 r.03 r.05", False, "conditional", 0.03),
        ("s.02 s.04 r.01 r.05 u", True, "conditional", 0.02),
    ],
)
def test_the_p_value_is_that_of_what_the_verdict_says(
    decisions: str, one_refutes: bool, verdict: str, p_value: float | None
) -> None:
    names: dict[str, Verdict] = {"s": "supported", "r": "refuted", "u": "undecided"}
    given = {
        str(index): Decision(names[one[0]], float(one[1:]) if one[1:] else None, "")
        for index, one in enumerate(decisions.split())
    }
    found = together(given, one_refutes=one_refutes)
    assert (found.verdict, found.p_value) == (verdict, p_value)
