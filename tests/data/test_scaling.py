"""Standardization against scikit-learn, and its corners."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

from normlab.data.scaling import standardize, training_moments
from normlab.errors import InputError


def test_agrees_with_scikit_learn_on_other_rows() -> None:
    rng = np.random.default_rng(0)
    train, test = rng.normal([3, -1e4, 1e-6], [1, 1e3, 1e-7], (2, 40, 3))
    expected = StandardScaler().fit(train).transform(test)
    result = standardize(test, training_moments(train), ("a", "b", "c"))
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e300, -7.3])
def test_constant_column_becomes_exactly_zero(value: float) -> None:
    train = np.full((7, 1), value)
    moments = training_moments(train)
    assert moments.scale.tolist() == [1.0]
    assert standardize(train, moments, ("a",)).tolist() == [[0.0]] * 7


@pytest.mark.parametrize("far", [(-1e308, 1e308), (1e-200, 2e-200), (1e308, 1.7e308)])
def test_moments_out_of_range_are_refused_by_name(far: tuple[float, float]) -> None:
    train = np.array([[1.0, far[0]], [2.0, far[1]]])
    with pytest.raises(InputError, match=r"column 'far' must be standardizable"):
        standardize(train, training_moments(train), ("near", "far"))
