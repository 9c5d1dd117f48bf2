"""Convolutions with plain axes, sums over groups in two steps: the same values, wherever the layers stand."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

from normlab.models import convnet, mlp, transformer
from normlab.norms import NORMS
from normlab.train.blueprint import blueprint
from normlab.train.convolutions import convolves_on_cpu, with_plain_axes
from normlab.train.layouts import choose_layout
from tests.models.table import unfilled
from tests.train.setting import population, small_digits

L = keras.layers
LAYERS: dict[str, tuple[tuple[int, ...], keras.layers.Layer]] = {
    "1d": ((9, 3), L.Conv1D(4, 3, strides=2)),
    "2d": ((7, 6, 3), L.Conv2D(4, 3, padding="same")),
    "2d, dilated": ((9, 9, 3), L.Conv2D(4, 3, dilation_rate=2)),
    "2d, grouped": ((6, 6, 4), L.Conv2D(6, 3, groups=2)),
    "2d, strided": ((8, 7, 3), L.Conv2D(4, (3, 2), strides=(2, 1))),
    "3d": ((4, 5, 4, 2), L.Conv3D(3, 2)),
    "transposed": ((5, 4, 3), L.Conv2DTranspose(2, 3, strides=2)),
    "depthwise": ((6, 6, 3), L.DepthwiseConv2D(3, depth_multiplier=2)),
    "separable": ((6, 6, 3), L.SeparableConv2D(4, 3)),
}


def _permuted(jaxpr: Any) -> list[Any]:
    """Return the axes of every convolution, at any depth, that are not in the plain order."""
    found = []
    for equation in jaxpr.eqns:
        for inner in jax.tree.leaves(equation.params, is_leaf=lambda leaf: hasattr(leaf, "eqns")):
            if hasattr(inner, "eqns"):
                found += _permuted(getattr(inner, "jaxpr", inner))
        if equation.primitive.name == "conv_general_dilated":
            axes = equation.params["dimension_numbers"]
            last = len(axes.lhs_spec) - 1
            space = tuple(range(1, last))
            plain = ((0, last, *space), (last, last - 1, *range(last - 1)), (0, last, *space))
            found += [axes] if (axes.lhs_spec, axes.rhs_spec, axes.out_spec) != plain else []
    return found


@pytest.mark.parametrize("case", LAYERS)
def test_values_and_gradients_are_the_same_and_the_axes_plain(case: str) -> None:
    shape, layer = LAYERS[case]
    model = keras.Sequential([keras.Input(shape), layer, L.BatchNormalization(), L.Activation("relu")])
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, *shape)).astype(np.float32)
    non_trainable = [jnp.asarray(v.value) for v in model.non_trainable_variables]
    trainable = [jnp.asarray(rng.normal(size=v.shape), jnp.float32) for v in model.trainable_variables]

    def loss(values: list[Any], inputs: Any) -> Any:
        outputs, after = model.stateless_call(values, non_trainable, inputs, training=True)
        return jnp.sum(jnp.sin(outputs)), after

    plain = jax.value_and_grad(loss, argnums=(0, 1), has_aux=True)
    rewritten = with_plain_axes(plain)
    for one, other in zip(
        jax.tree.leaves(jax.jit(plain)(trainable, x)), jax.tree.leaves(jax.jit(rewritten)(trainable, x)), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=2e-4, atol=2e-5)
    assert _permuted(jax.make_jaxpr(plain)(trainable, x).jaxpr)
    assert not _permuted(jax.make_jaxpr(rewritten)(trainable, x).jaxpr)


def _sums_over_groups(jaxpr: Any) -> int:
    """Return how many sums run over the last axis and over space, but not over the groups between them."""
    found = 0
    for equation in jaxpr.eqns:
        for inner in jax.tree.leaves(equation.params, is_leaf=lambda leaf: hasattr(leaf, "eqns")):
            found += _sums_over_groups(getattr(inner, "jaxpr", inner)) if hasattr(inner, "eqns") else 0
        if equation.primitive.name == "reduce_sum":
            last = equation.invars[0].aval.ndim - 1
            found += {last, 1} <= set(equation.params["axes"]) and last - 1 not in equation.params["axes"]
    return found


def test_sums_over_groups_of_channels_are_taken_over_space_first() -> None:
    layer = L.GroupNormalization(groups=2)
    layer.build((None, 5, 4, 6))
    x = np.random.default_rng(0).normal(size=(3, 5, 4, 6)).astype(np.float32)
    weights = [jnp.arange(1.0, 7.0), jnp.arange(6.0)]

    def loss(values: list[Any], inputs: Any) -> Any:
        return jnp.sum(jnp.sin(layer.stateless_call(values, [], inputs)[0]))

    plain = jax.value_and_grad(loss, argnums=(0, 1))
    rewritten = with_plain_axes(plain)
    for one, other in zip(
        jax.tree.leaves(jax.jit(plain)(weights, x)), jax.tree.leaves(jax.jit(rewritten)(weights, x)), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    assert _sums_over_groups(jax.make_jaxpr(plain)(weights, x).jaxpr)
    assert not _sums_over_groups(jax.make_jaxpr(rewritten)(weights, x).jaxpr)
    # XLA merges sums that follow each other unless something stands between them.
    assert "optimization_barrier" in str(jax.make_jaxpr(rewritten)(weights, x))
    runs = jnp.stack([x, 2 * x])
    np.testing.assert_allclose(
        *(jax.jit(jax.vmap(lambda each, g=f: g(weights, each)[0]))(runs) for f in (plain, rewritten)), rtol=1e-4
    )


def test_it_works_under_vmap_and_in_a_loop() -> None:
    kernels = np.random.default_rng(0).normal(size=(2, 3, 3, 2, 2)).astype(np.float32)
    x = np.random.default_rng(1).normal(size=(4, 6, 6, 2)).astype(np.float32)

    def loss(kernel: Any) -> Any:
        axes = ("NHWC", "HWIO", "NHWC")
        return jnp.sum(jnp.sin(jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=axes)))

    def descended(gradient: Any, kernel: Any) -> Any:
        return jax.lax.fori_loop(0, 3, lambda _, value: value - 0.01 * gradient(value), kernel)

    results = [
        jax.jit(jax.vmap(lambda kernel, g=gradient: descended(g, kernel)))(kernels)
        for gradient in (jax.grad(loss), with_plain_axes(jax.grad(loss)))
    ]
    np.testing.assert_allclose(*results, rtol=1e-4, atol=1e-5)


def test_convolutions_are_found_at_any_depth() -> None:
    def nested(layer: keras.layers.Layer) -> keras.Model:
        inside = keras.Sequential([keras.Input((8, 8, 1)), layer])
        return keras.Sequential([keras.Input((8, 8, 1)), inside])

    for layer in (L.Conv2D(2, 3), L.DepthwiseConv2D(3), L.Conv2DTranspose(2, 3)):
        assert convolves_on_cpu(nested(layer))
    assert not convolves_on_cpu(nested(L.MaxPooling2D()))
    assert convolves_on_cpu(unfilled(convnet, NORMS["weight"], (8, 8), 10, widths=(4,)))
    assert not convolves_on_cpu(unfilled(mlp, NORMS["none"], (8, 8), 10))
    assert not convolves_on_cpu(unfilled(transformer, NORMS["none"], (8, 8), 10))


def test_runs_with_convolutions_are_mapped_without_a_measurement() -> None:
    images = blueprint(lambda: convnet(NORMS["none"], (8, 8), 10, widths=(2,), convs_per_stage=1))
    chosen, seconds = choose_layout(lambda layout: population(images, small_digits(), 6, layout=layout))
    assert (chosen.layout, chosen.capacity, seconds) == ("map", 6, {})
