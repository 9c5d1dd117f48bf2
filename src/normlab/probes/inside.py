"""Inside a Keras model: every layer's output in one forward pass, and a shift added to each, to differentiate by."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import keras
from jax.extend.core import get_opaque_trace_state

# Keras keeps the mask of a tensor beside it and has no public way to ask for it.
from keras.src.backend import get_keras_mask

from normlab.train.devices import narrowing_integers
from normlab.train.loop import scaled

if TYPE_CHECKING:
    from normlab.train.loop import Trainer

# One forward pass at a time is listened to; see `_listening`.
_LISTENER = threading.RLock()


class Output(NamedTuple):
    """One floating output of one call of a layer.

    Attributes:
        name: Names of the nested models and layers from outside in, as in `encoder/dense`; `#2` marks a layer's second
            call, `[1]` the second output of a call.
        layer: A `keras.layers.Layer`, or an operation of `keras.ops` in a model's graph.
        inputs: First argument of the call.
        mask: The mask the layer was called with, or None.
        value: The output, (batch, ...); in a survey its shape and type.
        output_mask: The mask that Keras gave the output, over its leading axes: False where an entry is padding. None
            where every entry counts, and in a survey.
    """

    name: str
    layer: keras.Operation
    inputs: Any
    mask: Any
    value: Any
    output_mask: Any = None


class Passed(NamedTuple):
    """A forward pass: the model's output, its state after, the penalties of its weights, and what was inside."""

    outputs: Any
    non_trainable: list[Any]
    penalties: list[Any]
    inside: list[Output]


def pass_through(
    trainer: Trainer,
    trainable: list[Any],
    non_trainable: list[Any],
    x: jax.Array,
    shifts: Sequence[jax.Array] | None = None,
) -> Passed:
    """Run the model in training mode and keep the output h_l of every layer, in the order of the calls.

    Functional and Sequential models are looked into, subclassed models and layers that the user made of layers too.
    Keras's own layers of layers (recurrent layers, attention, `Bidirectional`) and wrappers count as one layer, since
    what is inside them may run in a compiled loop. Calls inside a loop that a user's layer compiles are left out too.

    Args:
        trainer: What is fixed while a run trains.
        trainable: Values of the model's trainable variables.
        non_trainable: Values of its non-trainable variables.
        x: Inputs as stored, (batch, ...).
        shifts: δ_l, one per output and of its shape, in the order of `survey`: the network goes on with h_l + δ_l, so
            that ∂L/∂δ_l at δ = 0 is ∂L/∂h_l.
    """
    recorder = _Recorder(shifts)
    with _listening(recorder):
        outputs, after, penalties = trainer.model.stateless_call(
            trainable, non_trainable, scaled(x, trainer.divisor), training=True, return_losses=True
        )
    # Only now: Keras gives an output its mask after the call that is listened to.
    inside = [output._replace(output_mask=_leading_mask(output.value)) for output in recorder.found]
    return Passed(outputs, after, penalties, inside)


def survey(trainer: Trainer, x: Any) -> list[Output]:
    """Return the outputs of `pass_through` with shapes and types for values; nothing is computed."""
    found: list[Output] = []

    def values(trainable: list[Any], non_trainable: list[Any], inputs: jax.Array) -> list[Any]:
        found.extend(pass_through(trainer, trainable, non_trainable, inputs).inside)
        return [output.value for output in found]

    trainable, non_trainable = shapes_of_variables(trainer.model)
    with narrowing_integers():
        shapes = jax.eval_shape(values, trainable, non_trainable, jax.ShapeDtypeStruct(x.shape, x.dtype))
    return [Output(one.name, one.layer, None, None, shape) for one, shape in zip(found, shapes, strict=True)]


def no_shifts(trainer: Trainer, x: Any) -> list[jax.Array]:
    """Return δ_l = 0 for every output, in order."""
    return [jnp.zeros(output.value.shape, output.value.dtype) for output in survey(trainer, x)]


def batch_loss(trainer: Trainer, passed: Passed, y: jax.Array) -> jax.Array:
    """Return what a training step descends: the mean loss over the batch plus the penalties of the weights."""
    losses, _ = trainer.objective.per_sample(passed.outputs, y)
    return losses.mean() + sum(passed.penalties)


