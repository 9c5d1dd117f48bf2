"""Gradients through time against back-propagation written out in NumPy."""

from __future__ import annotations

import dataclasses

import jax
import keras
import numpy as np
import pytest

from normlab.claims.bench import Bench
from normlab.claims.sequences import sequence_program
from normlab.claims.state_gradients import state_gradients


def test_a_plain_network_agrees_with_back_propagation_by_hand(tiny: Bench) -> None:
    program = sequence_program(tiny, "none", "recurrent", cell="simple", units=5)
    state = jax.tree.map(lambda values: np.asarray(values)[0], program.start([3, 4], [0.1, 0.1]))
    x, y = (np.asarray(part[:6]) for part in program.data.train)
    found = np.asarray(state_gradients(program.trainer, state, jax.numpy.asarray(x), jax.numpy.asarray(y)))

    names = [variable.path for variable in program.trainer.model.trainable_variables]
    values = {name: np.asarray(v, np.float64) for name, v in zip(names, state.trainable, strict=True)}
    into, across, bias, head, offset = (
        next(value for name, value in values.items() if name.endswith(end))
        for end in ("input/kernel", "hidden/kernel", "rnn/bias", "head/kernel", "head/bias")
    )
    h, states = np.zeros((6, 5)), []
    for t in range(x.shape[1]):
        h = np.tanh(x[:, t] / tiny.dataset.divisor @ into + h @ across + bias)
        states.append(h)
    logits = h @ head + offset
    softmax = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    gradient = (softmax - np.eye(head.shape[1])[y]) / len(y) @ head.T
    expected = [np.linalg.norm(gradient)]
    for later in states[:0:-1]:
        gradient = (gradient * (1 - later**2)) @ across.T
        expected.insert(0, np.linalg.norm(gradient))
    assert found == pytest.approx(np.array(expected), rel=1e-4)


def test_every_layer_is_in_training_mode(tiny: Bench) -> None:
    modes = []

    class Noting(keras.layers.Layer):
        def call(self, inputs, training=None):
            modes.append(training)
            return inputs

    program = sequence_program(tiny, "none", "recurrent", cell="simple", units=5)
    state = jax.tree.map(lambda values: np.asarray(values)[0], program.start([3, 4], [0.1, 0.1]))
    x, y = (np.asarray(part[:6]) for part in program.data.train)
    rnn, head = program.trainer.model.layers
    noted = keras.Sequential([keras.Input(x.shape[1:]), rnn, Noting(), head])
    modes.clear()  # building the network calls it too
    found = state_gradients(dataclasses.replace(program.trainer, model=noted), state, jax.numpy.asarray(x), y)
    assert modes == [True]
    assert (np.asarray(found) > 0).all()
