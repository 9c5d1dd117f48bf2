"""Norms of weights by surgery: which layers they wrap, and that kernels keep what they compute."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import pytest

from normlab.errors import InputError
from normlab.norms import NORMS
from normlab.norms.weight import WeightNormalization
from normlab.surgery import swap
from normlab.surgery.copying import array_of
from tests.surgery.networks import (
    NETWORKS,
    Conv2D,
    Dense,
    L,
    SeparableConv2D,
    convolutions,
    outputs,
    samples,
    sequential,
    trained,
)


def _wrapped(model: keras.Model) -> list[str]:
    return [layer.name for layer in model._flatten_layers() if type(layer) is WeightNormalization]


def _plain() -> keras.Model:
    """No norms: a convolution and a Dense with fused activations, a shared layer, a head."""
    inputs, again = keras.Input((6, 6, 2)), Dense(5, activation="tanh", name="again")
    x = L.Flatten()(Conv2D(3, 3, activation="relu", name="conv")(inputs))
    x = again(again(Dense(5, activation="relu", name="dense")(x)))
    return keras.Model(inputs, Dense(2, name="head")(x))


def _notebook() -> keras.Model:
    norm = L.BatchNormalization
    stages = [[norm(), Dense(width, activation="relu", name=f"hidden_{width}")] for width in (6, 5)]
    return keras.Sequential([keras.Input((4, 2)), L.Flatten(), *stages[0], *stages[1], norm(), Dense(3, name="head")])


WRAPPED = {
    "fused, without norms": (_plain, {"conv", "dense", "again"}),
    "norms after activations": (_notebook, {"hidden_6", "hidden_5"}),
    "norms before activations": (sequential, {"first", "second"}),
    "branches": (NETWORKS["residual"].build, {"stem", "conv"}),
    "nested": (NETWORKS["nested"].build, {"inner", "last", "project"}),
    "shared": (NETWORKS["shared"].build, {"deep", "dense", "own_0", "own_1"}),
}


@pytest.mark.parametrize("case", WRAPPED)
def test_the_layers_before_norms_are_wrapped_and_keep_what_they_compute(case: str) -> None:
    build, names = WRAPPED[case]
    model = trained(build())
    inputs = samples(model)
    swapped = swap(model, "weight")
    assert set(_wrapped(swapped.model)) == names
    # The kernels are as they were, so that the model computes what it does without its norms.
    for expected, found in zip(outputs(swap(model, "none").model, inputs), outputs(swapped.model, inputs), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())
    gains = [row for row in swapped.changes if row.new]
    assert {row.layer.split("/")[-1] for row in gains} == names
    assert all((row.old, row.new, row.parameters_before) == ("", "WeightNormalization", 0) for row in gains)
    assert swapped.model.count_params() == model.count_params() + sum(
        row.parameters_after - row.parameters_before for row in swapped.changes
    )


def test_weight_standardization_keeps_the_kernel_less_its_mean() -> None:
    model = trained(_plain())
    swapped = swap(model, "weight-standardization").model
    for layer in swapped._flatten_layers():
        if type(layer).__name__ == "WeightStandardization":
            kernel = np.asarray(layer.layer.kernel)
            axes = tuple(range(kernel.ndim - 1))
            effective = np.asarray(layer.normalized(kernel, list(axes)) * layer.gain)
            np.testing.assert_allclose(effective, kernel - kernel.mean(axes), rtol=1e-3, atol=1e-4)


def test_a_unit_of_zeros_keeps_its_gain() -> None:
    model = trained(_plain())
    kernel = array_of(model.get_layer("dense").kernel)
    kernel[:, 2] = 0
    model.get_layer("dense").kernel.assign(kernel)
    layer = swap(model, "weight").model.get_layer("dense")
    lengths = np.linalg.norm(kernel, axis=0)
    np.testing.assert_allclose(np.delete(layer.gain, 2), np.delete(lengths, 2), rtol=1e-5)
    assert float(layer.gain[2]) > 0


def _penalized() -> keras.Model:
    dense = Dense(4, activation="relu", activity_regularizer="l2", name="penalized")
    return keras.Sequential([keras.Input((3,)), dense, Dense(2)])


def _separable() -> keras.Model:
    return keras.Sequential(
        [keras.Input((6, 6, 2)), SeparableConv2D(4, 3, name="separable"), L.ReLU(), L.Flatten(), Dense(2)]
    )


REFUSED: dict[str, tuple[Callable[[], keras.Model], str, str]] = {
    "no kernel of one kind": (_separable, "weight", r"layer with a kernel, got separable: SeparableConv2D; wrap one"),
    "transposed": (convolutions, "weight", r"layer with a kernel, got separable: SeparableConv2D"),
    "penalty": (_penalized, "weight", r"no activity regularizer, got penalized: penalized; move it"),
    "no layer": (
        lambda: keras.Sequential([keras.Input((3,)), L.BatchNormalization(), Dense(2)]),
        "weight",
        r"acts on weights, so a Dense or Conv must come before .* got sequential.* without such a layer",
    ),
    "wrapped already": (lambda: swap(_plain(), "weight").model, "batch", r"cannot undo a norm of weights, got conv of"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_wrapped_is_refused(case: str) -> None:
    build, norm, message = REFUSED[case]
    with pytest.raises(InputError, match=message):
        swap(build(), norm)


def test_options_of_the_norm_are_the_wrappers() -> None:
    swapped = swap(sequential(), NORMS["weight"].with_options(epsilon=0.25)).model
    assert swapped.get_layer("first").epsilon == 0.25
