"""Power and the number of pairs: against statsmodels, and against simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.power import TTestPower

from normlab.stats.power import MOST_PAIRS, difference_power, equivalence_power, pairs_to_decide, pairs_to_reach


@pytest.mark.parametrize(("num_pairs", "effect"), [(6, 1.2), (10, -0.9), (40, 0.45), (500, 0.1)])
def test_difference_power_is_statsmodels(num_pairs: int, effect: float) -> None:
    expected = TTestPower().power(abs(effect), num_pairs, 0.05)
    assert difference_power(num_pairs, 2 * effect, 2.0, alpha=0.05) == pytest.approx(expected, abs=1e-3)


def test_five_pairs_have_no_power() -> None:
    assert difference_power(5, 100.0, 1.0, alpha=0.05) == 0.0
    assert difference_power(6, 100.0, 1.0, alpha=0.05) == pytest.approx(1.0)


@pytest.mark.parametrize(("num_pairs", "difference"), [(12, 0.0), (20, 0.2), (40, -0.5)])
def test_equivalence_power_is_simulations(num_pairs: int, difference: float) -> None:
    studies = np.random.default_rng(num_pairs).normal(difference, 1.0, (20_000, num_pairs))
    low = stats.ttest_1samp(studies, -0.9, axis=1, alternative="greater").pvalue
    high = stats.ttest_1samp(studies, 0.9, axis=1, alternative="less").pvalue
    simulated = np.mean(np.maximum(low, high) <= 0.05)
    assert equivalence_power(num_pairs, difference, 1.0, 0.9, alpha=0.05) == pytest.approx(simulated, abs=0.015)


@pytest.mark.parametrize(
    ("difference", "deviation", "margin", "expected"),
    [
        (0.0, 0.0, 0.0, None),
        (0.0, 0.0, 0.1, 2),
        (0.3, 0.0, 0.1, 6),
        (0.0, 1.0, 0.0, None),
        (1e-4, 1.0, 0.0, None),
        (100.0, 1.0, 0.0, 6),
    ],
)
def test_edges(difference: float, deviation: float, margin: float, expected: int | None) -> None:
    assert pairs_to_decide(difference, deviation, margin) == expected


@pytest.mark.parametrize("effect", [1.0, 0.5, -0.2, 0.02])
def test_pairs_for_a_difference_are_statsmodels(effect: float) -> None:
    found = pairs_to_decide(effect, 1.0, 0.0)
    expected = TTestPower().solve_power(abs(effect), alpha=0.05, power=0.8)
    assert found == int(np.ceil(expected))


def test_the_sooner_of_difference_and_equivalence_counts() -> None:
    # No difference: equivalence decides, in as many pairs as its own power asks.
    found = pairs_to_decide(0.0, 1.0, 0.5)
    assert found is not None
    assert equivalence_power(found, 0.0, 1.0, 0.5, alpha=0.05) >= 0.8
    assert equivalence_power(found - 1, 0.0, 1.0, 0.5, alpha=0.05) < 0.8
    # A difference at the margin: equivalence never comes, the difference decides as if there were no margin.
    assert pairs_to_decide(0.5, 1.0, 0.5) == pairs_to_decide(0.5, 1.0, 0.0)


def test_a_stricter_level_needs_more_and_the_bound_is_kept() -> None:
    loose, strict = pairs_to_decide(0.5, 1.0, 0.0), pairs_to_decide(0.5, 1.0, 0.0, alpha=0.01)
    assert loose is not None
    assert strict is not None
    assert loose < strict
    near_bound = pairs_to_decide(0.01, 1.0, 0.0)
    assert near_bound is not None
    assert 65_536 < near_bound < MOST_PAIRS


@pytest.mark.parametrize("effect", [0.3, -0.2])
def test_pairs_to_reach_a_stricter_level_are_those_of_the_t_test(effect: float) -> None:
    """A p-value says how large the effect is in deviations, and so how many pairs show it."""
    p_value = 2 * stats.t.sf(abs(effect) * np.sqrt(60), 59)
    expected = pairs_to_decide(effect, 1.0, 0.0, alpha=0.005)
    assert pairs_to_reach(60, p_value, alpha=0.005) == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize(
    ("num_pairs", "p_value", "expected"),
    [(6, 2**-5, 15), (5, 1e-4, 8), (12, 1e-9, 13), (12, 1.0, None), (12, 0.99, None)],
)
def test_edges_of_pairs_to_reach(num_pairs: int, p_value: float, expected: int | None) -> None:
    assert pairs_to_reach(num_pairs, p_value, alpha=0.05 / 4) == expected
