"""Memory: counted by hand where that is possible, and laws in the batch and in the norm."""

from __future__ import annotations

from functools import cache

import keras
import numpy as np
import pytest

from normlab.norms import NORMS
from normlab.probes import memory
from normlab.probes.alone import alone
from normlab.probes.memory import QUANTITIES, saved_for_backward
from tests.probes.networks import samples

UNITS, INPUTS, CLASSES = 16, 8, 3
FLOAT = 4


def _network(norm: str) -> keras.Model:
    layers = [
        keras.Input((INPUTS,)),
        keras.layers.Dense(UNITS, use_bias=False),
        NORMS[norm](name="norm"),
        keras.layers.Activation("tanh"),
        keras.layers.Dense(CLASSES, use_bias=False),
    ]
    return keras.Sequential(layers)


@cache
def _measured(norm: str, batch: int) -> dict[str, float]:
    trainer, state = alone(_network(norm))
    found = memory.measure(trainer, state, *samples(batch, INPUTS))
    assert tuple(found) == QUANTITIES
    return {name: float(value) for name, value in found.items()}


def test_what_is_saved_is_counted_by_hand() -> None:
    import jax.numpy as jnp

    x, y = np.zeros((32, 5), np.float32), np.zeros((32, 3), np.float32)
    w = np.zeros((5, 3), np.float32)

    # ∂/∂w needs 2x, which is computed, and the doubled error; x itself is an argument.
    assert saved_for_backward(lambda w, x, y: ((2 * x @ w - y) ** 2).sum(), w, x, y) == FLOAT * 32 * (5 + 3)
    assert saved_for_backward(lambda w, x, y: ((x @ w - y) ** 2).sum(), w, x, y) == FLOAT * 32 * 3
    # A linear function saves nothing but arguments; a ReLU one bit, in a byte, per value.
    assert saved_for_backward(lambda w, x: (x @ w).sum(), w, x) == 0
    assert saved_for_backward(lambda w, x: jnp.where(x @ w > 0, x @ w, 0.0).sum(), w, x) == 32 * 3
    # What depends on no argument costs nothing to make again.
    assert saved_for_backward(lambda w, x: (x @ w * jnp.arange(3.0)).sum(), w, x) == 0


def test_parameters_buffers_and_operations_are_those_of_the_layers() -> None:
    none, batch = _measured("none", 32), _measured("batch", 32)
    weights = INPUTS * UNITS + UNITS * CLASSES
    assert none["parameter_bytes"] == FLOAT * weights
    assert batch["parameter_bytes"] == FLOAT * (weights + 2 * UNITS)
    assert (none["running_bytes"], batch["running_bytes"]) == (0, FLOAT * 2 * UNITS)
    products = 2 * 32 * weights
    assert products <= none["inference_flops"] < 1.5 * products
    # Two products more in the backward pass, but for the input of the first layer, which nothing asks for.
    backward = products + 2 * 32 * UNITS * CLASSES
    assert products + backward <= none["training_flops"] < 1.5 * (products + backward)
    assert batch["training_flops"] > none["training_flops"]


def test_without_a_norm_what_is_saved_grows_as_the_batch_and_batch_norm_saves_more() -> None:
    none, twice, batch = _measured("none", 32), _measured("none", 64), _measured("batch", 32)
    assert twice["saved_bytes_per_sample"] == pytest.approx(none["saved_bytes_per_sample"], rel=0.01)
    assert none["saved_bytes"] == 32 * none["saved_bytes_per_sample"]
    # Two arrays of the hidden layer (tanh and its slope), the input scaled, and a few per class.
    assert 2 * UNITS + INPUTS <= none["saved_bytes_per_sample"] / FLOAT <= 2 * UNITS + INPUTS + 5 * CLASSES
    # At least the normalized or the centred input is kept beside what the bare network keeps.
    assert batch["saved_bytes_per_sample"] >= none["saved_bytes_per_sample"] + FLOAT * UNITS
    assert batch["temporary_bytes"] > 0


def test_generators_of_random_numbers_are_no_buffers() -> None:
    layers = keras.layers
    model = keras.Sequential([keras.Input((INPUTS,)), layers.Dropout(0.5), layers.Dense(CLASSES)])
    trainer, state = alone(model)
    assert float(memory.measure(trainer, state, *samples(8, INPUTS))["running_bytes"]) == 0
