"""Automatic names are settled: they do not tell what the process has built before."""

from __future__ import annotations

import keras
import numpy as np

from normlab.surgery.copying import arrays_of
from normlab.surgery.graph import calls
from normlab.surgery.naming import with_settled_names
from tests.surgery.networks import Dense, L, outputs, samples, trained


def _build() -> keras.Model:
    inputs = keras.Input((4,))
    second = Dense(3)  # created before the layer that is called first
    tower = keras.Sequential([keras.Input((3,)), Dense(3), L.Lambda(lambda x: -x)])
    x = keras.ops.relu(second(Dense(3)(inputs)))
    return keras.Model(inputs, Dense(2, name="head")(tower(L.BatchNormalization(name="dense_1")(x))))


def test_names_are_those_of_a_new_process_in_the_order_of_creation() -> None:
    first, again = (with_settled_names(_build()).model for _ in range(2))
    names = [call.layer.name for call in calls(first)]
    assert names == [call.layer.name for call in calls(again)]
    # The user's own names stay, and numbers pass over them.
    assert names == ["dense_3", "dense", "relu", "dense_1", "sequential", "head"]
    assert [layer.name for layer in first.get_layer("sequential").layers] == ["dense_2", "lambda"]
    assert [tensor.name for tensor in first.inputs] == [tensor.name for tensor in again.inputs]


def test_the_copy_computes_the_same() -> None:
    model = trained(_build())
    copy = with_settled_names(model)
    inputs = samples(model)
    np.testing.assert_array_equal(outputs(copy.model, inputs)[0], outputs(model, inputs)[0])
    assert len(copy.sources) == len(model.weights)
    new = {id(variable): variable for variable in copy.model.weights}
    for key, source in copy.sources.items():
        np.testing.assert_array_equal(np.asarray(new[key]), np.asarray(source))
    assert len(arrays_of(copy.model)) == len(arrays_of(model))
