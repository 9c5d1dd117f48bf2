"""Optimizers by name: Keras's own, their grids, and a rate per run."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from normlab.study.design import Study
from normlab.train.optimizers import OPTIMIZERS, initial_state

CLASSES = {
    "sgd": (keras.optimizers.SGD, 0.0),
    "momentum": (keras.optimizers.SGD, 0.9),
    "adam": (keras.optimizers.Adam, None),
    "adamw": (keras.optimizers.AdamW, None),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_is_kerass_own(name: str) -> None:
    kind, momentum = CLASSES[name]
    built = OPTIMIZERS[name].build()
    assert type(built) is kind
    assert getattr(built, "momentum", None) == momentum
    assert OPTIMIZERS[name].build() is not built


def test_a_study_knows_the_same_names() -> None:
    assert set(OPTIMIZERS) == set(Study.model_fields["optimizer"].annotation.__args__)  # type: ignore[union-attr]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_grids_ascend_in_steps_of_about_three(name: str) -> None:
    grid = OPTIMIZERS[name].grid
    steps = np.divide(grid[1:], grid[:-1])
    assert len(grid) >= 5
    assert ((steps > 2.9) & (steps < 3.5)).all()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_run_has_its_own_rate_and_fresh_moments(name: str) -> None:
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    optimizer = OPTIMIZERS[name].build()
    optimizer.build(model.trainable_variables)
    rates = [0.1, 0.01, 0.001]
    state = initial_state(optimizer, rates)
    assert len(state) == len(optimizer.variables)
    for variable, value in zip(optimizer.variables, state, strict=True):
        assert value.shape == (3, *variable.shape)
        if variable.name == "learning_rate":
            np.testing.assert_allclose(value, rates, rtol=1e-6)
        else:
            assert not value.any()
