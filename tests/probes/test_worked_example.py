"""The worked example: agreement with JAX, planted faults that its checks must find, what it shows and refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_digits

from normlab.errors import InputError
from normlab.probes import by_hand
from normlab.probes.by_hand import Forward, Gradients
from normlab.probes.worked_example import worked_example
from normlab.seeding import generator

BATCH, WIDTH = 32, 20


def _kernel(num_features: int) -> np.ndarray:
    deviation = np.sqrt(2 / num_features)
    return np.random.default_rng(1).normal(0, deviation, (num_features, WIDTH)).astype(np.float32)


def _digits(batch: int = BATCH, **settings: Any) -> dict[str, Any]:
    x, y = load_digits(return_X_y=True)
    x = (x[:batch] / 16).astype(np.float32)
    return worked_example(_kernel(64), x, y[:batch], num_outputs=10, task="classification", **settings)


def _diabetes(offset: float) -> dict[str, Any]:
    x, y = load_diabetes(return_X_y=True)
    x = (x[:BATCH] * 20 + offset).astype(np.float32)
    return worked_example(_kernel(10), x, y[:BATCH].astype(np.float32), num_outputs=1, task="regression")


def _failed(example: dict[str, Any]) -> set[str]:
    return {check["name"] for check in example["checks"] if not check["ok"]}


@pytest.mark.parametrize(
    ("build", "settings"),
    [
        (_digits, {}),
        (_digits, {"batch": 2}),
        (_digits, {"epsilon": 0.1, "momentum": 0.0, "seed": 7}),
        (_diabetes, {"offset": 0.0}),
        (_diabetes, {"offset": 100.0}),
    ],
)
def test_every_check_agrees_on_real_data(build: Callable[..., dict[str, Any]], settings: dict[str, Any]) -> None:
    example = build(**settings)
    assert _failed(example) == set()
    assert example["ok"]
    assert len(example["checks"]) == 11
    assert json.loads(json.dumps(example, allow_nan=False)) == example


def test_gradients_equal_jax_through_the_whole_network() -> None:
    import jax
    import jax.numpy as jnp

    example = _digits(num_units=WIDTH, num_samples_shown=BATCH)
    head = generator(0, "example", "head").normal(0, np.sqrt(2 / (WIDTH + 10)), (WIDTH, 10))
    labels = jnp.asarray([sample["label"] for sample in example["samples"]])
    units = [row["unit"] for row in example["units"]]

    def loss(z: jax.Array, gamma: jax.Array, beta: jax.Array) -> jax.Array:
        y = gamma * (z - z.mean(0)) / jnp.sqrt(z.var(0) + 1e-3) + beta
        log_p = jax.nn.log_softmax(jax.nn.relu(y) @ jnp.asarray(head[units], jnp.float32))
        return -jnp.take_along_axis(log_p, labels[:, None], axis=1).mean()

    z = jnp.asarray([sample["z"] for sample in example["samples"]], jnp.float32)
    value, (by_z, by_gamma, by_beta) = jax.value_and_grad(loss, argnums=(0, 1, 2))(z, jnp.ones(WIDTH), jnp.zeros(WIDTH))
    assert example["loss"] == pytest.approx(float(value), rel=1e-5)
    near = partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-7)
    near([sample["grad_z"] for sample in example["samples"]], by_z)
    near([row["grad_gamma"] for row in example["units"]], by_gamma)
    near([row["grad_beta"] for row in example["units"]], by_beta)


def _two_terms(g: np.ndarray, passed: Forward, gamma: float) -> Gradients:
    return Gradients((g * passed.x_hat).sum(0), g.sum(0), gamma / passed.scale * (g - g.mean(0)))


def _without_gamma(g: np.ndarray, passed: Forward, gamma: float) -> Gradients:
    return Gradients(*_RIGHT_BACKWARD(g, passed, gamma)[:2], _RIGHT_BACKWARD(g, passed, 1.0).z)


def _slightly_off(g: np.ndarray, passed: Forward, gamma: float) -> Gradients:
    right = _RIGHT_BACKWARD(g, passed, gamma)
    return right._replace(z=right.z * 1.0001)


def _swapped(g: np.ndarray, passed: Forward, gamma: float) -> Gradients:
    right = _RIGHT_BACKWARD(g, passed, gamma)
    return right._replace(gamma=right.beta, beta=right.gamma)


def _sum_for_mean(example: by_hand.Example, y: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    value, logits, g = _RIGHT_LOSS(example, y)
    return value, logits, g * len(y)


def _momentum_reversed(passed: Forward, momentum: float) -> np.ndarray:
    return _RIGHT_MOVING(passed, 1 - momentum)


def _unbiased_variance(z: np.ndarray, gamma: float, beta: float, epsilon: float) -> Forward:
    return _RIGHT_FORWARD(z, gamma, beta, epsilon)._replace(variance=z.var(axis=0, ddof=1))


def _beta_forgotten(z: np.ndarray, gamma: float, beta: float, epsilon: float) -> Forward:
    return _RIGHT_FORWARD(z, gamma, 0.0, epsilon)


_RIGHT_BACKWARD, _RIGHT_LOSS = by_hand.backward, by_hand.loss
_RIGHT_MOVING, _RIGHT_FORWARD = by_hand.moving_statistics, by_hand.forward


@pytest.mark.parametrize(
    ("name", "wrong", "found"),
    [
        ("backward", _two_terms, {"∂L/∂z"}),
        ("backward", _without_gamma, {"∂L/∂z"}),
        ("backward", _slightly_off, {"∂L/∂z"}),
        ("backward", _swapped, {"∂L/∂γ", "∂L/∂β"}),
        ("loss", _sum_for_mean, {"∂L/∂y"}),
        ("moving_statistics", _momentum_reversed, {"moving mean and variance", "output y in evaluation"}),
        (
            "forward",
            _unbiased_variance,
            {"moving mean and variance", "output y in evaluation", "deviation of the output = γ·√(v/(v + ε))"},
        ),
        ("forward", _beta_forgotten, {"output y in training"}),
    ],
)
def test_a_planted_fault_fails_its_checks(
    monkeypatch: pytest.MonkeyPatch, name: str, wrong: Callable[..., Any], found: set[str]
) -> None:
    monkeypatch.setattr(by_hand, name, wrong)
    example = _digits()
    assert _failed(example) == found
    assert not example["ok"]


def test_a_layer_that_lets_the_bias_through_fails_the_checks_of_the_bias(monkeypatch: pytest.MonkeyPatch) -> None:
    import keras

    original = keras.layers.BatchNormalization.call
    monkeypatch.setattr(keras.layers.BatchNormalization, "call", lambda self, z, **rest: original(self, z, **rest) + z)
    assert {"BN(z + δ) = BN(z)", "∂L/∂b = Σ ∂L/∂z = 0", "mean of the output = β"} <= _failed(_digits())


def test_the_bias_matters_only_without_batch_norm_or_in_evaluation() -> None:
    bias = _digits()["bias"]
    assert bias["change_logits"] < 1e-5 < 0.1 < bias["change_logits_without"]
    assert bias["gradient"] < 1e-6 < 1e-3 < bias["gradient_without"]
    assert bias["change_output"] < 1e-5
    # The moving variance after one step is nearly 1, so nearly the whole shift comes through.
    assert bias["change_evaluation"] == pytest.approx(bias["largest_shift"], rel=0.05)


def test_what_is_shown_comes_from_the_batch() -> None:
    x, y = load_digits(return_X_y=True)
    x = (x[:BATCH] / 16).astype(np.float32)
    kernel = _kernel(64)
    kernel[:, :5] = 0.0  # Five units that are constant: they are not worth showing.
    example = worked_example(
        kernel, x, y[:BATCH], num_outputs=10, task="classification", num_units=4, num_samples_shown=5
    )
    z = x.astype(np.float64) @ kernel
    units = [row["unit"] for row in example["units"]]
    assert len(set(units)) == 4
    assert min(units) >= 5
    means = [row["mean"] for row in example["units"]]
    assert means == sorted(means)
    assert (means[0], means[-1]) == pytest.approx((z[:, 5:].mean(0).min(), z[:, 5:].mean(0).max()), rel=1e-6)
    np.testing.assert_allclose([row["variance"] for row in example["units"]], z[:, units].var(0), rtol=1e-5)
    assert [(row["index"], row["label"]) for row in example["samples"]] == list(enumerate(y[:5]))
    np.testing.assert_allclose([row["z"] for row in example["samples"]], z[:5, units], rtol=1e-6)
    assert (example["batch_size"], example["num_features"], example["width"]) == (BATCH, 64, WIDTH)


def test_a_batch_without_any_variation_is_worked_through() -> None:
    example = worked_example(
        _kernel(4), np.ones((8, 4)), np.arange(8) % 2, num_outputs=2, task="classification", num_units=50
    )
    assert _failed(example) == set()
    assert len(example["units"]) == WIDTH
    assert example["units"][0]["variance"] == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize(("momentum", "steps"), [(0.0, 1), (0.5, 1), (0.9, 7), (0.99, 69)])
def test_steps_to_half_way(momentum: float, steps: int) -> None:
    assert _digits(momentum=momentum)["half_way_steps"] == steps
    assert 1 - momentum**steps >= 0.5 > 1 - momentum ** (steps - 1)


GOOD: dict[str, Any] = {
    "kernel": np.ones((3, 2)),
    "x": np.arange(12.0).reshape(4, 3),
    "y": np.array([0, 1, 0, 1]),
    "num_outputs": 2,
    "task": "classification",
}


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"x": np.ones((1, 3)), "y": np.array([0])}, "batch size must be at least 2"),
        ({"x": np.ones((4, 2))}, "x must be"),
        ({"x": np.ones((4, 3, 1))}, "x must be"),
        ({"kernel": np.ones((3, 0))}, "x must be"),
        ({"x": np.full((4, 3), np.nan)}, "x @ kernel must be finite"),
        ({"x": np.full((4, 3), 1e30)}, "x @ kernel must be finite"),
        ({"y": np.array([0, 1])}, "y must be"),
        ({"y": np.array([0, 1, 2, 1])}, "labels must be integers from 0 to 1"),
        ({"y": np.array([0.0, 1.0, 0.0, 1.0])}, "labels must be integers"),
        ({"y": np.array([0, -1, 0, 1])}, "labels must be integers"),
        ({"task": "ranking"}, "task must be a known name"),
        ({"task": "regression"}, "num_outputs must be 1"),
        ({"task": "regression", "num_outputs": 1, "y": np.array([0.0, np.nan, 1.0, 2.0])}, "targets must be finite"),
        ({"num_outputs": 1}, "num_outputs must be at least 2"),
        ({"epsilon": 0.0}, "epsilon must be positive"),
        ({"momentum": 1.0}, "momentum must be"),
        ({"num_units": 0}, "num_units must be at least 1"),
        ({"num_samples_shown": 0}, "num_samples_shown must be at least 1"),
    ],
)
def test_refuses(change: dict[str, Any], rule: str) -> None:
    with pytest.raises(InputError, match=rule):
        worked_example(**(GOOD | change))
