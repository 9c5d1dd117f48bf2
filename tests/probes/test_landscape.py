"""The landscape along the gradient: on a quadratic, where all is known, and against a loop over steps."""

from __future__ import annotations

import jax
import keras
import numpy as np
import pytest

from normlab.probes import landscape
from normlab.probes.alone import alone
from normlab.probes.landscape import STEPS, along_gradient
from tests.probes.networks import BATCH, measured, plain, plain_loss, samples, slope, values


def quadratic(x: np.ndarray, y: np.ndarray, start: np.ndarray) -> keras.Model:
    """Return w·x with squared error: L(w) = mean (w·x - y)², with Hessian 2 XᵀX / n."""
    model = keras.Sequential([keras.Input((x.shape[1],)), keras.layers.Dense(1, use_bias=False)])
    model.layers[0].set_weights([start[:, None]])
    return model


def test_on_a_quadratic_beta_along_the_top_eigenvector_is_the_top_eigenvalue() -> None:
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(32, 3)).astype(np.float32), rng.normal(size=32).astype(np.float32)
    hessian = 2 * x.T @ x / len(x)
    eigenvalues, vectors = np.linalg.eigh(hessian)
    lowest = np.linalg.solve(x.T @ x, x.T @ y)
    model = quadratic(x, y, lowest + 0.7 * vectors[:, -1])
    found = measured(landscape, model, x, y, task="regression")
    assert found["smoothness"] == pytest.approx(eigenvalues[-1], rel=1e-4)
    # Along the eigenvector the gradient is λt, the loss at distance t from the lowest point is least + λt²/2.
    least = np.mean((x @ lowest - y) ** 2)
    losses = [least + eigenvalues[-1] / 2 * (0.7 * (1 - step * eigenvalues[-1])) ** 2 for step in STEPS]
    assert found["loss_lowest"] == pytest.approx(min(losses), rel=1e-4)
    assert found["loss_highest"] == pytest.approx(max(losses), rel=1e-4)
    assert found["loss_range"] == pytest.approx(max(losses) - min(losses), rel=1e-3)
    assert found["gradient_change"] == pytest.approx(max(STEPS) * eigenvalues[-1] ** 2 * 0.7, rel=1e-4)


def test_on_a_quadratic_beta_is_the_same_for_all_steps_and_between_the_eigenvalues() -> None:
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(32, 3)).astype(np.float32), rng.normal(size=32).astype(np.float32)
    start = rng.normal(size=3)
    trainer, state = alone(quadratic(x, y, start), "regression")
    found = along_gradient(trainer, state, x, y, [0.01, 0.1, 1.0])
    hessian = 2 * x.T @ x / len(x)
    gradient = 2 * x.T @ (x @ start - y) / len(x)
    expected = np.linalg.norm(hessian @ gradient) / np.linalg.norm(gradient)
    np.testing.assert_allclose(found["smoothness"], expected, rtol=1e-3)
    assert np.linalg.eigvalsh(hessian)[0] < expected < np.linalg.eigvalsh(hessian)[-1]


def test_with_batch_norm_it_is_a_loop_over_steps() -> None:
    model = plain()
    x, y = samples(BATCH, 4)
    trainer, state = alone(model)
    steps = [0.1, 1.0]
    found = jax.jit(lambda state: along_gradient(trainer, state, x, y, steps))(state)
    point = values(model)
    sizes = np.cumsum([0, *(p.size for p in point)])

    def loss(flat: np.ndarray) -> float:
        parts = [flat[a:b].reshape(p.shape) for a, b, p in zip(sizes, sizes[1:], point, strict=False)]
        return plain_loss(parts, x, y)

    start = np.concatenate([p.ravel() for p in point])
    gradient = slope(loss, start)
    for place, step in enumerate(steps):
        there = start - step * gradient
        change = np.linalg.norm(gradient - slope(loss, there))
        assert found["loss"][place] == pytest.approx(loss(there), rel=1e-4)
        assert found["gradient_change"][place] == pytest.approx(change, rel=1e-3)
        assert found["smoothness"][place] == pytest.approx(change / (step * np.linalg.norm(gradient)), rel=1e-3)
