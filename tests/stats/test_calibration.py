"""Calibration: error rates, power and coverage over thousands of simulated studies, each inside its binomial band."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.power import TTestPower

from normlab.stats.bootstrap import paired_bootstraps
from normlab.stats.verdict import Correction, Effect, judge, paired_effects
from tests.stats.calibration import NOISE, Rows
from tests.stats.calibration import in_band as _in_band

STUDIES = 1500
RESAMPLES = 499


def in_band(hits: int, rate_low: float, rate_high: float | None = None, trials: int = STUDIES) -> bool:
    return _in_band(hits, rate_low, rate_high, trials=trials)


def judged(effect: Effect) -> str:
    return judge([effect])[0].verdict


def verdicts(values: Rows, baseline: Rows, *, margin: float = 0.0, higher_is_better: bool = True) -> Counter[str]:
    effects = paired_effects(
        values, baseline, margin=margin, higher_is_better=higher_is_better, num_resamples=RESAMPLES
    )
    return Counter(judged(effect) for effect in effects)


@pytest.mark.parametrize("num_pairs", [6, 10, 20])
@pytest.mark.parametrize("noise", NOISE)
def test_an_arm_against_itself(noise: str, num_pairs: int) -> None:
    generator = np.random.default_rng([1, num_pairs])
    common = generator.normal(size=(STUDIES, num_pairs))  # What the arms of a pair share.
    arm, baseline = (common + NOISE[noise](generator, common.shape) for _ in range(2))
    found = verdicts(arm, baseline)
    # The largest level at or below 5 % that 2^n equally likely signs can give; ties only lower it.
    attainable = math.floor(0.05 * 2 ** (num_pairs - 1)) / 2 ** (num_pairs - 1)
    least = 0.0 if noise == "accuracy" else 0.8 * attainable
    assert in_band(found["better"] + found["worse"], least, attainable)
    assert in_band(found["better"], least / 2, attainable / 2)
    assert found["equivalent"] == 0


@pytest.mark.parametrize("num_pairs", [6, 10, 20])
def test_skewed_differences_exceed_the_rate_as_documented(num_pairs: int) -> None:
    # Equal means, different shapes: such arms are not exchangeable, and no exact test of means exists.
    skewed = NOISE["skewed"](np.random.default_rng([2, num_pairs]), (STUDIES, num_pairs))
    found = verdicts(skewed, np.zeros_like(skewed))
    assert in_band(found["better"] + found["worse"], 0.065, 0.095)


@pytest.mark.parametrize(
    ("num_pairs", "effect", "higher_is_better"), [(6, 1.5, True), (10, 1.0, True), (10, 1.0, False), (20, 0.65, True)]
)
def test_an_injected_effect_is_found_at_the_power_of_theory(
    num_pairs: int, effect: float, higher_is_better: bool
) -> None:
    arm = np.random.default_rng([3, num_pairs]).normal(effect, 1.0, (STUDIES, num_pairs))
    found = verdicts(arm, np.zeros_like(arm), higher_is_better=higher_is_better)
    # Six pairs find a difference where all six signs agree.
    theory = stats.norm.cdf(effect) ** 6 if num_pairs == 6 else TTestPower().power(effect, num_pairs, 0.05)
    right, wrong = ("better", "worse") if higher_is_better else ("worse", "better")
    assert in_band(found[right], theory)
    assert found[wrong] <= 2


@pytest.mark.parametrize("side", [1.0, -1.0])
@pytest.mark.parametrize("num_pairs", [4, 20])
@pytest.mark.parametrize("noise", ["gaussian", "heavy-tailed"])
def test_equivalence_at_the_margin_is_rejected(noise: str, num_pairs: int, side: float) -> None:
    shape = (STUDIES, num_pairs)
    differences = side * 3.0 + NOISE[noise](np.random.default_rng([4, num_pairs]), shape)
    found = verdicts(differences, np.zeros(shape), margin=3.0)
    assert in_band(found["equivalent"], 0.05 if noise == "gaussian" else 0.025, 0.05)


@pytest.mark.parametrize(
    ("noise", "side", "low", "high"),
    [
        ("accuracy", 1.0, 0.03, 0.07),
        ("accuracy", -1.0, 0.03, 0.07),
        ("skewed", 1.0, 0.10, 0.16),
        ("skewed", -1.0, 0.005, 0.025),
    ],
)
def test_equivalence_of_skewed_differences_is_as_documented(noise: str, side: float, low: float, high: float) -> None:
    shape = (STUDIES, 10)
    differences = side * 3.0 + NOISE[noise](np.random.default_rng(5), shape)
    assert in_band(verdicts(differences, np.zeros(shape), margin=3.0)["equivalent"], low, high)


COVERAGE = {
    ("gaussian", 10): 0.906,
    ("gaussian", 20): 0.927,
    ("gaussian", 30): 0.937,
    ("heavy-tailed", 10): 0.863,
    ("heavy-tailed", 20): 0.888,
    ("heavy-tailed", 30): 0.899,
    ("skewed", 10): 0.874,
    ("skewed", 20): 0.915,
    ("skewed", 30): 0.928,
}
"""The table in the docstring of `paired_bootstrap`."""


@pytest.mark.parametrize(("noise", "num_pairs"), COVERAGE)
def test_coverage_falls_short_as_documented(noise: str, num_pairs: int) -> None:
    differences = NOISE[noise](np.random.default_rng([6, num_pairs]), (1000, num_pairs))
    covered = sum(
        interval.low <= 0.0 <= interval.high for interval in paired_bootstraps(differences, num_resamples=4999)
    )
    rate = COVERAGE[noise, num_pairs]
    assert in_band(covered, rate - 0.003, rate + 0.003, trials=1000)


@pytest.mark.parametrize(
    ("correction", "low", "high"),
    [("none", 0.15, 1 - 0.95**5), ("holm", 0.03, 0.05), ("benjamini-hochberg", 0.03, 0.05)],
)
@pytest.mark.parametrize("state", ["different", "equivalent"])
def test_the_family_keeps_its_error_rate(state: str, correction: Correction, low: float, high: float) -> None:
    families, size, margin = 400, 5, 3.0
    shift = margin if state == "equivalent" else 0.0
    arm = np.random.default_rng(7).normal(shift, 1.0, (families * size, 12))
    effects = paired_effects(
        arm,
        np.zeros_like(arm),
        margin=margin if state == "equivalent" else 0.0,
        higher_is_better=True,
        num_resamples=RESAMPLES,
    )
    wanted = {"equivalent"} if state == "equivalent" else {"better", "worse"}
    wrong = 0
    for start in range(0, len(effects), size):
        judged = judge(effects[start : start + size], correction=correction)
        wrong += any(one.verdict in wanted for one in judged)
    assert in_band(wrong, low, high, trials=families)


def by_interval_alone(effect: Effect) -> str:
    return "undecided" if effect.ci_low <= 0 <= effect.ci_high else "better" if effect.ci_low > 0 else "worse"


def by_sign_alone(effect: Effect) -> str:
    return "better" if effect.difference > 0 else "worse"


def upside_down(effect: Effect) -> str:
    return {"better": "worse", "worse": "better"}.get(judged(effect), judged(effect))


def by_mean_inside_margin(effect: Effect) -> str:
    return "equivalent" if abs(effect.difference) < effect.margin else judged(effect)


def with_wider_margin(effect: Effect) -> str:
    return "equivalent" if effect.ci_high < 1.1 * effect.margin else judged(effect)


def never(effect: Effect) -> str:
    return "undecided"


@pytest.mark.parametrize(
    ("effect", "margin", "word", "rate_low", "rate_high", "broken"),
    [
        (0.0, 0.0, "better", 0.02, 0.025, [by_interval_alone, by_sign_alone]),
        (1.0, 0.0, "better", 0.8031, 0.8031, [upside_down, never, by_interval_alone]),
        (3.0, 3.0, "equivalent", 0.05, 0.05, [by_mean_inside_margin, with_wider_margin]),
    ],
)
def test_a_broken_verdict_leaves_the_band(
    effect: float, margin: float, word: str, rate_low: float, rate_high: float, broken: list[Callable[[Effect], str]]
) -> None:
    arm = np.random.default_rng(8).normal(effect, 1.0, (STUDIES, 10))
    effects = paired_effects(arm, np.zeros_like(arm), margin=margin, higher_is_better=True, num_resamples=RESAMPLES)
    assert in_band(sum(judged(one) == word for one in effects), rate_low, rate_high)
    for decide in broken:
        assert not in_band(sum(decide(one) == word for one in effects), rate_low, rate_high)
