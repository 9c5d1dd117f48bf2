"""Internal covariate shift: against the definition written as a loop, and laws at a step of zero and of small size."""

from __future__ import annotations

import jax
import keras
import numpy as np
import pytest

from normlab.errors import InputError
from normlab.probes import covariate_shift
from normlab.probes.alone import alone
from tests.probes.networks import BATCH, drawn, measured, plain, plain_loss, samples, slope, values

RATE = 0.5


def _loop(point: list[np.ndarray], x: np.ndarray, y: np.ndarray, layers: list[list[int]]) -> np.ndarray:
    """Definition 2.1 of Santurkar et al. by finite differences: per layer but the first, (distance, cosine, norm)."""

    def gradient(parameters: list[np.ndarray], index: int) -> np.ndarray:
        return slope(
            lambda value: plain_loss([value if i == index else p for i, p in enumerate(parameters)], x, y),
            parameters[index],
        )

    stepped = [own - RATE * gradient(point, index) for index, own in enumerate(point)]
    found = []
    for number in range(1, len(layers)):
        before = {index for layer in layers[:number] for index in layer}
        mixed = [stepped[index] if index in before else own for index, own in enumerate(point)]
        now = np.concatenate([gradient(point, index).ravel() for index in layers[number]])
        then = np.concatenate([gradient(mixed, index).ravel() for index in layers[number]])
        sizes = np.linalg.norm(now), np.linalg.norm(then)
        found.append((np.linalg.norm(now - then), now @ then / (sizes[0] * sizes[1]), sizes[0]))
    return np.array(found)


def test_it_is_the_definition_written_as_a_loop() -> None:
    model = plain()
    x, y = samples(BATCH, 4)
    found = measured(covariate_shift, model, x, y, optimizer=keras.optimizers.SGD(RATE))
    expected = _loop(values(model), x, y, [[0, 1], [2, 3], [4, 5]])
    assert covariate_shift.layers(alone(model)[0], x)["gradient_shift"] == ("norm", "head")
    for column, quantity in enumerate(("gradient_shift", "gradient_cosine", "gradient_norm")):
        np.testing.assert_allclose(found[quantity], expected[:, column], rtol=1e-3)
    assert expected[:, 0].min() > 0.01


def test_a_step_of_zero_shifts_nothing_and_the_shift_grows_with_the_step() -> None:
    x, y = samples(BATCH, 4)
    model = plain()
    none, small, twice = (
        measured(covariate_shift, model, x, y, optimizer=keras.optimizers.SGD(rate)) for rate in (0.0, 0.01, 0.02)
    )
    assert (none["gradient_shift"] < 1e-6 * none["gradient_norm"]).all()
    np.testing.assert_allclose(none["gradient_cosine"], 1.0, rtol=1e-6)
    assert (small["gradient_shift"] > 0).all()
    # To first order the shift is proportional to the step.
    np.testing.assert_allclose(twice["gradient_shift"] / small["gradient_shift"], 2.0, rtol=0.05)


def test_the_step_is_that_of_the_runs_own_optimizer_in_its_own_state() -> None:
    model = plain()
    x, y = samples(BATCH, 4)
    trainer, state = alone(model, optimizer=keras.optimizers.SGD(0.1, momentum=0.9))
    measure = jax.jit(lambda state: covariate_shift.measure(trainer, state, x, y)["gradient_shift"])
    still = measure(state)
    velocity = [np.asarray(v) + (0.3 if np.ndim(v) == 2 else 0.0) for v in state.optimizer]
    assert not np.allclose(still, measure(state._replace(optimizer=velocity)), rtol=0.1)
    assert np.array_equal(still, measure(state))


def test_layers_in_branches_that_share_no_path_shift_only_what_follows() -> None:
    """With a linear head and squared error, a layer whose input, output and error stand still keeps its gradient."""
    inputs = keras.Input((4,))
    left, right = keras.layers.Dense(2, name="left")(inputs), keras.layers.Dense(2, name="right")(inputs)
    model = drawn(keras.Model(inputs, keras.layers.Concatenate(name="both")([left, right])))
    x, y = samples(BATCH, 4)
    found = measured(
        covariate_shift, model, x, y[:, None] * 0.0, objective=_sums(), optimizer=keras.optimizers.SGD(1.0)
    )
    assert found["gradient_norm"] > 0.1
    assert found["gradient_shift"] < 1e-6


def _sums():
    from normlab.train.objective import Objective

    return Objective("sum of squares", lambda outputs, y: ((outputs**2).sum(-1) + y[:, 0], y[:, 0]), 1.0)


def test_a_network_of_one_layer_is_refused() -> None:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="only")])
    with pytest.raises(InputError, match=r"needs two layers with trainable variables.* with only; measure a deeper"):
        covariate_shift.layers(alone(model)[0], samples(2, 4)[0])
