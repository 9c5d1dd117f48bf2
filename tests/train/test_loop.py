"""One run's loop against plain NumPy: softmax regression by hand, its last short batch, its evaluation."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

from normlab.train.loop import EVALUATION_BATCH, RunState, Totals, Trainer, evaluate, scaled
from normlab.train.objective import cross_entropy, objective_for
from tests.train.setting import train_epoch

RNG = np.random.default_rng(0)
NUM, FEATURES, CLASSES, RATE, DIVISOR = 23, 5, 3, 0.5, 16.0
X = RNG.integers(0, 17, size=(NUM, FEATURES)).astype(np.uint8)
Y = RNG.integers(CLASSES, size=NUM).astype(np.int32)


def _trainer(batch_size: int) -> tuple[Trainer, RunState]:
    model = keras.Sequential([keras.Input((FEATURES,)), keras.layers.Dense(CLASSES)])
    optimizer = keras.optimizers.SGD(RATE)
    optimizer.build(model.trainable_variables)
    trainer = Trainer(model, optimizer, objective_for("classification", CLASSES, model), batch_size, DIVISOR)
    state = RunState(
        [jnp.asarray(v.value) for v in model.trainable_variables],
        [],
        [jnp.asarray(v.value) for v in optimizer.variables],
        jnp.int32(0),
        jnp.int32(0),
    )
    return trainer, state


def _epoch(trainer: Trainer, state: RunState, order: np.ndarray) -> tuple[RunState, Totals]:
    program = jax.jit(lambda s, x, y, o, n: train_epoch(trainer, s, x, y, o, n))
    return program(state, X, Y, order, NUM // trainer.batch_size)


def _by_hand(w: np.ndarray, b: np.ndarray, order: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray, float, int]:
    total, hits = 0.0, 0
    for first in range(0, len(order), size):
        x, y = X[order[first : first + size]] / DIVISOR, Y[order[first : first + size]]
        z = x @ w + b
        p = np.exp(z - z.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        total += -np.log(p[np.arange(len(y)), y]).sum()
        hits += int((p.argmax(1) == y).sum())
        g = (p - np.eye(CLASSES)[y]) / len(y)
        w, b = w - RATE * x.T @ g, b - RATE * g.sum(0)
    return w, b, total, hits


@pytest.mark.parametrize("batch_size", [1, 4, 8, 23])
def test_an_epoch_is_sgd_by_hand_with_the_short_batch_as_its_own_step(batch_size: int) -> None:
    trainer, state = _trainer(batch_size)
    order = RNG.permutation(NUM).astype(np.int32)
    w, b, total, hits = _by_hand(*(np.asarray(v, np.float64) for v in state.trainable), order, batch_size)
    after, totals = _epoch(trainer, state, order)
    np.testing.assert_allclose(after.trainable[0], w, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(after.trainable[1], b, rtol=1e-4, atol=1e-5)
    assert float(totals.loss) == pytest.approx(total, rel=1e-5)
    assert int(totals.hits) == hits
    assert int(after.step) == -(-NUM // batch_size)
    assert int(after.diverged_step) == 0


def test_the_first_step_beyond_the_bound_is_kept() -> None:
    trainer, state = _trainer(8)
    state = state._replace(trainable=[jnp.full((FEATURES, CLASSES), jnp.nan), state.trainable[1]], step=jnp.int32(6))
    order = np.arange(NUM, dtype=np.int32)
    after, totals = _epoch(trainer, state, order)
    assert int(after.diverged_step) == 7
    assert int(_epoch(trainer, after, order)[0].diverged_step) == 7
    assert np.isnan(float(totals.loss))


@pytest.mark.parametrize("num_samples", [1, EVALUATION_BATCH - 1, EVALUATION_BATCH, 2 * EVALUATION_BATCH + 7])
def test_evaluation_is_the_mean_over_all_samples_however_they_are_sliced(num_samples: int) -> None:
    trainer, state = _trainer(8)
    x = RNG.integers(0, 17, size=(num_samples, FEATURES)).astype(np.uint8)
    y = RNG.integers(CLASSES, size=num_samples).astype(np.int32)
    found = jax.jit(lambda s, x, y: evaluate(trainer, s, x, y))(state, x, y)
    losses, hits = cross_entropy((x / DIVISOR).astype(np.float32) @ state.trainable[0] + state.trainable[1], y)
    assert float(found.loss) == pytest.approx(float(np.mean(np.asarray(losses))), rel=1e-5)
    assert float(found.hits) == pytest.approx(float(np.mean(np.asarray(hits))), abs=1e-6)


def test_penalties_of_layers_enter_the_loss_that_is_minimized() -> None:
    trainer, state = _trainer(NUM)
    model = keras.Sequential([keras.Input((FEATURES,)), keras.layers.Dense(CLASSES, kernel_regularizer="l2")])
    penalized = Trainer(model, trainer.optimizer, trainer.objective, NUM, DIVISOR)
    order = np.arange(NUM, dtype=np.int32)
    plain, _ = _epoch(trainer, state, order)
    shrunk, _ = _epoch(penalized, state, order)
    # Keras's l2 adds 0.01 w^2, whose gradient is 0.02 w.
    expected = np.asarray(plain.trainable[0]) - RATE * 0.02 * np.asarray(state.trainable[0])
    np.testing.assert_allclose(shrunk.trainable[0], expected, rtol=1e-4, atol=1e-6)


def test_smoothing_enters_the_step_and_no_record() -> None:
    trainer, state = _trainer(NUM)
    smoothing = 0.25
    objective = objective_for("classification", CLASSES, trainer.model, smoothing)
    smoothed = dataclasses.replace(trainer, objective=objective)
    order = np.arange(NUM, dtype=np.int32)
    (plain, totals), (after, recorded) = _epoch(trainer, state, order), _epoch(smoothed, state, order)
    # One batch is the epoch, so the losses recorded are those before the step.
    assert float(recorded.loss) == pytest.approx(float(totals.loss), rel=1e-6)
    w, b = (np.asarray(v, np.float64) for v in state.trainable)
    p = np.exp((X / DIVISOR) @ w + b)
    p /= p.sum(1, keepdims=True)
    targets = (1 - smoothing) * np.eye(CLASSES)[Y] + smoothing / CLASSES
    np.testing.assert_allclose(
        after.trainable[0], w - RATE * (X / DIVISOR).T @ ((p - targets) / NUM), rtol=1e-4, atol=1e-6
    )
    assert not np.allclose(after.trainable[0], plain.trainable[0], atol=1e-4)


def test_inputs_are_divided_in_float32() -> None:
    assert scaled(jnp.asarray(X), 16.0).dtype == jnp.float32
    assert np.array_equal(np.asarray(scaled(jnp.asarray(X), 16.0)), X.astype(np.float32) / np.float32(16))


@pytest.mark.parametrize(("penalty", "rate", "diverges"), [(1e4, 1e-9, False), (0.0, 1e9, True)])
def test_divergence_is_judged_on_the_loss_without_penalties(penalty: float, rate: float, diverges: bool) -> None:
    """A penalty of thousands beside a healthy cross-entropy is no divergence; a cross-entropy that explodes is one."""
    regularizer = keras.regularizers.L1(penalty)
    model = keras.Sequential([keras.Input((FEATURES,)), keras.layers.Dense(CLASSES, kernel_regularizer=regularizer)])
    optimizer = keras.optimizers.SGD(rate)
    optimizer.build(model.trainable_variables)
    objective = objective_for("classification", CLASSES, model, label_smoothing=0.5)
    trainer = Trainer(model, optimizer, objective, 4, DIVISOR)
    values = [jnp.asarray(v.value) for v in model.trainable_variables]
    state = RunState(values, [], [jnp.asarray(v.value) for v in optimizer.variables], jnp.int32(0), jnp.int32(0))
    assert penalty * sum(float(jnp.abs(v).sum()) for v in values) > objective.divergence_bound or diverges
    after, _ = _epoch(trainer, state, np.arange(NUM))
    assert bool(after.diverged_step) is diverges


def test_integers_stay_as_they_are_without_a_divisor() -> None:
    ids = np.array([[3, 2**24 + 1]], np.int32)
    found = scaled(jnp.asarray(ids), None)
    assert found.dtype == jnp.int32
    np.testing.assert_array_equal(found, ids)
