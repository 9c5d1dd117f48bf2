"""Losses per sample against NumPy and Keras, and the bound at which a run has diverged."""

from __future__ import annotations

import math
from collections.abc import Callable

import keras
import numpy as np
import pytest

from normlab.norms import NORMS
from normlab.train.objective import (
    binary_cross_entropy,
    cross_entropy,
    ends_in,
    has_one_output,
    objective_for,
    probability_binary_cross_entropy,
    probability_cross_entropy,
    squared_error,
)

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(0, 3, size=(12, 4)).astype(np.float32)
LABELS = RNG.integers(4, size=12).astype(np.int32)


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits.astype(np.float64) - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def test_cross_entropy_of_logits_is_minus_the_log_of_the_class_probability() -> None:
    losses, hits = cross_entropy(LOGITS, LABELS)
    np.testing.assert_allclose(losses, -np.log(_softmax(LOGITS)[np.arange(12), LABELS]), rtol=1e-5)
    assert np.array_equal(hits, LOGITS.argmax(1) == LABELS)
    ours = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(LABELS, LOGITS)
    assert float(losses.mean()) == pytest.approx(float(ours), rel=1e-5)


def test_cross_entropy_of_large_logits_stays_finite() -> None:
    losses, _ = cross_entropy(np.array([[1e4, -1e4], [1e4, -1e4]], np.float32), np.array([0, 1], np.int32))
    assert losses.tolist() == [0.0, 2e4]


def test_cross_entropy_of_probabilities_is_clipped_as_keras_clips_it() -> None:
    probabilities = _softmax(LOGITS).astype(np.float32)
    probabilities[0] = [0, 1, 0, 0]
    labels = np.r_[np.int32(0), LABELS[1:]]
    losses, hits = probability_cross_entropy(probabilities, labels)
    theirs = keras.losses.SparseCategoricalCrossentropy(reduction=None)(labels, probabilities)
    np.testing.assert_allclose(losses, np.asarray(theirs), rtol=1e-4, atol=1e-6)
    assert float(losses[0]) == pytest.approx(-math.log(1e-7), rel=1e-6)
    assert np.array_equal(hits, probabilities.argmax(1) == labels)


@pytest.mark.parametrize("smoothing", [0.1, 0.9])
@pytest.mark.parametrize("ending", ["logits", "softmax"])
def test_smoothed_labels_are_kerass_own(ending: str, smoothing: float) -> None:
    outputs = LOGITS if ending == "logits" else _softmax(LOGITS).astype(np.float32)
    objective = objective_for("classification", 4, ENDINGS[ending][0](), smoothing)
    assert objective.descended is not None
    loss = keras.losses.CategoricalCrossentropy(
        from_logits=ending == "logits", label_smoothing=smoothing, reduction=None
    )
    theirs = loss(np.eye(4, dtype=np.float32)[LABELS], outputs)
    np.testing.assert_allclose(objective.descended(outputs, LABELS), np.asarray(theirs), rtol=1e-4, atol=1e-5)
    plain = objective_for("classification", 4, ENDINGS[ending][0]())
    assert objective.per_sample is plain.per_sample
    assert plain.descended is None


BINARY = RNG.normal(0, 3, size=(12, 1)).astype(np.float32)
CLASSES = np.arange(12, dtype=np.int32) % 2


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logits.astype(np.float64)))


def test_binary_cross_entropy_of_a_logit_is_minus_the_log_of_the_class_probability() -> None:
    losses, hits = binary_cross_entropy(BINARY, CLASSES)
    chance = _sigmoid(BINARY)[:, 0]
    np.testing.assert_allclose(losses, -np.log(np.where(CLASSES == 1, chance, 1 - chance)), rtol=1e-5)
    assert np.array_equal(hits, (BINARY[:, 0] > 0) == (CLASSES == 1))
    theirs = keras.losses.BinaryCrossentropy(from_logits=True)(CLASSES[:, None], BINARY)
    assert float(losses.mean()) == pytest.approx(float(theirs), rel=1e-5)


def test_binary_cross_entropy_of_large_logits_stays_finite() -> None:
    losses, hits = binary_cross_entropy(np.array([[1e4], [1e4], [0.0]], np.float32), np.array([1, 0, 1], np.int32))
    assert losses.tolist() == pytest.approx([0.0, 1e4, math.log(2)])
    assert hits.tolist() == [1.0, 0.0, 0.0]


def test_binary_cross_entropy_of_a_probability_is_clipped_as_keras_clips_it() -> None:
    probabilities = _sigmoid(BINARY).astype(np.float32)
    probabilities[:2] = [[1.0], [0.0]]
    losses, hits = probability_binary_cross_entropy(probabilities, CLASSES)
    theirs = keras.losses.BinaryCrossentropy(reduction=None)(CLASSES[:, None], probabilities)
    np.testing.assert_allclose(losses, np.asarray(theirs), rtol=1e-4, atol=1e-6)
    assert float(losses[0]) == pytest.approx(-math.log(1e-7), rel=0.2)  # 1 - 1e-7 is no float32
    assert np.array_equal(hits, (probabilities[:, 0] > 0.5) == (CLASSES == 1))


