"""All norms by one table: equal constructors, and what each says of itself holds."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from normlab.norms import NORMS

X = np.random.default_rng(0).normal(2.0, 3.0, size=(16, 5)).astype(np.float32)


@pytest.mark.parametrize("name", NORMS)
def test_every_norm_builds_with_its_defaults(name: str) -> None:
    norm = NORMS[name]
    assert norm.name == name
    assert norm.formula
    assert norm.source
    assert isinstance(norm(), keras.layers.Layer)
    assert norm(name="here").name == "here"
    assert norm() is not norm()
    assert norm()(X).shape == X.shape


@pytest.mark.parametrize("name", NORMS)
def test_a_constant_is_cancelled_exactly_where_the_norm_says_so(name: str) -> None:
    layer = NORMS[name]()
    shift = np.arange(5, dtype=np.float32)
    change = np.abs(np.asarray(layer(X + shift, training=True)) - np.asarray(layer(X, training=True))).max()
    assert (change < 1e-4) == NORMS[name].cancels_bias


def test_no_norm_is_the_identity() -> None:
    for training in (True, False):
        assert np.array_equal(np.asarray(NORMS["none"]()(X, training=training)), X)


def test_batch_norm_is_its_formula_in_training_and_uses_moving_statistics_in_evaluation() -> None:
    layer = NORMS["batch"]()
    layer.build(X.shape)
    gamma, beta = np.linspace(0.5, 2.0, 5, dtype=np.float32), np.linspace(-1.0, 1.0, 5, dtype=np.float32)
    layer.gamma.assign(gamma)
    layer.beta.assign(beta)
    mean, variance = X.mean(0, dtype=np.float64), X.var(0, dtype=np.float64)
    expected = gamma * (X - mean) / np.sqrt(variance + 1e-3) + beta
    np.testing.assert_allclose(np.asarray(layer(X, training=True)), expected, rtol=1e-4, atol=1e-5)
    # One step: the moving statistics keep 0.99 of their start, 0 and 1.
    np.testing.assert_allclose(np.asarray(layer.moving_mean), 0.01 * mean, rtol=1e-4)
    np.testing.assert_allclose(np.asarray(layer.moving_variance), 0.99 + 0.01 * variance, rtol=1e-4)
    evaluated = gamma * (X - 0.01 * mean) / np.sqrt(0.99 + 0.01 * variance + 1e-3) + beta
    np.testing.assert_allclose(np.asarray(layer(X, training=False)), evaluated, rtol=1e-4, atol=1e-5)
