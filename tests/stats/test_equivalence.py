"""The test of equivalence: against statsmodels, and where there is no spread."""

from __future__ import annotations

import math

import numpy as np
import pytest
from statsmodels.stats.weightstats import ttost_paired

from normlab.stats.equivalence import tost_p_value


@pytest.mark.parametrize("margin", [0.05, 0.4, 2.0])
@pytest.mark.parametrize(("num_pairs", "shift"), [(2, 0.0), (5, 0.3), (12, -0.3), (60, 0.1)])
def test_same_as_statsmodels(num_pairs: int, shift: float, margin: float) -> None:
    generator = np.random.default_rng(num_pairs)
    baseline = generator.normal(size=num_pairs)
    arm = baseline + generator.normal(shift, 0.5, num_pairs)
    expected = ttost_paired(arm, baseline, -margin, margin)[0]
    assert tost_p_value(arm - baseline, margin) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("differences", "margin", "expected"),
    [
        ([0.0, 0.0, 0.0], 0.1, 1 / 8),
        ([0.0, 0.0, 0.0], 0.0, 1.0),
        ([0.05, 0.05], 0.1, 1 / 4),
        ([-0.05] * 6, 0.1, 1 / 64),
        ([0.25, 0.25], 0.25, 1.0),
        ([-0.3, -0.3], 0.25, 1.0),
        ([0.93 - 0.92, 0.92 - 0.91], 0.1, 1 / 4),
    ],
)
def test_no_spread(differences: list[float], margin: float, expected: float) -> None:
    assert tost_p_value(differences, margin) == expected


def test_a_margin_of_zero_cannot_be_met() -> None:
    assert tost_p_value([0.1, -0.1, 0.01, -0.02], 0.0) >= 0.5


@pytest.mark.parametrize(
    ("differences", "margin", "message"),
    [
        ([1.0], 0.1, "at least two pairs"),
        ([], 0.1, "at least one number"),
        ([1.0, math.inf], 0.1, "finite"),
        ([1.0, 2.0], -0.1, "margin"),
        ([1.0, 2.0], math.nan, "margin"),
        ([1.0, 2.0], math.inf, "margin"),
    ],
)
def test_misuse(differences: list[float], margin: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tost_p_value(differences, margin)
