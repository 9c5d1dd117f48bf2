"""Schedules: against a slow reference, against Keras's own, and as a factor of every run's own rate."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

from normlab.study.design import Study
from normlab.train.loop import RunState, Totals, Trainer, scaled
from normlab.train.objective import objective_for
from normlab.train.optimizers import OPTIMIZERS, rate_position
from normlab.train.schedules import CONSTANT, SCHEDULES, Schedule, schedule_for
from tests.train.setting import train_epoch

NUM, FEATURES, CLASSES, SIZE, RATE = 22, 5, 3, 8, 0.125
STEPS_PER_EPOCH, NUM_EPOCHS = 3, 4
RNG = np.random.default_rng(0)
X = RNG.normal(size=(NUM, FEATURES)).astype(np.float32)
Y = RNG.integers(CLASSES, size=NUM).astype(np.int32)
ORDERS = [np.random.default_rng(epoch).permutation(NUM).astype(np.int32) for epoch in range(NUM_EPOCHS)]


def _reference(decay: str, step: int, total: int, warmup: int) -> float:
    if step < warmup:
        return step / warmup
    done, all_steps = step - warmup, total - warmup
    if decay == "cosine":
        return (1 + math.cos(math.pi * done / all_steps)) / 2
    if decay == "step":
        falls = sum(done >= share * all_steps for share in (0.5, 0.75))
        return [1.0, 0.1, 0.01][falls]
    return 1.0


@pytest.mark.parametrize("decay", SCHEDULES)
@pytest.mark.parametrize(("total", "warmup"), [(1, 0), (2, 1), (12, 0), (60, 7), (64, 16), (17190, 1719)])
def test_the_factor_at_every_step(decay: str, total: int, warmup: int) -> None:
    found = Schedule(decay, total, warmup).factor(jnp.arange(total, dtype=jnp.int32))
    assert found.dtype == jnp.float32
    expected = [_reference(decay, step, total, warmup) for step in range(total)]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("warmup", [0, 5])
def test_cosine_is_kerass_own(warmup: int) -> None:
    theirs = _keras_cosine(40, warmup)
    ours = Schedule("cosine", 40, warmup)
    for step in range(40):
        assert RATE * float(ours.factor(jnp.int32(step))) == pytest.approx(float(theirs(step)), rel=1e-5, abs=1e-7)


@pytest.mark.parametrize(
    ("warmup", "steps_per_epoch", "warmup_steps"),
    [(0, 34, 0), (1, 34, 34), (0.5, 34, 17), (0.1, 34, 3), (0.001, 34, 1)],
)
def test_a_warm_up_is_whole_steps(warmup: float, steps_per_epoch: int, warmup_steps: int) -> None:
    schedule = schedule_for("step", warmup, 3, steps_per_epoch)
    assert schedule == Schedule("step", 3 * steps_per_epoch, warmup_steps)
    assert schedule_for("constant", warmup, 3, steps_per_epoch).is_constant == (warmup == 0)


def test_a_study_knows_the_same_names() -> None:
    assert set(SCHEDULES) == set(Study.model_fields["schedule"].annotation.__args__)  # type: ignore[union-attr]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_run_trains_as_keras_does_with_its_own_schedule(optimizer: str) -> None:
    """All optimizers, the decoupled weight decay of AdamW included; the gradients are those of softmax regression."""
    warmup = 2
    trainer, state = _trainer(optimizer, Schedule("cosine", NUM_EPOCHS * STEPS_PER_EPOCH, warmup))
    after, _ = _trained(trainer, state)
    schedule = _keras_cosine(NUM_EPOCHS * STEPS_PER_EPOCH, warmup)
    theirs = OPTIMIZERS[optimizer].build()
    theirs.learning_rate = schedule
    variables = [keras.Variable(value) for value in state.trainable]
    for order in ORDERS:
        for first in range(0, NUM, SIZE):
            chosen = order[first : first + SIZE]
            theirs.apply(_gradients(*(np.asarray(v) for v in variables), chosen), variables)
    for ours, variable in zip(after.trainable, variables, strict=True):
        np.testing.assert_allclose(ours, variable.value, rtol=1e-3, atol=1e-5)
    own = rate_position(trainer.optimizer)
    assert np.asarray(after.optimizer[own]) == np.float32(RATE)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_constant_rate_costs_nothing(optimizer: str) -> None:
    """Without options the program is the plain one, operation by operation, and so is every bit."""
    trainer, state = _trainer(optimizer, CONSTANT)
    order, count = ORDERS[0], np.int32(NUM // SIZE)
    programs = [
        jax.jit(lambda s, x, y, o, n, epoch=epoch: epoch(trainer, s, x, y, o, n)) for epoch in (train_epoch, _plain)
    ]
    texts = [program.lower(state, X, Y, order, count).as_text() for program in programs]
    assert texts[0] == texts[1]
    scheduled = Trainer(trainer.model, trainer.optimizer, trainer.objective, SIZE, 1.0, Schedule("step", 12))
    text = jax.jit(lambda s, x, y, o, n: train_epoch(scheduled, s, x, y, o, n)).lower(state, X, Y, order, count)
    assert text.as_text() != texts[1]


def _keras_cosine(total: int, warmup: int) -> keras.optimizers.schedules.CosineDecay:
    if not warmup:
        return keras.optimizers.schedules.CosineDecay(RATE, total)
    return keras.optimizers.schedules.CosineDecay(0.0, total - warmup, warmup_target=RATE, warmup_steps=warmup)


def _trainer(name: str, schedule: Schedule) -> tuple[Trainer, RunState]:
    model = keras.Sequential([keras.Input((FEATURES,)), keras.layers.Dense(CLASSES)])
    optimizer = OPTIMIZERS[name].build()
    optimizer.build(model.trainable_variables)
    optimizer.learning_rate = RATE
    trainer = Trainer(model, optimizer, objective_for("classification", CLASSES, model), SIZE, 1.0, schedule)
    values = [jnp.asarray(v.value) for v in model.trainable_variables]
    zero = jnp.int32(0)
    return trainer, RunState(values, [], [jnp.asarray(v.value) for v in optimizer.variables], zero, zero)


def _trained(trainer: Trainer, state: RunState) -> tuple[RunState, Totals]:
    program = jax.jit(lambda s, x, y, o, n: train_epoch(trainer, s, x, y, o, n))
    for order in ORDERS:
        state, totals = program(state, X, Y, order, NUM // SIZE)
    return state, totals


def _gradients(w: np.ndarray, b: np.ndarray, chosen: np.ndarray) -> list[jax.Array]:
    z = X[chosen].astype(np.float64) @ w + b
    p = np.exp(z - z.max(1, keepdims=True))
    g = (p / p.sum(1, keepdims=True) - np.eye(CLASSES)[Y[chosen]]) / len(chosen)
    return [jnp.asarray(g_, jnp.float32) for g_ in (X[chosen].T @ g, g.sum(0))]


def _plain(trainer: Trainer, state: RunState, x, y, order, num_batches):
    """Train an epoch without any option, written out."""
    size = trainer.batch_size
    whole = len(order) // size
    batches = order[: whole * size].reshape(whole, size)

    def take(carry, x, y):
        state, totals = carry

        def mean_loss(trainable):
            outputs, non_trainable, penalties = trainer.model.stateless_call(
                trainable, state.non_trainable, scaled(x, trainer.divisor), training=True, return_losses=True
            )
            losses, hits = trainer.objective.per_sample(outputs, y)
            return losses.mean() + sum(penalties), (non_trainable, losses.sum(), hits.sum())

        (_, (non_trainable, losses, hits)), gradients = jax.value_and_grad(mean_loss, has_aux=True)(state.trainable)
        trainable, optimizer = trainer.optimizer.stateless_apply(state.optimizer, gradients, state.trainable)
        step = state.step + 1
        bad = ~(losses / len(y) <= trainer.objective.divergence_bound)
        diverged_step = jnp.where((state.diverged_step == 0) & bad, step, state.diverged_step)
        after = RunState(trainable, non_trainable, optimizer, step, diverged_step)
        return after, Totals(totals.loss + losses, totals.hits + hits)

    def one(position, carry):
        chosen = batches[position]
        return take(carry, x[chosen], y[chosen])

    carry = jax.lax.fori_loop(jnp.int32(0), num_batches, one, (state, Totals(jnp.float32(0), jnp.float32(0))))
    chosen = order[whole * size :]
    return take(carry, x[chosen], y[chosen])
