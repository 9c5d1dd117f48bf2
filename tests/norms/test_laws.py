"""Laws that tie norms to each other and to theory, whatever the numbers."""

from __future__ import annotations

import math
from typing import Any

import jax
import keras
import numpy as np
import pytest

from normlab.norms import NORMS
from tests.norms.table import CASES, INPUTS, inputs, layer_at, norm_of, serves, starting_values

# Norms that scaling the input by a positive constant leaves as they are, up to epsilon.
SCALE_INVARIANT = ["batch", "layer", "group", "instance", "rms", "ghost", "batch-renorm", "frn", "scale-only", "power"]


def _built(norm: Any, x: np.ndarray, **values: np.ndarray) -> Any:
    layer = norm()
    layer.build(x.shape)
    for variable in layer.variables:
        if variable.name in values:
            variable.assign(values[variable.name])
    return layer


def _units(x: np.ndarray, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=x.shape[-1]).astype(np.float32)


@pytest.mark.parametrize("scale", [0.01, 100.0])
@pytest.mark.parametrize("name", SCALE_INVARIANT)
def test_scale_invariance(name: str, scale: float) -> None:
    x = inputs("image")
    layer = NORMS[name].with_options(epsilon=1e-12)()
    expected = np.asarray(layer(x, training=True))
    assert np.abs(expected - x).max() > 0.1
    np.testing.assert_allclose(layer(np.float32(scale) * x, training=True), expected, rtol=0, atol=2e-4)


@pytest.mark.parametrize("name", ["weight", "weight-standardization"])
def test_scale_invariance_of_weights(name: str) -> None:
    x, norm = inputs("dense"), NORMS[name].with_options(epsilon=1e-12)
    layer = layer_at(norm)
    expected = np.asarray(layer(x))
    layer.layer.kernel.assign(100 * np.asarray(layer.layer.kernel))
    np.testing.assert_allclose(layer(x), expected, rtol=0, atol=1e-5)


def test_one_group_is_layer_norm_over_the_same_axes() -> None:
    x = inputs("image")
    one = keras.layers.LayerNormalization(axis=(1, 2, 3), center=False, scale=False)
    np.testing.assert_allclose(NORMS["group"].with_options(groups=1)()(x), one(x), rtol=0, atol=1e-5)


@pytest.mark.parametrize("groups", [1, 2, 4, 8])
def test_groups_of_one_position_are_layer_norms_of_slices(groups: int) -> None:
    x = inputs("dense")
    if not serves(NORMS["group"].with_options(groups=groups), x.shape):
        assert groups == x.shape[-1]
        return
    slices = np.split(x, groups, axis=-1)
    expected = np.concatenate([NORMS["layer"]()(part) for part in slices], axis=-1)
    np.testing.assert_allclose(NORMS["group"].with_options(groups=groups)()(x), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", list(INPUTS))
@pytest.mark.parametrize(
    "like_batch",
    [
        NORMS["ghost"].with_options(ghost_batch_size=12),
        NORMS["ghost"].with_options(ghost_batch_size=1000),
        NORMS["batch-renorm"].with_options(r_max=1, d_max=0, warm_up_steps=0),
        NORMS["frozen"].with_options(momentum=0.99),
        NORMS["precise"],
    ],
    ids=["ghost batch of all", "ghost batch of more", "renorm with r = 1, d = 0", "not yet frozen", "precise"],
)
def test_equals_batch_norm_in_training(like_batch: Any, kind: str) -> None:
    x = inputs(kind)
    values = {"gamma": _units(x, 1), "beta": _units(x, 2)}
    other, batch = _built(like_batch, x, **values), _built(NORMS["batch"], x, **values)
    np.testing.assert_allclose(other(x, training=True), batch(x, training=True), rtol=0, atol=1e-5)
    moved, expected = ({v.name: np.asarray(v) for v in layer.non_trainable_variables} for layer in (other, batch))
    for name in set(moved) & set(expected):
        np.testing.assert_allclose(moved[name], expected[name], rtol=0, atol=1e-5)


def test_scale_only_and_center_only_make_batch_norm_together() -> None:
    x, batch = inputs("dense"), NORMS["batch"]()
    parts = NORMS["scale-only"](), NORMS["center-only"]()
    np.testing.assert_allclose(
        parts[1](parts[0](x, training=True), training=True), batch(x, training=True), rtol=0, atol=1e-5
    )


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if norm_of(case).differs_in_evaluation])
def test_a_layer_that_is_not_trainable_is_in_evaluation_mode(name: str) -> None:
    """As with Keras's batch norm, so that a frozen part of a network stays what it was."""
    x, layer = inputs("image"), layer_at(norm_of(CASES[name]))
    layer.build(x.shape)
    for variable, value in zip(layer.variables, starting_values(CASES[name], layer), strict=True):
        variable.assign(value)
    layer.trainable = False
    before = [np.asarray(v) for v in layer.variables]
    assert np.array_equal(layer(x, training=True), layer(x, training=False))
    assert all(np.array_equal(a, b) for a, b in zip(before, layer.variables, strict=True))


@pytest.mark.parametrize(
    ("name", "ratio"),
    [("batch", math.pi / (math.pi - 1)), ("layer", 1.0), ("none", 1.0)],
    ids=["batch", "layer", "none"],
)
def test_growth_of_the_gradient_per_layer_at_initialization(name: str, ratio: float) -> None:
    """Wide ReLU nets with He's weights: the squared gradient norm grows by this per layer towards the input.

    For batch norm pi / (pi - 1), Yang et al. 2019, arXiv:1902.08129. The batch must be large too: its own moments take
    two of its directions away from the gradient.
    """
    width, batch, depth = 512, 512, 12
    draw = np.random.default_rng(0)
    norm = NORMS[name]
    layers = [keras.Sequential([keras.Input((width,)), norm()]) for _ in range(depth)]
    kernels = [(draw.normal(size=(width, width)) * math.sqrt(2 / width)).astype(np.float32) for _ in range(depth)]
    c = draw.normal(size=(batch, width)).astype(np.float32)

    def loss(shifts: list[Any], x: Any) -> Any:
        for kernel, layer, shift in zip(kernels, layers, shifts, strict=True):
            values = [v.value for v in layer.trainable_variables], [v.value for v in layer.non_trainable_variables]
            x = jax.nn.relu(layer.stateless_call(*values, (x + shift) @ kernel, training=True)[0])
        return (c * x).sum()

    zeros = [np.zeros((batch, width), np.float32)] * depth
    gradients = jax.jit(jax.grad(loss))(zeros, draw.normal(size=(batch, width)).astype(np.float32))
    squares = [float((g.astype(np.float64) ** 2).sum()) for g in map(np.asarray, gradients)]
    # The first layers see an input that is no activation, the last ones a gradient of independent entries.
    growth = (squares[2] / squares[-3]) ** (1 / (depth - 5))
    assert growth == pytest.approx(ratio, rel=0.03)
