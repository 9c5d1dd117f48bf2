"""Corrections: against statsmodels, the definition written out, and SciPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from normlab.stats.multiplicity import benjamini_hochberg, holm

FAMILIES = [
    [0.03],
    [0.01, 0.04, 0.03],
    [0.5, 0.001, 0.02, 0.02, 1.0, 0.0],
    list(np.random.default_rng(0).uniform(size=30)),
]


@pytest.mark.parametrize("family", FAMILIES)
def test_holm_is_statsmodels_and_its_definition(family: list[float]) -> None:
    adjusted = holm(family)
    assert adjusted == pytest.approx(multipletests(family, method="holm")[1], rel=1e-12)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(family)), key=family.__getitem__)):
        largest = max(largest, min(1.0, (len(family) - rank) * family[index]))
        assert adjusted[index] == pytest.approx(largest, rel=1e-12)


@pytest.mark.parametrize("family", FAMILIES)
def test_benjamini_hochberg_is_scipys(family: list[float]) -> None:
    assert benjamini_hochberg(family) == pytest.approx(stats.false_discovery_control(family), rel=1e-12)


@pytest.mark.parametrize("correct", [holm, benjamini_hochberg])
def test_edges(correct) -> None:  # type: ignore[no-untyped-def]
    assert correct([]).shape == (0,)
    for family in ([1.1], [-0.1], [math.nan]):
        with pytest.raises(ValueError, match="between 0 and 1"):
            correct(family)
    with pytest.raises(ValueError, match="one axis"):
        correct([[0.1, 0.2]])
