"""The hand formulas of batch normalization: finite differences, laws, and a batch small enough for paper."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

from normlab.probes import by_hand
from normlab.probes.by_hand import Example

EPSILON = 1e-3
GAMMA, BETA = np.array([1.5, -0.7, 1.0]), np.array([0.3, 0.1, 0.0])


def _example(task: str) -> Example:
    rng = np.random.default_rng(3)
    z, head = rng.normal(1.0, 2.0, (7, 3)), rng.normal(size=(3, 4 if task == "classification" else 1))
    targets = rng.integers(0, 4, 7) if task == "classification" else rng.normal(size=7)
    return Example(z, head, targets, task, EPSILON, 0.99)


def _slope(function: Callable[[np.ndarray], float], point: np.ndarray) -> np.ndarray:
    """Return central differences of `function` at `point`, one coordinate after the other."""
    step, slope = 1e-6, np.empty_like(point)
    for place in np.ndindex(point.shape):
        move = np.zeros_like(point)
        move[place] = step
        slope[place] = (function(point + move) - function(point - move)) / (2 * step)
    return slope


def _loss_at(example: Example, z: np.ndarray, gamma: np.ndarray, beta: np.ndarray) -> float:
    return by_hand.loss(example, by_hand.forward(z, gamma, beta, EPSILON).y)[0]


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_gradients_are_the_slopes_of_the_loss(task: str) -> None:
    example = _example(task)
    passed = by_hand.forward(example.z, GAMMA, BETA, EPSILON)
    # No sample may stand so near the kink of the ReLU that a step crosses it.
    assert np.abs(passed.y).min() > 1e-4
    g = by_hand.loss(example, passed.y)[2]
    gradients = by_hand.backward(g, passed, GAMMA)
    near = partial(np.testing.assert_allclose, rtol=1e-6, atol=1e-9)
    near(g, _slope(lambda y: by_hand.loss(example, y)[0], passed.y))
    by_gamma = _slope(lambda gamma: _loss_at(example, example.z, gamma, BETA), GAMMA)
    near(gradients.gamma, by_gamma)
    by_beta = _slope(lambda beta: _loss_at(example, example.z, GAMMA, beta), BETA)
    near(gradients.beta, by_beta)
    by_z = _slope(lambda z: _loss_at(example, z, GAMMA, BETA), example.z)
    near(gradients.z, by_z)


def test_two_samples_on_paper() -> None:
    passed = by_hand.forward(np.array([[1.0], [5.0]]), 2.0, 10.0, 5.0)
    np.testing.assert_allclose(np.stack(passed[:3])[:, 0], [3.0, 4.0, 3.0])
    np.testing.assert_allclose(passed.y[:, 0], [10 - 4 / 3, 10 + 4 / 3])
    np.testing.assert_allclose(by_hand.moving_statistics(passed, 0.9), [[0.3], [0.9 + 0.4]])
    moving = np.array([[1.0], [4.0]])
    np.testing.assert_allclose(by_hand.evaluate(np.array([[7.0]]), moving, 2.0, 10.0, 5.0), [[10 + 2 * 6 / 3]])


@pytest.mark.parametrize("factor", [0.01, 3.0, 1000.0])
def test_the_scale_of_the_input_does_not_matter_but_for_epsilon(factor: float) -> None:
    z = _example("regression").z
    scaled = by_hand.forward(factor * z, GAMMA, BETA, factor**2 * EPSILON).y
    np.testing.assert_allclose(scaled, by_hand.forward(z, GAMMA, BETA, EPSILON).y, rtol=1e-12)
    small, large = (by_hand.forward(inputs, GAMMA, BETA, 1e-12).y for inputs in (z, factor * z))
    np.testing.assert_allclose(small, large, rtol=0, atol=1e-7)


def test_gradients_by_z_sum_to_zero_and_stand_across_x_hat() -> None:
    example = _example("classification")
    passed = by_hand.forward(example.z, GAMMA, BETA, EPSILON)
    g = np.random.default_rng(5).normal(size=example.z.shape)
    grad_z = by_hand.backward(g, passed, GAMMA).z
    np.testing.assert_allclose(grad_z.sum(axis=0), 0.0, atol=1e-14)
    # Only epsilon keeps it from being at a right angle to x_hat: mean(x_hat squared) = v/(v + epsilon).
    left = GAMMA / passed.scale * (g * passed.x_hat).mean(axis=0) * EPSILON / (passed.variance + EPSILON)
    np.testing.assert_allclose((grad_z * passed.x_hat).mean(axis=0), left, atol=1e-14)
