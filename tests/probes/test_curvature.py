"""The Hessian's eigenvalue of largest magnitude: against the dense Hessian, on a quadratic, and its sign."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from normlab.probes import curvature
from normlab.probes.alone import alone
from normlab.train.objective import Objective
from tests.probes.networks import BATCH, measured, plain, samples
from tests.probes.test_landscape import quadratic


def _dense_hessian(model, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """JAX's own Hessian of the loss, written out, in training mode."""
    start, unravel = ravel_pytree([v.value for v in model.trainable_variables])
    state = [v.value for v in model.non_trainable_variables]

    def loss(flat):
        logits, _ = model.stateless_call(unravel(flat), state, x, training=True)
        return -jax.nn.log_softmax(logits)[np.arange(len(y)), y].mean()

    return np.asarray(jax.jit(jax.hessian(loss))(start), np.float64)


def test_it_is_that_of_the_dense_hessian() -> None:
    model = plain()
    x, y = samples(BATCH, 4)
    eigenvalues = np.linalg.eigvalsh(_dense_hessian(model, x, y))
    found = measured(curvature, model, x, y)
    assert found["eigenvalue"] == pytest.approx(eigenvalues[np.abs(eigenvalues).argmax()], rel=1e-2)
    assert 0 < found["residual"] <= curvature.TOLERANCE


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_on_a_quadratic_it_is_the_top_eigenvalue_with_its_sign(sign: float) -> None:
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(32, 3)).astype(np.float32), rng.normal(size=32).astype(np.float32)
    signed = Objective("signed", lambda outputs, targets: (sign * (outputs[:, 0] - targets) ** 2, targets), 1.0)
    found = measured(curvature, quadratic(x, y, rng.normal(size=3)), x, y, objective=signed)
    top = np.linalg.eigvalsh(2 * x.T @ x / len(x))[-1]
    assert found["eigenvalue"] == pytest.approx(sign * top, rel=1e-3)


def test_equal_eigenvalues_of_opposite_sign_never_settle_and_the_residual_says_so() -> None:
    """L = mean of (w·x)² with signs by sample: Hessian diag(2, -2), where power iteration swings for ever."""
    x = np.array([[1.0, 0.0], [0.0, 1.0]], np.float32) * np.sqrt(2, dtype=np.float32)
    signs = np.array([1.0, -1.0], np.float32)
    saddle = Objective("saddle", lambda outputs, targets: (targets * outputs[:, 0] ** 2, targets), 1.0)
    found = measured(curvature, quadratic(x, signs, np.ones(2)), x, signs, objective=saddle)
    assert found["residual"] > 10 * curvature.TOLERANCE


def test_a_loss_that_is_linear_has_curvature_zero() -> None:
    x, y = samples(BATCH, 3)
    linear = Objective("linear", lambda outputs, targets: (outputs[:, 0], targets), 1.0)
    found = measured(curvature, quadratic(x, y, np.ones(3)), x, y, objective=linear)
    assert found["eigenvalue"] == 0.0
    trainer, _ = alone(quadratic(x, y, np.ones(3)), "regression")
    assert curvature.layers(trainer, x) == {"eigenvalue": None, "residual": None}
