"""The effect of one paired comparison: each number against its own source, and misuse."""

from __future__ import annotations

import math

import numpy as np
import pytest

from normlab.stats.bootstrap import paired_bootstrap
from normlab.stats.effect import paired_effect, paired_effects
from normlab.stats.equivalence import tost_p_value
from normlab.stats.sign_flip import sign_flip_p_value

GENERATOR = np.random.default_rng(2)
BASELINE = GENERATOR.normal(0.9, 0.02, 8)
ARM = BASELINE + GENERATOR.normal(0.01, 0.01, 8)


def test_numbers_come_from_the_paired_differences() -> None:
    effect = paired_effect(ARM, BASELINE, margin=0.005, higher_is_better=True, seed=5)
    differences = ARM - BASELINE
    interval = paired_bootstrap(differences, seed=5)
    assert effect.value == pytest.approx(np.mean(ARM))
    assert effect.baseline_value == pytest.approx(np.mean(BASELINE))
    assert effect.difference == pytest.approx(effect.value - effect.baseline_value)
    assert (effect.ci_low, effect.ci_high, effect.interval) == (interval.low, interval.high, interval.method)
    assert effect.p_value == sign_flip_p_value(differences)
    assert effect.p_equivalence == tost_p_value(differences, 0.005)
    assert effect.correlation == pytest.approx(np.corrcoef(ARM, BASELINE)[0, 1])
    assert effect.deviation == pytest.approx(np.std(differences, ddof=1))
    assert (effect.pairs, effect.margin, effect.higher_is_better, effect.alpha) == (8, 0.005, True, 0.05)


def test_alpha_sets_the_interval() -> None:
    effect = paired_effect(ARM, BASELINE, margin=0.0, higher_is_better=True, alpha=0.2)
    interval = paired_bootstrap(ARM - BASELINE, confidence=0.8)
    assert (effect.ci_low, effect.ci_high) == (interval.low, interval.high)


def test_rows_are_each_their_own_effect() -> None:
    arms, baselines = np.stack([ARM, BASELINE]), np.stack([BASELINE, ARM])
    rows = paired_effects(arms, baselines, margin=0.01, higher_is_better=False)
    alone = paired_effect(BASELINE, ARM, margin=0.01, higher_is_better=False)
    assert rows[1].ci_low == pytest.approx(alone.ci_low, abs=1e-12)
    assert rows[1].p_value == alone.p_value
    assert rows[0].difference == -rows[1].difference


@pytest.mark.parametrize(
    ("num_pairs", "alpha", "has_p"), [(5, 0.05, False), (6, 0.05, True), (6, 0.01, False), (4, 0.2, True)]
)
def test_no_p_value_where_it_could_never_reach_alpha(num_pairs: int, alpha: float, has_p: bool) -> None:
    effect = paired_effect(ARM[:num_pairs], BASELINE[:num_pairs], margin=0.0, higher_is_better=True, alpha=alpha)
    assert (effect.p_value is not None) == has_p


def test_one_pair_has_a_difference_and_nothing_else() -> None:
    effect = paired_effect([0.9], [0.8], margin=0.5, higher_is_better=True)
    assert (effect.ci_low, effect.ci_high, effect.interval) == (-math.inf, math.inf, "none below 6 pairs")
    assert effect.difference == pytest.approx(0.1)
    assert effect.p_value is effect.p_equivalence is effect.correlation is effect.deviation is None


def test_no_correlation_for_an_arm_without_spread() -> None:
    assert paired_effect(ARM, np.full(8, 0.9), margin=0.0, higher_is_better=True).correlation is None
    assert paired_effect(ARM[:2], BASELINE[:2], margin=0.0, higher_is_better=True).correlation is None


@pytest.mark.parametrize(
    ("values", "baseline_values", "options", "message"),
    [
        ([1.0, 2.0], [1.0], {}, "pair up"),
        ([], [], {}, "values must have one axis and at least one number"),
        ([1.0, math.inf], [1.0, 2.0], {}, "values must be finite"),
        ([1.0, 2.0], [math.nan, 2.0], {}, "baseline_values must be finite"),
        ([1.0], [1.0], {"margin": -1.0}, "margin"),
        ([1.0], [1.0], {"alpha": 0.0}, "alpha"),
    ],
)
def test_misuse(values: list[float], baseline_values: list[float], options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        paired_effect(values, baseline_values, higher_is_better=True, **{"margin": 0.1, **options})  # type: ignore[arg-type]
