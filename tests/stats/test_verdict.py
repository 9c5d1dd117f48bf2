"""Verdicts: planted cases for every state in both directions, each condition alone, and corrections."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from normlab.stats.power import pairs_to_decide
from normlab.stats.verdict import Effect, judge, paired_effect

BASELINE = np.array([0.90, 0.91, 0.92, 0.905, 0.915, 0.90, 0.912, 0.921, 0.899, 0.904])
SMALL_NOISE = np.array([0.001, -0.001, 0.002, 0.0, -0.002, 0.001, 0.0005, -0.0005, 0.001, -0.002])

CLEAR = Effect(
    value=0.93,
    baseline_value=0.91,
    difference=0.02,
    ci_low=0.01,
    ci_high=0.03,
    pairs=10,
    p_value=0.002,
    p_equivalence=0.9,
    margin=0.005,
    higher_is_better=True,
    interval="BCa",
    correlation=0.8,
    deviation=0.01,
)
MIRRORED = replace(CLEAR, difference=-0.02, ci_low=-0.03, ci_high=-0.01)


@pytest.mark.parametrize(
    ("shift", "margin", "higher_is_better", "verdict"),
    [
        (+0.02, 0.005, True, "better"),
        (-0.02, 0.005, True, "worse"),
        (+0.02, 0.005, False, "worse"),
        (-0.02, 0.005, False, "better"),
        (+0.02, 0.0, True, "better"),
        (0.0, 0.005, True, "equivalent"),
        (0.0, 0.005, False, "equivalent"),
        (+0.004, 0.02, True, "equivalent"),
        (-0.004, 0.02, True, "equivalent"),
        (+0.0003, 0.0, True, "undecided"),
        (-0.0003, 0.0, False, "undecided"),
    ],
)
def test_planted_verdicts(shift: float, margin: float, higher_is_better: bool, verdict: str) -> None:
    effect = paired_effect(BASELINE + shift + SMALL_NOISE, BASELINE, margin=margin, higher_is_better=higher_is_better)
    judged = judge([effect])[0]
    assert judged.verdict == verdict
    assert judged.effect == effect
    assert (judged.pairs_needed is not None) == (verdict == "undecided")


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, "better"),
        ({"higher_is_better": False}, "worse"),
        ({"p_value": 0.05}, "better"),
        ({"p_value": 0.0501}, "undecided"),
        ({"p_value": None}, "undecided"),
        ({"ci_low": 0.0}, "undecided"),
        ({"ci_low": -0.001}, "undecided"),
        ({"p_equivalence": 0.05}, "equivalent"),
        ({"p_equivalence": 0.0501}, "better"),
        ({"p_equivalence": None}, "better"),
        ({"p_value": None, "p_equivalence": 0.01}, "equivalent"),
        ({"p_value": 0.9, "ci_low": -0.01, "p_equivalence": 0.01}, "equivalent"),
    ],
)
def test_each_condition_counts(changes: dict[str, object], verdict: str) -> None:
    assert judge([replace(CLEAR, **changes)])[0].verdict == verdict  # type: ignore[arg-type]


@pytest.mark.parametrize(("higher_is_better", "verdict"), [(True, "worse"), (False, "better")])
def test_the_other_direction(higher_is_better: bool, verdict: str) -> None:
    assert judge([replace(MIRRORED, higher_is_better=higher_is_better)])[0].verdict == verdict
    assert judge([replace(MIRRORED, ci_high=0.001)])[0].verdict == "undecided"


def test_a_real_but_negligible_difference_is_equivalent_and_says_both() -> None:
    effect = paired_effect(BASELINE + 0.004 + SMALL_NOISE, BASELINE, margin=0.02, higher_is_better=True)
    assert effect.p_value is not None
    assert effect.p_value <= 0.05
    assert effect.ci_low > 0
    judged = judge([effect])[0]
    assert judged.verdict == "equivalent"
    assert "is there" in judged.reason
    assert "inside the margin 0.02 stated beforehand" in judged.reason


def test_five_pairs_say_so_instead_of_a_p_value() -> None:
    judged = judge([paired_effect(BASELINE[:5] + 0.1, BASELINE[:5], margin=0.01, higher_is_better=True)])[0]
    assert (judged.verdict, judged.p_adjusted, judged.pairs_needed) == ("undecided", None, 6)
    assert "5 pairs can never reach p <= 0.05" in judged.reason
    assert "0.0625" in judged.reason


def test_identical_arms() -> None:
    with_margin = judge([paired_effect(BASELINE, BASELINE, margin=0.001, higher_is_better=True, resolution=0.0)])[0]
    without = judge([paired_effect(BASELINE, BASELINE, margin=0.0, higher_is_better=True)])[0]
    assert with_margin.verdict == "equivalent"
    assert (without.verdict, without.pairs_needed) == ("undecided", None)
    assert "more than 100000 pairs" in without.reason


def test_one_pair_is_undecided() -> None:
    judged = judge([paired_effect([0.9], [0.9], margin=0.5, higher_is_better=True)])[0]
    assert (judged.verdict, judged.p_adjusted, judged.pairs_needed) == ("undecided", None, None)
    assert judged.reason.startswith("One pair shows no spread")


def test_pairs_needed_are_more_than_there_are_and_grow_with_the_family() -> None:
    undecided = replace(CLEAR, ci_low=-0.001, deviation=0.03)
    alone = judge([undecided])[0].pairs_needed
    assert alone == pairs_to_decide(0.02, 0.03, 0.005)
    family = judge([undecided] * 4, correction="holm")[0].pairs_needed
    assert family == pairs_to_decide(0.02, 0.03, 0.005, alpha=0.05 / 4)
    assert judge([replace(undecided, deviation=0.001)])[0].pairs_needed == 11


def test_corrections_take_each_kind_of_p_value_as_its_own_family() -> None:
    family = [
        replace(CLEAR, p_value=p, p_equivalence=q) for p, q in ((0.02, 0.9), (0.04, 0.02), (0.03, 0.04), (0.9, 0.9))
    ]
    holm = judge(family, correction="holm")
    grid = judge(family, correction="benjamini-hochberg")
    assert [j.p_adjusted for j in holm] == pytest.approx([0.08, 0.09, 0.09, 0.9])
    assert [j.p_equivalence_adjusted for j in holm] == pytest.approx([1.0, 0.08, 0.12, 1.0])
    assert [j.p_adjusted for j in grid] == pytest.approx([0.16 / 3, 0.16 / 3, 0.16 / 3, 0.9])
    assert [j.verdict for j in judge(family)] == ["better", "equivalent", "equivalent", "undecided"]
    assert [j.verdict for j in holm] == ["undecided"] * 4
    assert [j.verdict for j in judge(family[:1] * 2, correction="holm")] == ["better", "better"]


def test_an_effect_without_a_p_value_still_counts_in_its_family() -> None:
    family = [replace(CLEAR, p_value=0.02), replace(CLEAR, p_value=None)]
    judged = judge(family, correction="holm")
    assert [j.p_adjusted for j in judged] == [pytest.approx(0.04), None]


def test_a_family_too_large_for_the_pairs_is_told() -> None:
    effect = replace(CLEAR, pairs=6, p_value=0.03125)
    other = replace(CLEAR, p_value=0.9)
    judged = judge([effect, other, other, other], correction="holm")[0]
    assert judged.verdict == "undecided"
    assert "6 pairs can never reach p <= 0.05 among these 4 comparisons" in judged.reason
    assert "corrected 0.125" in judged.reason


def test_reasons_are_one_sentence_with_numbers() -> None:
    reasons = [j.reason for j in judge([CLEAR, MIRRORED, replace(CLEAR, p_value=0.3)])]
    numbers = "The difference 0.02 (95 % interval 0.01 to 0.03, 10 pairs)"
    assert reasons[0] == f"{numbers} lies above 0 with its whole interval (sign-flip p 0.002)."
    assert "below 0" in reasons[1]
    assert "sign-flip p 0.3 and equivalence p 0.9" in reasons[2]
    assert "about 11 pairs in all would decide." in reasons[2]


def test_nothing_to_judge() -> None:
    assert judge([], correction="holm") == []


def test_misuse() -> None:
    with pytest.raises(ValueError, match="made for"):
        judge([CLEAR], alpha=0.1)
    with pytest.raises(ValueError, match="correction must be"):
        judge([CLEAR], correction="bonferroni")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="alpha must lie"):
        judge([CLEAR], alpha=1.0)


@pytest.mark.parametrize("clock", [0.0, 0.021])
def test_a_difference_that_measuring_may_make_is_none(clock: float) -> None:
    noise = np.linspace(-0.001, 0.001, 10)
    effect = paired_effect(0.92 + noise, np.full(10, 0.9), margin=0.001, higher_is_better=True, clock=clock)
    judged = judge([effect])[0]
    assert judged.verdict == ("undecided" if clock else "better")
    assert judged.decidable  # more pairs, or a larger difference, would tell
    assert (effect.p_value == 1.0) == bool(clock)


def test_an_interval_that_holds_what_the_clock_may_make_decides_nothing() -> None:
    effect = paired_effect(np.linspace(0.9, 0.95, 10), np.full(10, 0.8), margin=0.01, higher_is_better=True, clock=0.05)
    assert judge([effect])[0].verdict == "better"
    assert judge([replace(effect, ci_low=0.04)])[0].verdict == "undecided"


def test_corrected_p_values_are_called_so() -> None:
    effect = paired_effect(np.linspace(0.9, 0.95, 10), np.linspace(0.8, 0.84, 10), margin=0.01, higher_is_better=True)
    alone, among = judge([effect])[0], judge([effect, effect], correction="holm")[0]
    assert "(sign-flip p 0.00195)" in alone.reason
    assert "(corrected sign-flip p 0.00391)" in among.reason


def test_below_six_pairs_a_reason_shows_them_instead_of_an_interval() -> None:
    effect = paired_effect([0.91, 0.93, 0.92], [0.9, 0.9, 0.9], margin=0.001, higher_is_better=True)
    judged = judge([effect])[0]
    assert "interval" not in judged.reason
    assert effect.pair_differences == pytest.approx((0.01, 0.03, 0.02))
    assert not judged.decidable
