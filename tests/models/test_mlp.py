"""The multilayer perceptron: its layers in order, its biases, and its formula in NumPy."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from normlab.errors import InputError
from normlab.models import MODELS, mlp
from normlab.models.mlp import ACTIVATIONS, INITIALIZERS
from normlab.norms import NORMS

LAYERS: dict[str, tuple[str, dict[str, Any], list[str]]] = {
    "none": (
        "none",
        {},
        ["flatten", "hidden_0", "norm_0", "activation_0", "hidden_1", "norm_1", "activation_1", "head"],
    ),
    "before": (
        "batch",
        {},
        ["flatten", "hidden_0", "norm_0", "activation_0", "hidden_1", "norm_1", "activation_1", "head"],
    ),
    "after": (
        "batch",
        {"placement": "after"},
        ["flatten", "hidden_0", "activation_0", "norm_0", "hidden_1", "activation_1", "norm_1", "head"],
    ),
    "input": (
        "batch",
        {"input_norm": True, "widths": (3,)},
        ["flatten", "norm_input", "hidden_0", "norm_0", "activation_0", "head"],
    ),
}


@pytest.mark.parametrize("case", LAYERS)
def test_layers_stand_in_the_order_asked_for(case: str) -> None:
    norm, options, names = LAYERS[case]
    model = mlp(NORMS[norm], (4, 4), 3, **{"widths": (6, 5), **options})
    assert [layer.name for layer in model.layers] == names
    assert model.output_shape == (None, 3)
    kinds = {type(layer) for layer in model.layers if layer.name.startswith("norm")}
    assert kinds == {keras.layers.BatchNormalization if norm == "batch" else keras.layers.Identity}


@pytest.mark.parametrize(
    ("norm", "placement", "has_bias"),
    [("none", "before", True), ("none", "after", True), ("batch", "before", False), ("batch", "after", True)],
)
def test_a_layer_has_no_bias_exactly_where_the_norm_would_cancel_it(norm: str, placement: str, has_bias: bool) -> None:
    model = mlp(NORMS[norm], (4,), 3, widths=(6, 5), placement=placement)
    assert [model.get_layer(f"hidden_{depth}").use_bias for depth in (0, 1)] == [has_bias, has_bias]
    assert model.get_layer("head").use_bias


def test_a_vector_is_not_flattened() -> None:
    assert mlp(NORMS["none"], (4,), 3, widths=(6,)).layers[0].name == "hidden_0"


REFERENCE = {
    "relu": lambda z: np.maximum(z, 0),
    "leaky_relu": lambda z: np.where(z > 0, z, 0.3 * z),
    "elu": lambda z: np.where(z > 0, z, np.expm1(np.minimum(z, 0))),
    "silu": lambda z: z / (1 + np.exp(-z)),
    "tanh": np.tanh,
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "linear": lambda z: z,
}


@pytest.mark.parametrize("activation", REFERENCE)
@pytest.mark.parametrize("placement", ["before", "after"])
def test_the_network_is_its_formula(activation: str, placement: str) -> None:
    rng = np.random.default_rng(0)
    model = mlp(NORMS["batch"], (2, 2), 3, widths=(6,), activation=activation, placement=placement, input_norm=True)
    for variable in model.trainable_variables:
        variable.assign(rng.normal(size=variable.shape))
    value = {v.path.removeprefix("mlp/"): np.asarray(v.value, np.float64) for v in model.trainable_variables}

    def normed(z: np.ndarray, name: str) -> np.ndarray:
        return value[f"{name}/gamma"] * (z - z.mean(0)) / np.sqrt(z.var(0) + 1e-3) + value[f"{name}/beta"]

    x = rng.normal(size=(10, 2, 2))
    z = normed(x.reshape(10, 4), "norm_input") @ value["hidden_0/kernel"]
    if placement == "before":
        a = REFERENCE[activation](normed(z, "norm_0"))
    else:
        a = normed(REFERENCE[activation](z + value["hidden_0/bias"]), "norm_0")
    expected = a @ value["head/kernel"] + value["head/bias"]
    np.testing.assert_allclose(np.asarray(model(x.astype(np.float32), training=True)), expected, rtol=1e-3, atol=1e-4)


def test_the_notebooks_networks_have_their_numbers_of_parameters() -> None:
    dense = 784 * 300 + 300 + 300 * 100 + 100 + 100 * 10 + 10
    without = mlp(NORMS["none"], (28, 28), 10, activation="leaky_relu")
    with_norms = mlp(NORMS["batch"], (28, 28), 10, input_norm=True, placement="after")

    def count(variables: list[Any]) -> int:
        return sum(int(np.prod(v.shape)) for v in variables)

    assert count(without.trainable_variables) == dense
    assert count(with_norms.trainable_variables) == dense + 2 * (784 + 300 + 100)
    assert count(with_norms.non_trainable_variables) == 2 * (784 + 300 + 100)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_known_activation_builds(name: str) -> None:
    assert mlp(NORMS["none"], (2,), 2, widths=(3,), activation=name).count_params() == 2 * 3 + 3 + 3 * 2 + 2


@pytest.mark.parametrize("name", INITIALIZERS)
def test_every_known_initializer_starts_the_hidden_kernels(name: str) -> None:
    model = mlp(NORMS["none"], (8,), 4, widths=(8, 8), initializer=name)
    wanted = type(keras.initializers.get(name))
    hidden = [model.get_layer(f"hidden_{depth}").kernel_initializer for depth in (0, 1)]
    assert {type(initializer) for initializer in hidden} == {wanted}
    assert isinstance(model.get_layer("head").kernel_initializer, keras.initializers.GlorotUniform)
    assert not np.asarray(model.get_layer("head").bias.value).any()


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"widths": (8, 0)}, r"each from 1 to 100,000, got \[8, 0\]"),
    ({"activation": "rleu"}, r"activation must be a known name, got 'rleu'; choose one of relu"),
    ({"initializer": "he"}, r"initializer must be a known name, got 'he'"),
    ({"placement": "in"}, r"placement must be a known name, got 'in'; choose one of before, after"),
]


@pytest.mark.parametrize(("options", "message"), WRONG)
def test_wrong_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        mlp(NORMS["none"], (4,), 2, **options)


def test_networks_are_known_by_name() -> None:
    assert list(MODELS) == ["mlp"]
    assert MODELS["mlp"].build is mlp


def test_a_norm_of_weights_acts_on_the_hidden_layers_alone() -> None:
    model = mlp(NORMS["weight"], (8,), 4, widths=(6, 6))
    plain = mlp(NORMS["none"], (8,), 4, widths=(6, 6))
    assert type(model.get_layer("head")) is type(plain.get_layer("head"))
    assert type(model.get_layer("hidden_0")) is not type(plain.get_layer("hidden_0"))


@pytest.mark.parametrize(("placement", "kind"), [("before", "Identity"), ("after", "Activation")])
def test_a_norm_that_contains_the_activation_takes_its_place(placement: str, kind: str) -> None:
    model = mlp(NORMS["evo-s0"], (8,), 4, widths=(8, 8), placement=placement)
    assert {type(model.get_layer(f"activation_{depth}")).__name__ for depth in (0, 1)} == {kind}


def test_a_norm_that_cant_serve_is_refused() -> None:
    with pytest.raises(InputError, match="groups must divide the number of channels, got 4 groups and 6 channels"):
        mlp(NORMS["group"], (8,), 4, widths=(8, 6))
