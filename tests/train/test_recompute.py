"""Precise statistics inside the program: against `normlab.norms.precise.recompute` on the trained model."""

from __future__ import annotations

import dataclasses

import jax
import keras
import numpy as np
import pytest

from normlab.models import mlp
from normlab.norms import NORMS
from normlab.norms.precise import recompute
from normlab.train.blueprint import Blueprint, blueprint
from normlab.train.loop import RunState, Trainer
from normlab.train.order import epoch_order, statistics_order
from normlab.train.population import Layout, Population
from normlab.train.recompute import recomputed_state
from tests.train.setting import BATCH_SIZE, leaves, population, small_digits

DIGITS = small_digits(16 * 4 + 5)
SEEDS, RATES = [0, 1], [0.1, 0.3]
ORDERS = [[epoch_order(seed, epoch, len(DIGITS.train)) for seed in SEEDS] for epoch in range(2)]


class Block(keras.layers.Layer):
    """Dense and norm inside a layer of the user's own."""

    def __init__(self, norm) -> None:
        super().__init__()
        self.dense, self.norm = keras.layers.Dense(12, use_bias=False), norm(name="inner")

    def build(self, shape) -> None:
        self.dense.build(shape)
        self.norm.build((shape[0], 12))

    def call(self, x, training=None):
        return keras.ops.relu(self.norm(self.dense(x), training=training))


def _nested(norm) -> keras.Model:
    layers = [keras.Input((8, 8)), keras.layers.Flatten(), Block(norm), keras.layers.Dense(10)]
    return keras.Sequential(layers)


BUILDERS = {
    "mlp": lambda: mlp(NORMS["precise"], (8, 8), 10, widths=(12,)),
    "nested": lambda: _nested(NORMS["precise"]),
}


def _population(plan: Blueprint, layout: Layout, recomputes: bool) -> Population:
    pop = population(plan, DIGITS, 2, layout=layout, num_devices=1)
    pop.trainer = dataclasses.replace(pop.trainer, recomputes=recomputes)
    return pop


def _trained(pop: Population):
    state = pop.start(SEEDS, RATES)
    for orders in ORDERS:
        state, record = pop.train(state, orders)
    return state, record


@pytest.fixture(scope="module")
def mapped():
    pop = _population(blueprint(BUILDERS["mlp"]), "map", recomputes=True)
    return pop, *_trained(pop)


@pytest.fixture(scope="module")
def vectorized():
    pop = _population(blueprint(BUILDERS["nested"]), "vmap", recomputes=True)
    return pop, *_trained(pop)


@pytest.mark.parametrize(("name", "trained"), [("mlp", "mapped"), ("nested", "vectorized")])
def test_an_evaluation_uses_the_statistics_of_the_training_part(
    name: str, trained: str, request: pytest.FixtureRequest
) -> None:
    pop, state, record = request.getfixturevalue(trained)
    losses, accuracies = pop.test(state, 2)
    model = BUILDERS[name]()
    for run in range(2):
        for variables, values in (
            (model.trainable_variables, state.trainable),
            (model.non_trainable_variables, state.non_trainable),
        ):
            for variable, value in zip(variables, values, strict=True):
                variable.assign(np.asarray(value)[run])
        x = DIGITS.train.x[statistics_order(len(DIGITS.train))] / np.float32(16)
        recompute(model, np.split(x, range(BATCH_SIZE, len(x), BATCH_SIZE)))
        for part, loss, accuracy in (
            (DIGITS.validation, record.val_loss, record.val_accuracy),
            (DIGITS.test, losses, accuracies),
        ):
            logits = np.asarray(model(part.x / np.float32(16)))
            theirs = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(part.y, logits)
            assert loss[run] == pytest.approx(float(theirs), rel=1e-4)
            assert accuracy[run] == pytest.approx((logits.argmax(1) == part.y).mean(), abs=1e-6)


def test_training_does_not_notice(mapped) -> None:
    """The state, running statistics included, is that of batch norm; only what is evaluated differs."""
    pop, precise, precise_record = mapped
    running, running_record = _trained(_population(pop.plan, "map", recomputes=False))
    for one, other in zip(leaves(precise, 1), leaves(running, 1), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(precise_record.loss, running_record.loss, rtol=1e-5)
    # After ten steps the moving values of momentum 0.99 are far from those of the training part.
    assert np.abs(precise_record.val_loss - running_record.val_loss).min() > 0.01


def test_a_second_evaluation_of_running_statistics_is_that_of_precise_ones(mapped) -> None:
    """A population that evaluates with running statistics can be asked for the others; its state stays as it is."""
    pop, state, _ = mapped
    running = _population(pop.plan, "map", recomputes=False)
    kept = leaves(state, 1)
    for second, first in zip(running.test(running.recomputed(state), 2), pop.test(state, 2), strict=True):
        np.testing.assert_allclose(second, first, rtol=1e-6)
    assert all(np.array_equal(a, b) for a, b in zip(kept, leaves(state, 1), strict=True))
    assert np.abs(np.subtract(running.test(state, 2), pop.test(state, 2))).max() > 0.01


def test_a_last_batch_of_one_sample_is_left_out() -> None:
    """It has no variance: where all others agree, one sample alone would show."""
    model = keras.Sequential([keras.Input((2,)), keras.layers.BatchNormalization()])
    x = np.full((5, 2), 3.0, np.float32)
    order = statistics_order(5)
    x[order[-1]] = 1000.0
    trainer = Trainer(model, None, None, batch_size=2, divisor=1.0)  # type: ignore[arg-type]
    values = [[v.value for v in part] for part in (model.trainable_variables, model.non_trainable_variables)]
    state = recomputed_state(trainer, RunState(*values, [], 0, 0), jax.numpy.asarray(x))
    np.testing.assert_allclose(state.non_trainable[0], 3.0)
