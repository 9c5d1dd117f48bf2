"""Gradients: against finite differences in float64, against a training step, and the law of batch norm's scale."""

from __future__ import annotations

import jax
import keras
import numpy as np
import pytest

from normlab.probes import gradients
from normlab.probes.alone import alone
from normlab.train.loop import Totals, train_step
from tests.probes.networks import BATCH, measured, plain, plain_loss, samples, slope, values


def test_norms_are_those_of_finite_differences() -> None:
    model = plain()
    x, y = samples(BATCH, 4)
    found = measured(gradients, model, x, y)
    point = values(model)

    def at(index: int, value: np.ndarray) -> float:
        return plain_loss([value if i == index else own for i, own in enumerate(point)], x, y)

    by_parameter = [slope(lambda value, i=i: at(i, value), own) for i, own in enumerate(point)]
    layers = (by_parameter[:2], by_parameter[2:4], by_parameter[4:])  # first, norm, head
    expected = [np.sqrt(sum((g**2).sum() for g in own)) for own in layers]
    np.testing.assert_allclose(found["parameter_gradient"], expected, rtol=1e-4)
    shapes = {"first": (BATCH, 5), "norm": (BATCH, 5), "activation": (BATCH, 5), "head": (BATCH, 3)}
    by_output = [
        slope(lambda shift, name=name: plain_loss(point, x, y, {name: shift}), np.zeros(shape))
        for name, shape in shapes.items()
    ]
    np.testing.assert_allclose(found["output_gradient"], [np.linalg.norm(g) for g in by_output], rtol=1e-4)


def test_the_loss_is_the_one_that_a_training_step_descends_penalties_included() -> None:
    """With SGD at rate 1, a step moves each layer by its gradient."""
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(5, kernel_regularizer="l2", activity_regularizer="l2", name="first"),
            layers.BatchNormalization(name="norm"),
            layers.Dense(3, name="head"),
        ]
    )
    trainer, state = alone(model, optimizer=keras.optimizers.SGD(1.0), divisor=2.0)
    x, y = samples(BATCH, 4)
    found = measured(gradients, model, x, y, divisor=2.0)
    after, _ = jax.jit(lambda state: train_step(trainer, (state, Totals(0.0, 0.0)), x, y))(state)
    moved = [np.asarray(new) - np.asarray(old) for new, old in zip(after.trainable, state.trainable, strict=True)]
    expected = [np.sqrt((moved[i] ** 2).sum() + (moved[i + 1] ** 2).sum()) for i in (0, 2, 4)]
    np.testing.assert_allclose(found["parameter_gradient"], expected, rtol=1e-4)


@pytest.mark.parametrize("factor", [0.5, 4.0])
def test_before_batch_norm_larger_weights_get_smaller_gradients(factor: float) -> None:
    """BN(cWx) = BN(Wx), so ∂L/∂(cW) = (∂L/∂W)/c and ∂L/∂(cWx) = (∂L/∂(Wx))/c; what follows does not change."""
    model = plain(epsilon=1e-12)
    x, y = samples(64, 4)
    before = measured(gradients, model, x, y)
    first = model.get_layer("first")
    first.set_weights([factor * np.asarray(weight.value) for weight in first.weights])
    after = measured(gradients, model, x, y)
    for quantity in ("parameter_gradient", "output_gradient"):
        expected = before[quantity] / np.where(np.arange(len(before[quantity])) == 0, factor, 1.0)
        np.testing.assert_allclose(after[quantity], expected, rtol=1e-3)


def test_a_frozen_layer_has_no_parameter_gradient_but_an_output_gradient() -> None:
    model = plain()
    model.get_layer("first").trainable = False
    x, y = samples(BATCH, 4)
    where = gradients.layers(alone(model)[0], x)
    assert where["parameter_gradient"] == ("norm", "head")
    assert where["output_gradient"][0] == "first"
    found = measured(gradients, model, x, y)
    assert found["parameter_gradient"].shape == (2,)
    assert found["output_gradient"].shape == (4,)
