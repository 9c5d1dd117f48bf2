"""The growth of gradients: its derivation, the judgement of planted growths, and small networks that agree or not."""

from __future__ import annotations

import math

import numpy as np
import pytest

from normlab.models import mlp
from normlab.norms import NORMS
from normlab.replicate.gradient_rate import CASES, Case, checked, growth, moments, network, squared_gradients
from normlab.train.blueprint import blueprint

BY_NAME = {(case.norm, case.activation): case for case in CASES}
RELU = BY_NAME["batch", "relu"]
# A fourth of the width and of of the depth of the real one: the spread over three seeds is up to 2 %.
SMALL, SHALLOW, SMALL_TOLERANCE = 128, 5, 0.06


@pytest.mark.parametrize(
    ("norm", "activation", "expected"),
    [
        ("batch", "relu", math.pi / (math.pi - 1)),
        ("layer", "relu", 1.0),
        ("none", "relu", 1.0),
    ],
)
def test_the_derived_growths_in_closed_form(norm: str, activation: str, expected: float) -> None:
    case = BY_NAME[norm, activation]
    assert case.growth(moments(activation)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid"])
def test_the_moments_are_those_of_a_fine_sum(activation: str) -> None:
    z = np.linspace(-10, 10, 200_001)
    weight = np.exp(-(z**2) / 2)
    weight /= weight.sum()
    values = {"relu": np.maximum(z, 0), "tanh": np.tanh(z), "sigmoid": 1 / (1 + np.exp(-z))}[activation]
    slopes = np.gradient(values, z)
    found = moments(activation)
    expected = [(weight * values).sum(), (weight * values**2).sum(), (weight * slopes**2).sum()]
    assert list(found) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("factor", "agrees"), [(1.0, True), (1.029, True), (0.971, True), (1.031, False), (0.96, False)]
)
def test_a_growth_agrees_within_three_percent(factor: float, agrees: bool) -> None:
    derived = RELU.growth(moments("relu"))
    (figure,) = checked({RELU: derived * factor * np.array([0.99, 1.0, 1.01])})
    assert figure.agrees is agrees
    assert figure.expected.startswith("1.4669 = ")
    assert figure.measured.startswith(f"{derived * factor:.4f} (sd {derived * factor / 100:.4f} over 3 seeds; ")


def test_growth_is_per_layer_towards_the_input() -> None:
    assert growth(np.array([[16.0, 8.0, 4.0, 2.0], [1.0, 1.0, 1.0, 27.0]])) == pytest.approx([2.0, 1 / 3])


def _measured(case: Case) -> np.ndarray:
    return growth(squared_gradients(network(case, SMALL, SHALLOW), range(3), SMALL))


def test_a_small_network_with_batch_norm_grows_as_derived_and_one_without_does_not() -> None:
    with_norm, without = _measured(RELU), _measured(BY_NAME["none", "relu"])
    assert checked({RELU: with_norm}, SMALL_TOLERANCE)[0].agrees
    assert not checked({RELU: without}, SMALL_TOLERANCE)[0].agrees
    assert checked({BY_NAME["none", "relu"]: without}, SMALL_TOLERANCE)[0].agrees


def test_weights_of_half_the_variance_halve_the_growth_without_a_norm() -> None:
    plan = blueprint(lambda: mlp(NORMS["none"], (SMALL,), 10, widths=(SMALL,) * SHALLOW, initializer="lecun_normal"))
    halved = growth(squared_gradients(plan, range(3), SMALL))
    assert halved.mean() == pytest.approx(0.5, rel=SMALL_TOLERANCE)
    assert not checked({BY_NAME["none", "relu"]: halved}, SMALL_TOLERANCE)[0].agrees
