"""Norms of weights: which layers they wrap, under which paths, and at which scale they start."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from normlab.errors import InputError
from normlab.norms import NORMS
from tests.norms.table import inputs

NAMES = [name for name, norm in NORMS.items() if norm.wrapper]
WRAPPED = {
    "Conv1D": lambda: keras.layers.Conv1D(6, 3, activation="relu"),
    "Conv2D": lambda: keras.layers.Conv2D(6, 2, strides=2, padding="same", use_bias=False),
    "Conv2D in groups": lambda: keras.layers.Conv2D(6, 2, groups=2),
    "DepthwiseConv2D": lambda: keras.layers.DepthwiseConv2D(2, depth_multiplier=2),
}


@pytest.mark.parametrize("kind", list(WRAPPED))
@pytest.mark.parametrize("name", NAMES)
def test_equals_the_layer_with_the_normalized_kernel(name: str, kind: str) -> None:
    x = inputs("sequence" if kind == "Conv1D" else "image")
    plain, inner = WRAPPED[kind](), WRAPPED[kind]()
    wrapped = NORMS[name].wrap(inner)
    shape = wrapped(x).shape
    assert shape == plain(x).shape == wrapped.compute_output_shape(x.shape)
    kernel = np.asarray(inner.kernel, np.float64)
    per_unit = tuple(range(kernel.ndim - 2 if "Depthwise" in kind else kernel.ndim - 1))
    if name == "weight-standardization":
        kernel = kernel - kernel.mean(per_unit)
    length = np.sqrt((kernel**2).sum(per_unit) + NORMS[name].options["epsilon"])
    plain.kernel.assign(kernel / length * np.asarray(wrapped.gain))
    np.testing.assert_allclose(wrapped(x), plain(x), rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_variables_keep_the_paths_that_they_have_without_it(name: str) -> None:
    """Arms share initial values by path, so a wrapped kernel must be found where the plain one is."""

    def paths(norm: str) -> set[str]:
        dense = NORMS[norm].wrap(keras.layers.Dense(3, name="hidden"))
        inner = keras.Sequential([keras.Input((4,)), dense, NORMS[norm](name="norm")], name="inner")
        return {v.path for v in keras.Sequential([keras.Input((4,)), inner], name="outer").variables}

    assert paths(name) == paths("none") | {next(path for path in paths(name) if path.endswith("/hidden/gain"))}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("initializer", ["he_normal", "orthogonal"])
def test_starts_at_the_scale_of_the_initializer(name: str, initializer: str) -> None:
    dense = keras.layers.Dense(100, kernel_initializer=initializer)
    wrapped = NORMS[name].wrap(dense)
    wrapped.build((None, 200))
    lengths = np.sqrt((np.asarray(dense.kernel) ** 2).sum(0))
    assert np.ptp(np.asarray(wrapped.gain)) == 0
    assert float(wrapped.gain[0]) == pytest.approx(np.sqrt((lengths**2).mean()), rel=0.02)


def _twos(shape: Any, dtype: Any = None) -> Any:
    return keras.ops.full(shape, 2.0, dtype)


@pytest.mark.parametrize("name", NAMES)
def test_an_initializer_may_be_a_function(name: str) -> None:
    wrapped = NORMS[name].wrap(keras.layers.Dense(3, kernel_initializer=_twos))
    wrapped.build((None, 4))
    np.testing.assert_allclose(wrapped.gain, 4.0)


@pytest.mark.parametrize("name", list(NORMS))
def test_other_norms_leave_the_layer_alone(name: str) -> None:
    dense = keras.layers.Dense(3)
    assert (NORMS[name].wrap(dense) is dense) == (NORMS[name].wrapper is None)
    if NORMS[name].wrapper:
        assert isinstance(NORMS[name](), keras.layers.Identity)


@pytest.mark.parametrize("name", NAMES)
def test_a_frozen_layer_has_no_trainable_variable(name: str) -> None:
    wrapped = NORMS[name].wrap(keras.layers.Dense(3))
    x = inputs("dense")
    expected = np.asarray(wrapped(x))
    wrapped.trainable = False
    assert wrapped.trainable_variables == []
    assert np.array_equal(wrapped(x), expected)
    frozen = NORMS[name].wrap(keras.layers.Dense(3, trainable=False))
    frozen(x)
    assert frozen.trainable_variables == []


@pytest.mark.parametrize("name", NAMES)
def test_what_cannot_be_wrapped(name: str) -> None:
    built = keras.layers.Dense(3)
    built.build((None, 4))
    for layer, message in (
        (keras.layers.ReLU(), "a layer with a kernel"),
        (keras.layers.LSTM(3), "a layer with a kernel"),
        (built, "before it is built"),
        (keras.layers.Dense(3, activity_regularizer="l2"), "no activity regularizer"),
    ):
        with pytest.raises(InputError, match=message):
            NORMS[name].wrap(layer)


@pytest.mark.parametrize("layer", [keras.layers.Dense(3), keras.layers.DepthwiseConv1D(1)])
def test_standardizing_one_weight_would_leave_none(layer: keras.layers.Layer) -> None:
    shape = (None, 1) if isinstance(layer, keras.layers.Dense) else (None, 5, 4)
    with pytest.raises(InputError, match="at least two incoming weights per unit"):
        NORMS["weight-standardization"].wrap(layer).build(shape)
