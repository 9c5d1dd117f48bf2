"""SGD with variable settings: the same steps as Keras's SGD, and settings per run."""

from __future__ import annotations

import jax
import keras
import numpy as np
import pytest

from normlab.train.optimizers import initial_state, new_optimizer, with_settings
from normlab.train.variable_sgd import VariableSGD

SETTINGS = [(0.1, 0.0, 0.0), (0.1, 0.9, 0.0), (0.03, 0.0, 0.1), (0.3, 0.99, 0.01)]
RNG = np.random.default_rng(0)
START = [RNG.normal(size=(3, 2)).astype("float32"), RNG.normal(size=2).astype("float32")]
GRADIENTS = [[RNG.normal(size=value.shape).astype("float32") for value in START] for _ in range(4)]


def _built(optimizer: keras.optimizers.Optimizer) -> keras.optimizers.Optimizer:
    optimizer.build([keras.Variable(value) for value in START])
    return optimizer


def _steps(optimizer: keras.optimizers.Optimizer, state: list[object]) -> list[np.ndarray]:
    values: list[object] = list(START)
    for gradients in GRADIENTS:
        values, state = optimizer.stateless_apply(state, gradients, values)
    return [np.asarray(value) for value in values]


@pytest.mark.parametrize(("rate", "momentum", "decay"), SETTINGS)
def test_the_steps_are_those_of_keras(rate: float, momentum: float, decay: float) -> None:
    ours = _built(VariableSGD(rate, momentum, decay))
    theirs = _built(keras.optimizers.SGD(rate, momentum=momentum, weight_decay=decay))
    for a, b in zip(*(_steps(o, [v.value for v in o.variables]) for o in (ours, theirs)), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-6, atol=1e-6)


def test_every_run_has_its_own_settings() -> None:
    optimizer = _built(new_optimizer("variable_sgd"))
    rates, momenta, decays = (list(column) for column in zip(*SETTINGS, strict=True))
    state = jax.device_put(initial_state(optimizer, rates))
    state = with_settings(optimizer, state, {"momentum": momenta, "weight_decay": decays})
    together = jax.vmap(lambda own: jax.numpy.concatenate([v.ravel() for v in _traced(optimizer, own)]))(state)
    for run, (rate, momentum, decay) in enumerate(SETTINGS):
        alone = _built(keras.optimizers.SGD(rate, momentum=momentum, weight_decay=decay))
        expected = np.concatenate([v.ravel() for v in _steps(alone, [v.value for v in alone.variables])])
        np.testing.assert_allclose(together[run], expected, rtol=2e-6, atol=1e-6)


def _traced(optimizer: keras.optimizers.Optimizer, state: list[jax.Array]) -> list[jax.Array]:
    values = [jax.numpy.asarray(value) for value in START]
    for gradients in GRADIENTS:
        values, state = optimizer.stateless_apply(state, gradients, values)
    return values


def test_an_unknown_setting_is_refused() -> None:
    optimizer = _built(new_optimizer("variable_sgd"))
    with pytest.raises(KeyError, match="nesterov"):
        with_settings(optimizer, initial_state(optimizer, [0.1]), {"nesterov": [1.0]})
