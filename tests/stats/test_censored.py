"""Restricted times: misses count as the horizon."""

from __future__ import annotations

import math

import numpy as np
import pytest

from normlab.stats.censored import restrict


def test_misses_and_late_times_count_as_the_horizon() -> None:
    assert restrict([3.0, math.inf, 12.0, 0.0], 10.0).tolist() == [3.0, 10.0, 10.0, 0.0]
    assert restrict([[1, 20], [30, 4]], 5.0).tolist() == [[1.0, 5.0], [5.0, 4.0]]
    assert restrict([3.0, math.inf, 12.0, 0.0], 10.0).mean() == 5.75


def test_is_the_area_under_the_share_not_there_yet() -> None:
    times = np.append(np.random.default_rng(0).exponential(4.0, 50), [math.inf] * 7)
    grid = np.linspace(0.0, 6.0, 60_001)
    ordered = np.sort(times)
    share = 1 - np.searchsorted(ordered, grid, side="right") / times.size
    assert restrict(times, 6.0).mean() == pytest.approx(np.trapezoid(share, grid), abs=1e-3)


@pytest.mark.parametrize(
    ("times", "horizon", "message"),
    [
        ([1.0, math.nan], 5.0, "times must be"),
        ([-1.0], 5.0, "times must be"),
        ([1.0], 0.0, "horizon"),
        ([1.0], math.inf, "horizon"),
        ([1.0], math.nan, "horizon"),
    ],
)
def test_misuse(times: list[float], horizon: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        restrict(times, horizon)
