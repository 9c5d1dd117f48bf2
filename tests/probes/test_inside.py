"""Inside a model: every output by name, as Keras's own gives it, and gradients by a shift, on every kind of nesting."""

from __future__ import annotations

import threading

import jax
import keras
import numpy as np
import pytest

from normlab.models import recurrent
from normlab.norms import NORMS
from normlab.probes import activations
from normlab.probes.alone import alone
from normlab.probes.gradients import gradients
from normlab.probes.inside import pass_through, survey
from normlab.probes.parameters import parameter_groups
from tests.probes.networks import BATCH, NETWORKS, branches, plain, samples


@pytest.mark.parametrize("name", NETWORKS)
def test_outputs_and_parameters_are_named_in_the_order_of_the_calls(name: str) -> None:
    build, shape, outputs, with_parameters = NETWORKS[name]
    model = build()
    trainer, _ = alone(model)
    x, _ = samples(BATCH, *shape)
    # An operation of `keras.ops` is numbered by Keras as it is created.
    found = [one.name.rstrip("_0123456789") if "tanh" in one.name else one.name for one in survey(trainer, x)]
    assert found == outputs
    groups = parameter_groups(trainer, x)
    assert list(groups) == with_parameters
    assert sorted(index for own in groups.values() for index in own) == list(range(len(model.trainable_variables)))


@pytest.mark.parametrize("name", NETWORKS)
def test_the_gradient_by_a_bias_is_the_sum_of_the_gradients_by_the_outputs_it_enters(name: str) -> None:
    """∂L/∂b = Σ ∂L/∂h over batch and calls for a Dense without activation: the shift reaches every such output."""
    build, shape, _, _ = NETWORKS[name]
    model = build()
    trainer, state = alone(model)
    x, y = samples(BATCH, *shape)
    by_parameters, by_outputs = jax.jit(lambda state: gradients(trainer, state, x, y))(state)
    summed: dict[int, np.ndarray] = {}
    for output, gradient in zip(survey(trainer, x), by_outputs, strict=True):
        assert gradient.shape == output.value.shape
        if isinstance(output.layer, keras.layers.Dense) and output.layer.activation is keras.activations.linear:
            bias = next(i for i, v in enumerate(model.trainable_variables) if v is output.layer.bias)
            summed[bias] = summed.get(bias, 0.0) + np.asarray(gradient).sum(axis=0)
    assert summed
    for bias, gradient in summed.items():
        assert np.abs(gradient).max() > 1e-6 or name == "plain"  # before batch norm it is zero, on both sides
        np.testing.assert_allclose(by_parameters[bias], gradient, rtol=1e-4, atol=1e-7)


def test_outputs_are_those_of_kerass_own_submodel_in_training_mode() -> None:
    for model in (plain(), branches()):
        trainer, state = alone(model)
        x, _ = samples(BATCH, 4)
        passed = jax.jit(lambda s, t=trainer, x=x: _values(t, s, x))(state)
        tensors = [layer.output for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
        names = [tensor._keras_history.operation.name for tensor in tensors]
        expected = dict(zip(names, _submodel(model, tensors, x), strict=True))
        compared = [(value, expected[name]) for name, value in passed.items() if name in expected]
        assert len(compared) >= 4
        for value, other in compared:
            np.testing.assert_allclose(value, other, rtol=1e-5, atol=1e-6)


def test_a_shift_moves_what_follows_and_nothing_before() -> None:
    model = plain()
    trainer, state = alone(model)
    x, _ = samples(BATCH, 4)
    outputs = survey(trainer, x)
    shifts = [np.full(o.value.shape, 0.5 * (o.name == "activation"), np.float32) for o in outputs]
    before, after = _values(trainer, state, x), _values(trainer, state, x, shifts)
    for name in ("first", "norm"):
        np.testing.assert_array_equal(before[name], after[name])
    np.testing.assert_allclose(after["activation"], before["activation"] + 0.5, rtol=1e-6)
    head = np.asarray(model.get_layer("head").kernel)
    np.testing.assert_allclose(after["head"], before["head"] + 0.5 * head.sum(axis=0), rtol=1e-5, atol=1e-6)


def test_keras_is_as_before_after_an_error_and_other_threads_never_notice() -> None:
    original = keras.Operation.__call__
    failing = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    trainer, state = alone(failing)
    with pytest.raises(Exception, match=r"shape|axis"):  # Keras says so, of whatever class
        pass_through(trainer, state.trainable, state.non_trainable, np.zeros((2, 7), np.float32))
    assert keras.Operation.__call__ is original
    model, elsewhere = plain(), keras.layers.Dense(2, name="elsewhere")
    trainer, state = alone(model)

    class Meeting(keras.layers.Layer):
        def call(self, x):
            thread = threading.Thread(target=lambda: elsewhere(np.zeros((1, 2), np.float32)))
            thread.start()
            thread.join()
            return x

    meeting = keras.Sequential([keras.Input((4,)), Meeting(name="meeting"), model])
    trainer, state = alone(meeting)
    names = [one.name.split("/")[-1] for one in survey(trainer, samples(2, 4)[0])]
    assert names == ["meeting", "first", "norm", "activation", "head"]
    assert elsewhere.built


def _values(trainer, state, x, shifts=None) -> dict[str, np.ndarray]:
    inside = pass_through(trainer, state.trainable, state.non_trainable, x, shifts).inside
    return {output.name: output.value for output in inside}


def _submodel(model: keras.Model, tensors: list, x: np.ndarray) -> list:
    sub = keras.Model(model.inputs[0], tensors)
    outputs, _ = sub.stateless_call(
        [v.value for v in sub.trainable_variables], [v.value for v in sub.non_trainable_variables], x, training=True
    )
    return outputs


def test_what_a_compiled_loop_computes_has_no_value_outside_of_it() -> None:
    model = recurrent(NORMS["batch"], (5, 4), 3, cell="simple", units=6)
    trainer, state = alone(model)
    x, y = samples(BATCH, 5, 4)
    assert [one.name for one in survey(trainer, x)] == ["rnn/input", "rnn", "head"]  # nothing of every time step
    groups = parameter_groups(trainer, x)
    assert sorted(index for own in groups.values() for index in own) == list(range(len(model.trainable_variables)))
    measured = jax.jit(lambda state: activations.measure(trainer, state, x, y))(state)
    assert np.isfinite(measured["variance"]).all()
