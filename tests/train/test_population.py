"""Many runs as one program: against Keras's own training, against a run alone, and against itself."""

from __future__ import annotations

import jax
import keras
import numpy as np
import pytest

from normlab.models import mlp
from normlab.norms import NORMS
from normlab.train.layouts import choose_layout
from normlab.train.order import epoch_order
from tests.train.setting import BATCH_SIZE, leaves, plan, population, small_digits

DIGITS = small_digits()
RATE = 0.05


def _trained(pop, seeds, rates, num_epochs: int = 2):
    state = pop.start(seeds, rates)
    records = []
    for epoch in range(num_epochs):
        orders = [epoch_order(seed, epoch, len(DIGITS.train)) for seed in seeds]
        state, record = pop.train(state, orders)
        records.append(record)
    return state, records


@pytest.mark.parametrize(
    ("norm", "optimizer"),
    [("none", "sgd"), ("batch", "sgd"), ("batch", "momentum"), ("batch", "adam"), ("none", "adamw")],
)
def test_fifty_steps_equal_keras_train_on_batch(norm: str, optimizer: str) -> None:
    """Same weights, same order, Keras's own loop: parameters, statistics and losses agree to float32 rounding."""
    rate = RATE if optimizer in ("sgd", "momentum") else 0.002
    blueprint_ = plan(norm)
    pop = population(blueprint_, DIGITS, 1, optimizer=optimizer)
    start = pop.start([7], [rate])
    twin = mlp(NORMS[norm], (8, 8), 10, widths=(24, 12))
    for variable, value in zip(twin.trainable_variables, start.trainable, strict=True):
        variable.assign(np.asarray(value)[0])
    twin.compile(
        {
            "sgd": keras.optimizers.SGD(rate),
            "momentum": keras.optimizers.SGD(rate, momentum=0.9),
            "adam": keras.optimizers.Adam(rate),
            "adamw": keras.optimizers.AdamW(rate),
        }[optimizer],
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    state, steps, losses = start, 0, []
    for epoch in range(4):  # 4 epochs of 13 steps: 52
        order = epoch_order(7, epoch, len(DIGITS.train))
        for first in range(0, len(order), BATCH_SIZE):
            chosen = order[first : first + BATCH_SIZE]
            loss = twin.train_on_batch(DIGITS.train.x[chosen] / np.float32(16), DIGITS.train.y[chosen])
            losses.append((float(loss), len(chosen)))
            steps += 1
        state, record = pop.train(state, [order])
    assert steps == 52
    assert int(state.step[0]) == steps
    for ours, theirs in zip(state.trainable, twin.trainable_variables, strict=True):
        np.testing.assert_allclose(np.asarray(ours)[0], np.asarray(theirs.value), rtol=2e-3, atol=2e-4)
    for ours, theirs in zip(state.non_trainable, twin.non_trainable_variables, strict=True):
        np.testing.assert_allclose(np.asarray(ours)[0], np.asarray(theirs.value), rtol=1e-3, atol=1e-4)
    validation = twin.evaluate(DIGITS.validation.x / np.float32(16), DIGITS.validation.y, verbose=0, batch_size=360)
    assert record.val_loss[0] == pytest.approx(validation, rel=1e-3)


@pytest.mark.parametrize(
    ("norm", "num_devices", "layout"),
    [("none", 2, "vmap"), ("batch", 1, "map"), ("batch", 2, "vmap"), ("batch", 3, "map"), ("batch", 3, "vmap")],
)
def test_a_run_in_a_population_equals_the_run_alone(norm: str, num_devices: int, layout) -> None:
    blueprint_ = plan(norm)
    seeds, rates = [0, 1, 2, 3], [0.02, 0.05, 0.1, 0.2]
    many, records = _trained(population(blueprint_, DIGITS, 4, layout=layout, num_devices=num_devices), seeds, rates)
    alone, lone_records = _trained(population(blueprint_, DIGITS, 1, num_devices=1), [2], [0.1])
    for together, single in zip(leaves(many, 2), leaves(alone, 0), strict=True):
        np.testing.assert_allclose(together, single, rtol=1e-3, atol=1e-5)
    assert records[-1].loss.shape == (4,)
    assert records[-1].val_loss[2] == pytest.approx(lone_records[-1].val_loss[0], rel=1e-4)
    assert len(set(records[-1].loss.tolist())) == 4


def test_the_same_chunk_twice_is_equal_bit_for_bit() -> None:
    blueprint_ = plan("batch")
    results = [_trained(population(blueprint_, DIGITS, 4, layout="vmap"), [0, 1, 2, 3], [RATE] * 4) for _ in range(2)]
    for one, other in zip(*(jax.tree.leaves(state) for state, _ in results), strict=True):
        assert np.asarray(one).tobytes() == np.asarray(other).tobytes()
    assert np.array_equal(results[0][1][-1].val_loss, results[1][1][-1].val_loss)


def test_fewer_runs_than_the_capacity_are_padded_and_the_padding_dropped() -> None:
    pop = population(plan("batch"), DIGITS, 4)
    assert pop.capacity == 6  # the next multiple of three devices
    state, records = _trained(pop, [5, 6], [RATE, RATE])
    assert records[0].loss.shape == (2,)
    losses, accuracies = pop.test(state, 2)
    assert losses.shape == accuracies.shape == (2,)
    _, full_records = _trained(pop, [5, 6, 7, 8], [RATE] * 4)
    assert np.array_equal(full_records[-1].loss[:2], records[-1].loss)


def test_records_are_means_over_the_samples_of_the_epoch() -> None:
    """At rate 0 without a norm nothing moves, so the epoch's loss is the evaluation loss of the initial network."""
    pop = population(plan("none"), DIGITS, 1)
    state, records = _trained(pop, [0], [0.0], num_epochs=1)
    model = plan("none").model
    for variable, value in zip(model.trainable_variables, state.trainable, strict=True):
        variable.assign(np.asarray(value)[0])
    for part, loss, accuracy in (
        (DIGITS.train, records[0].loss, records[0].accuracy),
        (DIGITS.validation, records[0].val_loss, records[0].val_accuracy),
        (DIGITS.test, *pop.test(state, 1)),
        (DIGITS.train, *pop.evaluate(state, 1, "train")),
    ):
        logits = np.asarray(model(part.x / np.float32(16)), dtype=np.float64)
        shifted = logits - logits.max(1, keepdims=True)
        log_softmax = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
        assert loss[0] == pytest.approx(-log_softmax[np.arange(len(part)), part.y].mean(), rel=1e-5)
        assert accuracy[0] == pytest.approx((logits.argmax(1) == part.y).mean(), abs=1e-6)


def test_divergence_is_marked_with_its_first_step_and_kept() -> None:
    pop = population(plan("none", activation="linear"), DIGITS, 2)
    state, records = _trained(pop, [0, 0], [1e-3, 1e4])
    calm, wild = records[0].diverged_step
    assert calm == 0
    assert 2 <= wild <= 13  # the first step's loss comes before the first update
    assert records[1].diverged_step[1] == wild
    assert not np.isfinite(pop.test(state, 2)[0][1]) or pop.test(state, 2)[0][1] > 100


def test_a_short_measurement_uses_the_same_program() -> None:
    pop = population(plan("none"), DIGITS, 3)
    state = pop.start([0, 1, 2], [RATE] * 3)
    orders = [epoch_order(seed, 0, len(DIGITS.train)) for seed in range(3)]
    state, _ = pop.train(state, orders, num_batches=4)
    compiled = pop.compile_seconds
    state, _ = pop.train(state, orders)
    assert state.step.tolist() == [5 + 13] * 3  # the short batch is a step in both calls
    assert pop.compile_seconds == compiled


@pytest.mark.parametrize("rest", [0, 5])
def test_without_validation_runs_are_the_same(rest: int) -> None:
    """To the bit where no step is compiled anew, else to rounding."""
    found = []
    for validate in (True, False):
        pop = population(plan("batch"), DIGITS, 3, layout="vmap")
        state = pop.start([0, 1, 2], [RATE] * 3)
        for epoch in range(2):
            orders = [epoch_order(seed, epoch, len(DIGITS.train))[: 4 * BATCH_SIZE + rest] for seed in range(3)]
            state, record = pop.train(state, orders, validate=validate)
        found.append((state, record, pop))
    (state, record, pop), (same, less, other) = found
    assert same.step.tolist() == [2 * (4 + (rest > 0))] * 3
    tolerance = 1e-5 if rest else 0.0
    for one, two in zip(jax.tree.leaves(state), jax.tree.leaves(same), strict=True):
        np.testing.assert_allclose(np.asarray(two), np.asarray(one), rtol=tolerance, atol=tolerance)
    for name in ("loss", "accuracy", "diverged_step"):
        np.testing.assert_allclose(getattr(less, name), getattr(record, name), rtol=tolerance)
    assert np.isfinite([record.val_loss, record.val_accuracy]).all()
    assert np.isnan([less.val_loss, less.val_accuracy]).all()
    assert less.val_loss.shape == (3,)
    # Neither kind compiles the other.
    assert (list(pop._end_programs), list(other._end_programs)) == ([True], [False])


def test_the_faster_layout_is_chosen_and_both_are_measured() -> None:
    blueprint_ = plan("none")
    chosen, seconds = choose_layout(lambda layout: population(blueprint_, DIGITS, 6, layout=layout))
    assert set(seconds) == {"map", "vmap"}
    assert chosen.layout == min(seconds, key=lambda name: seconds[name])
    single, nothing = choose_layout(lambda layout: population(blueprint_, DIGITS, 3, layout=layout))
    assert (single.layout, nothing) == ("map", {})


@pytest.mark.parametrize("num_batches", [1, 3])
def test_a_warm_up_is_not_timed_and_changes_no_bit(num_batches: int) -> None:
    orders = [epoch_order(seed, 0, len(DIGITS.train)) for seed in range(3)]
    pop = population(plan("batch"), DIGITS, 3)
    plain, record = pop.train(pop.start([0, 1, 2], [RATE] * 3), orders, num_batches)
    epoch = pop.begin(orders, num_batches=num_batches)
    state = pop.warm_up(pop.start([0, 1, 2], [RATE] * 3), epoch)
    assert (epoch.done, epoch.timed, epoch.seconds) == (num_batches > 1, 0, 0.0)
    state = pop.advance(state, epoch, num_batches)
    assert (epoch.done, epoch.timed) == (num_batches, num_batches - (num_batches > 1))
    assert epoch.estimated_seconds == pytest.approx(epoch.seconds * num_batches / epoch.timed)
    state, warmed = pop.finish(state, epoch, 3)
    for one, two in zip(jax.tree.leaves(plain), jax.tree.leaves(state), strict=True):
        np.testing.assert_array_equal(np.asarray(one), np.asarray(two))
    np.testing.assert_array_equal(record.val_loss, warmed.val_loss)


def test_an_epoch_without_a_full_batch_has_nothing_to_warm_up() -> None:
    pop = population(plan("none"), DIGITS, 3)
    epoch = pop.begin([epoch_order(seed, 0, 5) for seed in range(3)])
    state = pop.start([0, 1, 2], [RATE] * 3)
    assert pop.warm_up(state, epoch) is state
    assert pop._batches_program is None


def test_the_clock_leaves_transfer_out(monkeypatch: pytest.MonkeyPatch) -> None:
    pop = population(plan("none"), DIGITS, 3)
    orders = [epoch_order(seed, 0, len(DIGITS.train)) for seed in range(3)]
    assert pop.begin(orders).seconds == 0.0
    moments = iter(range(1000))
    state, _ = pop.train(pop.start([0, 1, 2], [RATE] * 3), orders)  # compiles
    monkeypatch.setattr("normlab.train.population.time.perf_counter", lambda: float(next(moments)))
    _, record = pop.train(state, orders)
    assert record.seconds == 2 / pop.capacity  # two programs, each between two looks at the clock
    assert next(moments) == 4
