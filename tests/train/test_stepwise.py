"""Steps called from Python: the numbers of the loop inside a program, and chosen where convolutions meet a CPU."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from normlab.models import convnet, mlp, transformer
from normlab.norms import NORMS
from normlab.train.blueprint import blueprint
from normlab.train.layouts import choose_layout, has_convolution
from normlab.train.order import epoch_order
from tests.train.setting import leaves, plan, population, small_digits

DIGITS = small_digits(16 * 4 + 5)


@pytest.mark.parametrize("norm", ["batch", "precise"])
def test_the_numbers_are_those_of_the_loop(norm: str) -> None:
    blueprint_, seeds, rates = plan(norm), [4, 5], [0.1, 0.2]
    ends = []
    for layout in ("map", "steps"):
        pop = population(blueprint_, DIGITS, 2, layout=layout, num_devices=2)  # type: ignore[arg-type]
        state = pop.start(seeds, rates)
        for epoch in range(2):
            state, record = pop.train(state, [epoch_order(seed, epoch, len(DIGITS.train)) for seed in seeds])
        ends.append((state, record, pop.test(state, 2)))
    (looped, loop_record, loop_test), (stepped, step_record, step_test) = ends
    assert stepped.step.tolist() == looped.step.tolist() == [10, 10]
    for run in (0, 1):
        for one, other in zip(leaves(looped, run), leaves(stepped, run), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)
    for name in ("loss", "accuracy", "val_loss", "val_accuracy", "diverged_step"):
        np.testing.assert_allclose(getattr(loop_record, name), getattr(step_record, name), rtol=1e-4)
    np.testing.assert_allclose(loop_test, step_test, rtol=1e-4)


def test_padding_is_dropped_and_a_short_call_compiles_nothing_more() -> None:
    pop = population(plan("none"), DIGITS, 2, layout="steps", num_devices=2)
    assert pop.capacity == 2
    orders = [epoch_order(0, 0, len(DIGITS.train))]
    state, record = pop.train(pop.start([0], [0.1]), orders)
    assert record.loss.shape == (1,)
    compiled = pop.compile_seconds
    state, _ = pop.train(state, orders, num_batches=1)
    assert state.step.tolist() == [5 + 2, 5 + 2]  # the short batch is a step in both calls
    assert pop.compile_seconds == compiled


def test_convolutions_are_found_at_any_depth() -> None:
    def nested(layer: keras.layers.Layer) -> keras.Model:
        inside = keras.Sequential([keras.Input((8, 8, 1)), layer])
        return keras.Sequential([keras.Input((8, 8, 1)), inside])

    for layer in (keras.layers.Conv2D(2, 3), keras.layers.DepthwiseConv2D(3), keras.layers.Conv2DTranspose(2, 3)):
        assert has_convolution(nested(layer))
    assert not has_convolution(nested(keras.layers.MaxPooling2D()))
    assert has_convolution(convnet(NORMS["weight"], (8, 8), 10, widths=(4,)))
    assert not has_convolution(mlp(NORMS["none"], (8, 8), 10))
    assert not has_convolution(transformer(NORMS["none"], (8, 8), 10))


def test_convolutions_on_a_cpu_train_in_steps() -> None:
    images = blueprint(lambda: convnet(NORMS["none"], (8, 8), 10, widths=(2,), convs_per_stage=1))
    chosen, seconds = choose_layout(lambda layout: population(images, DIGITS, 6, layout=layout))
    assert (chosen.layout, chosen.capacity, seconds) == ("steps", 3, {})