def shapes_of_variables(model: keras.Model) -> tuple[list[Any], list[Any]]:
    """Return shapes and types of the trainable and of the non-trainable variables."""
    return tuple(  # type: ignore[return-value]
        [jax.ShapeDtypeStruct(tuple(v.shape), v.dtype) for v in variables]
        for variables in (model.trainable_variables, model.non_trainable_variables)
    )


def _leading_mask(value: Any) -> Any:
    """Return the mask of an output, None where it has none of its leading axes, units left out."""
    mask = get_keras_mask(value)
    if mask is None or not 0 < len(mask.shape) < len(value.shape):
        return None
    return mask if tuple(mask.shape) == tuple(value.shape[: len(mask.shape)]) else None


class _Recorder:
    """What one forward pass leaves behind, call by call."""

    def __init__(self, shifts: Sequence[jax.Array] | None) -> None:
        self.shifts = shifts
        self.found: list[Output] = []
        self.counts: dict[str, int] = {}
        self.path: list[str] = []
        self.is_closed = False  # inside a layer that counts as one
        # What is computed inside a loop has no value outside of it, where JAX traces for another function.
        self.trace = get_opaque_trace_state()

    def called(self, original: Any, layer: keras.Operation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self.is_closed or get_opaque_trace_state() != self.trace:
            return original(layer, *args, **kwargs)
        is_open = _is_graph(layer) or _is_made_of_layers(layer)
        self.path.append(layer.name)
        self.is_closed = not is_open
        try:
            outputs = original(layer, *args, **kwargs)
        finally:
            name = "/".join(self.path)
            self.path.pop()
            self.is_closed = False
        # What a graph gives is what the last layer in it gave.
        return outputs if _is_graph(layer) else self._kept(name, layer, args, kwargs, outputs)

    def _kept(self, name: str, layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any], outputs: Any) -> Any:
        self.counts[name] = count = self.counts.get(name, 0) + 1
        called = name if count == 1 else f"{name}#{count}"
        inputs = args[0] if args else next(iter(kwargs.values()), None)
        kept = []
        for number, value in enumerate(keras.tree.flatten(outputs)):
            if hasattr(value, "dtype") and jnp.issubdtype(value.dtype, jnp.floating):
                if self.shifts is not None:
                    value = value + self.shifts[len(self.found)]
                label = f"{called}[{number}]" if number else called
                self.found.append(Output(label, layer, inputs, kwargs.get("mask"), value))
            kept.append(value)
        return keras.tree.pack_sequence_as(outputs, kept)


@contextmanager
def _listening(recorder: _Recorder) -> Iterator[None]:
    """Let the recorder see every call of a Keras layer or operation in this thread.

    Keras has no hook for this, so the class's `__call__` is replaced meanwhile. What a layer adds around it (masks, the
    penalty of an activity) comes after the shift. Calls in other threads go their usual way.
    """
    owner = threading.get_ident()
    with _LISTENER:
        original = keras.Operation.__call__

        def listened(layer: keras.Operation, *args: Any, **kwargs: Any) -> Any:
            if threading.get_ident() != owner:
                return original(layer, *args, **kwargs)
            return recorder.called(original, layer, args, kwargs)

        keras.Operation.__call__ = listened
        try:
            yield
        finally:
            keras.Operation.__call__ = original


def _is_graph(layer: keras.Operation) -> bool:
    """Return whether Keras itself calls the layers of this model, along its graph."""
    return isinstance(layer, (keras.Sequential, keras.Function)) and _calls_as_keras(layer)


def _is_made_of_layers(layer: keras.Operation) -> bool:
    """Return whether this is a user's layer or model that calls layers of its own."""
    if not isinstance(layer, keras.layers.Layer) or isinstance(layer, (keras.layers.RNN, keras.layers.Wrapper)):
        return False
    # Keras has no public walk over the layers inside a layer.
    return not _calls_as_keras(layer) and any(True for _ in layer._flatten_layers(include_self=False))


def _calls_as_keras(layer: keras.Operation) -> bool:
    definer = next(kind for kind in type(layer).__mro__ if "call" in vars(kind))
    return definer.__module__.startswith("keras.")
