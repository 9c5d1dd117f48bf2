"""From an effect to what it says about a claimed improvement: every verdict can come out."""

from __future__ import annotations

import math

import numpy as np
import pytest

from normlab.claims.finding import decide, not_applicable, numbers
from normlab.report.claims_page import shown_effect
from normlab.stats.effect import paired_effect

SPREAD = np.array([-0.02, -0.01, 0.0, 0.0, 0.01, 0.02, -0.015, 0.015])


@pytest.mark.parametrize(
    ("gain", "verdict"), [(0.1, "supported"), (-0.1, "refuted"), (0.001, "refuted"), (0.012, "undecided")]
)
def test_better_supports_worse_and_equivalent_refute(gain: float, verdict: str) -> None:
    margin = 0.02 if gain == 0.001 else 0.005
    spread = SPREAD / 10 if gain == 0.001 else SPREAD
    effect = paired_effect(0.5 + gain + spread, np.full(8, 0.5), margin=margin, higher_is_better=True)
    decision = decide(effect)
    assert decision.verdict == verdict
    assert (decision.p_value is None) == (verdict == "undecided")
    if decision.p_value is not None:
        assert decision.p_value <= 0.05


def test_numbers_on_both_scales() -> None:
    logs = np.log([2.0, 2.0, 4.0] * 2)
    effect = paired_effect(logs, np.zeros(6), margin=0.1, higher_is_better=False)
    ratio = numbers(effect, "ratio")
    assert ratio["effect"] == pytest.approx(math.exp(logs.mean()))
    assert ratio["ci_low"] >= 2.0 - 1e-9
    assert ratio["pair_values"] == ()
    assert numbers(effect)["effect"] == pytest.approx(logs.mean())


def test_few_pairs_stand_in_the_place_of_an_interval() -> None:
    few = paired_effect(np.log([2.0, 2.0, 4.0, 1.0, 3.0]), np.zeros(5), margin=0.1, higher_is_better=False)
    shown = numbers(few, "ratio")
    assert (shown["ci_low"], shown["ci_high"], shown["pairs"]) == (None, None, 5)
    assert shown["pair_values"] == pytest.approx((2, 2, 4, 1, 3))
    card = {"effect": 2.2, "ci_low": None, "ci_high": None, "pair_values": [2.0, 2.4]}
    assert shown_effect(card) == "2.2 (pairs: 2, 2.4)"
    assert shown_effect(card | {"ci_low": 2.0, "ci_high": 2.4, "pair_values": []}) == "2.2 [2, 2.4]"


def test_what_does_not_apply_says_why() -> None:
    finding = not_applicable("a table has no rows of pixels")
    assert (finding.verdict, finding.effect, finding.pairs) == ("not applicable", None, 0)
    assert "a table has no rows of pixels" in finding.answer
