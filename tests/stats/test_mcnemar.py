"""McNemar's exact test: against statsmodels and tosses counted by hand, and the interval against its formula."""

from __future__ import annotations

import math

import numpy as np
import pytest
from statsmodels.stats.contingency_tables import mcnemar as reference

from normlab.stats.mcnemar import mcnemar


def outcomes(both: int, only_arm: int, only_baseline: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    counts = (both, only_arm, only_baseline, neither)
    return np.repeat([True, True, False, False], counts), np.repeat([True, False, True, False], counts)


@pytest.mark.parametrize("table", [(3, 8, 1, 10), (0, 2, 9, 0), (5, 5, 5, 5), (1, 0, 6, 20), (40, 25, 9, 60)])
def test_is_statsmodels(table: tuple[int, int, int, int]) -> None:
    both, only_arm, only_baseline, neither = table
    found = mcnemar(*outcomes(*table))
    expected = reference([[both, only_arm], [only_baseline, neither]], exact=True)
    assert found.p_value == pytest.approx(expected.pvalue)
    assert (found.both, found.only_arm, found.only_baseline, found.neither) == table
    assert found.share == pytest.approx((both + only_arm) / sum(table))
    assert found.baseline_share == pytest.approx((both + only_baseline) / sum(table))
    assert found.difference == pytest.approx(found.share - found.baseline_share)


@pytest.mark.parametrize(
    ("only_arm", "only_baseline", "p_value"),
    [(0, 0, 1.0), (1, 0, 1.0), (5, 0, 2 / 32), (6, 0, 2 / 64), (7, 1, 2 * 9 / 256), (3, 3, 1.0)],
)
def test_p_value_by_hand(only_arm: int, only_baseline: int, p_value: float) -> None:
    assert mcnemar(*outcomes(4, only_arm, only_baseline, 4)).p_value == pytest.approx(p_value)


def test_interval_by_hand() -> None:
    # n = 21, b = 1, c = 7: p = 2/23, q = 8/23, z = 1.96.
    found = mcnemar(*outcomes(1, 1, 7, 12))
    reach = 1.959964 * math.sqrt((10 / 23 - (6 / 23) ** 2) / 23)
    assert (found.low, found.high) == pytest.approx((-6 / 23 - reach, -6 / 23 + reach), abs=1e-6)
    assert (found.low, found.high) == pytest.approx((-0.5084, -0.0134), abs=1e-4)
    wide = mcnemar(*outcomes(1, 1, 7, 12), confidence=0.999)
    assert wide.low < found.low < found.high < wide.high


def test_interval_stays_inside_and_is_not_degenerate() -> None:
    found = mcnemar(*outcomes(0, 3, 0, 0), confidence=0.9999)
    assert found.high == 1.0
    alike = mcnemar(*outcomes(5, 0, 0, 5))
    assert (alike.difference, alike.p_value) == (0.0, 1.0)
    assert alike.low == pytest.approx(-alike.high)
    assert alike.high > 0.2


def test_zeros_and_ones_are_outcomes_too() -> None:
    assert mcnemar([1, 0, 1.0], [0, 0, 1]) == mcnemar([True, False, True], [False, False, True])


@pytest.mark.parametrize(
    ("arm", "baseline", "message"),
    [
        ([True], [True, False], "pair up"),
        ([], [], "at least one outcome"),
        ([[True]], [[True]], "one axis"),
        ([0.5], [1.0], "true or false"),
        ([1.0], [math.nan], "true or false"),
    ],
)
def test_misuse(arm: list[float], baseline: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        mcnemar(arm, baseline)
    with pytest.raises(ValueError, match="confidence"):
        mcnemar([True], [False], confidence=1.0)
