"""The Hessian's extreme eigenvalues: against the dense Hessian, on quadratics, and their signs."""

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


def test_extremes_are_those_of_the_dense_hessian() -> None:
    model = plain()
    x, y = samples(BATCH, 4)
    eigenvalues = np.linalg.eigvalsh(_dense_hessian(model, x, y))
    assert eigenvalues[0] < -1e-3  # a saddle, of 58 parameters: more than products
    found = measured(curvature, model, x, y)
    assert found["largest_eigenvalue"] == pytest.approx(eigenvalues[-1], rel=1e-4)
    assert found["smallest_eigenvalue"] == pytest.approx(eigenvalues[0], rel=1e-3)
    assert found["residual"] < 1e-3


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_on_a_quadratic_of_few_parameters_they_are_exact_with_their_signs(sign: float) -> None:
    """Three parameters: the recurrence goes on for 30 products in a space of three."""
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(32, 3)).astype(np.float32), rng.normal(size=32).astype(np.float32)
    signed = Objective("signed", lambda outputs, targets: (sign * (outputs[:, 0] - targets) ** 2, targets), 1.0)
    found = measured(curvature, quadratic(x, y, rng.normal(size=3)), x, y, objective=signed)
    eigenvalues = np.linalg.eigvalsh(sign * 2 * x.T @ x / len(x))
    assert found["largest_eigenvalue"] == pytest.approx(eigenvalues[-1], rel=1e-4)
    assert found["smallest_eigenvalue"] == pytest.approx(eigenvalues[0], rel=1e-4)


def test_a_space_that_is_used_up_adds_no_eigenvalue() -> None:
    """One parameter, H = -2: after one product nothing is left, and 0 is no eigenvalue."""
    x = np.ones((2, 1), np.float32)
    downwards = Objective("downwards", lambda outputs, targets: (-(outputs[:, 0] ** 2), targets), 1.0)
    found = measured(curvature, quadratic(x, x[:, 0], np.ones(1)), x, x[:, 0], objective=downwards)
    assert found["largest_eigenvalue"] == pytest.approx(-2.0, rel=1e-5)
    assert found["smallest_eigenvalue"] == pytest.approx(-2.0, rel=1e-5)


def test_a_loss_that_is_linear_has_curvature_zero() -> None:
    x, y = samples(BATCH, 3)
    linear = Objective("linear", lambda outputs, targets: (outputs[:, 0], targets), 1.0)
    model = quadratic(x, y, np.ones(3))
    found = measured(curvature, model, x, y, objective=linear)
    assert found["largest_eigenvalue"] == found["smallest_eigenvalue"] == 0.0
    assert curvature.layers(alone(model, "regression")[0], x) == dict.fromkeys(found)