@pytest.mark.parametrize("activation", ["sigmoid", None])
def test_one_output_is_of_two_classes(activation: str | None) -> None:
    model = _ending(keras.layers.Dense(1, activation=activation))
    objective = objective_for("classification", 2, model, 0.1)
    assert (objective.name, objective.uninformed_loss) == ("binary cross-entropy", math.log(2))
    assert objective.divergence_bound == pytest.approx(100 * math.log(2))
    chosen = probability_binary_cross_entropy if activation else binary_cross_entropy
    assert objective.per_sample is chosen
    assert objective.descended is not None
    outputs = _sigmoid(BINARY).astype(np.float32) if activation else BINARY
    theirs = keras.losses.BinaryCrossentropy(from_logits=not activation, label_smoothing=0.1, reduction=None)
    expected = np.asarray(theirs(CLASSES[:, None].astype(np.float32), outputs))
    np.testing.assert_allclose(objective.descended(outputs, CLASSES), expected, rtol=1e-4, atol=1e-5)
    assert objective_for("regression", 1, model).per_sample is squared_error


def test_two_classes_cost_the_same_with_one_output_as_with_two() -> None:
    two = np.concatenate([np.zeros_like(BINARY), BINARY], axis=1)
    for found, expected in zip(binary_cross_entropy(BINARY, CLASSES), cross_entropy(two, CLASSES), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_the_number_of_outputs_is_seen() -> None:
    assert has_one_output(_ending(keras.layers.Dense(1)))
    assert has_one_output(_Subclassed(keras.layers.Dense(1)))
    assert not has_one_output(_ending(keras.layers.Dense(2)))
    assert not has_one_output(_Subclassed(keras.layers.Dense(2)))


def test_knowing_nothing_costs_the_same_under_smoothing() -> None:
    objective = objective_for("classification", 4, ENDINGS["logits"][0](), 0.3)
    assert objective.descended is not None
    found = objective.descended(np.zeros((2, 4), np.float32), LABELS[:2])
    np.testing.assert_allclose(found, objective.uninformed_loss, rtol=1e-6)


def test_squared_error_has_no_hits() -> None:
    losses, hits = squared_error(np.array([[1.0], [2.0]], np.float32), np.array([3.0, 2.5], np.float32))
    assert losses.tolist() == [4.0, 0.25]
    assert hits.tolist() == [0.0, 0.0]


def _ending(*layers: keras.layers.Layer) -> keras.Model:
    return keras.Sequential([keras.Input((4,)), *layers])


def _graph(end: Callable[[keras.KerasTensor], keras.KerasTensor]) -> keras.Model:
    inputs = keras.Input((4,))
    return keras.Model(inputs, end(inputs))


def _soft() -> keras.layers.Layer:
    return keras.layers.Dense(3, activation="softmax")


def _average(x: keras.KerasTensor, *layers: keras.layers.Layer) -> keras.KerasTensor:
    return keras.layers.Average()([layer(x) for layer in layers])


class _Subclassed(keras.Model):  # type: ignore[misc]
    def __init__(self, last: keras.layers.Layer) -> None:
        super().__init__()
        self.last = last

    def call(self, inputs: keras.KerasTensor) -> keras.KerasTensor:
        return self.last(inputs)


ENDINGS = {
    "logits": (lambda: _ending(keras.layers.Dense(3)), False),
    "softmax": (lambda: _ending(keras.layers.Dense(3, activation="softmax")), True),
    "softmax layer": (lambda: _ending(keras.layers.Dense(3), keras.layers.Softmax()), True),
    "softmax as an activation": (lambda: _ending(keras.layers.Dense(3), keras.layers.Activation("softmax")), True),
    "softmax as an operation": (lambda: _graph(lambda x: keras.ops.softmax(keras.layers.Dense(3)(x))), True),
    "softmax under a norm of weights": (lambda: _ending(NORMS["weight"].wrap(_soft())), True),
    "softmax in a nested model": (lambda: _graph(lambda x: _ending(_soft())(x)), True),
    "softmax, handed on": (lambda: _ending(_soft(), keras.layers.Identity(), keras.layers.Reshape((3,))), True),
    "softmax, linear": (lambda: _ending(_soft(), keras.layers.Activation("linear")), True),
    "mean of two softmaxes": (lambda: _graph(lambda x: _average(x, _soft(), _soft())), True),
    "mean of softmax and logits": (lambda: _graph(lambda x: _average(x, _soft(), keras.layers.Dense(3))), False),
    "a subclassed model with softmax": (lambda: _Subclassed(_soft()), True),
    "a subclassed model without": (lambda: _Subclassed(keras.layers.Dense(3)), False),
    "softmax before the end": (lambda: _ending(keras.layers.Softmax(), keras.layers.Dense(3)), False),
}


@pytest.mark.parametrize("case", ENDINGS)
def test_a_final_softmax_is_seen(case: str) -> None:
    build, is_softmax = ENDINGS[case]
    model = build()
    assert ends_in(model, "softmax") is is_softmax
    chosen = objective_for("classification", 3, model).per_sample
    assert chosen is (probability_cross_entropy if is_softmax else cross_entropy)


def test_a_run_diverges_at_a_hundred_times_the_loss_of_knowing_nothing() -> None:
    model = _ending(keras.layers.Dense(10))
    classification = objective_for("classification", 10, model)
    assert classification.uninformed_loss == pytest.approx(math.log(10))
    assert classification.divergence_bound == pytest.approx(100 * math.log(10))
    regression = objective_for("regression", 1, model)
    assert regression.per_sample is squared_error
    assert (regression.uninformed_loss, regression.divergence_bound) == (1.0, 100.0)
