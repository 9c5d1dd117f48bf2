"""What a network does first with its inputs: scale them itself, look them up in a table, or compute with them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from normlab.surgery.graph import calls
from normlab.surgery.kinds import is_graph

if TYPE_CHECKING:
    import keras

# Layers of Keras that bring inputs to a scale, or into bins or bands, themselves.
_SCALING = {"Rescaling", "Normalization", "Discretization", "MelSpectrogram", "STFTSpectrogram"}
# Layers and operations that take inputs for indices.
_INDEXING = {"Embedding", "CategoryEncoding", "IntegerLookup", "Hashing", "HashedCrossing", "OneHot"}
# Operations that scale, where their other argument is a constant.
_ARITHMETIC = {
    "Divide": "division",
    "TrueDivide": "division",
    "Multiply": "multiplication",
    "Subtract": "subtraction",
}
# The argument of augmenting layers, such as RandomBrightness, that says which values they expect.
_RANGE = "value_range"


class Intake(NamedTuple):
    """What a network's first layers ask of its inputs.

    Attributes:
        dtype: Of its input, such as `float32` or `int32`.
        scaling: Kinds of layers that scale inputs themselves.
        indexing: Kinds of layers that take inputs for indices.
    """

    dtype: str
    scaling: tuple[str, ...]
    indexing: tuple[str, ...]

    @property
    def takes_integers(self) -> bool:
        """Whether its input is declared to hold integers or booleans."""
        return self.dtype.startswith(("int", "uint", "bool"))


def intake_of(model: keras.Model, samples: np.ndarray) -> Intake:
    """Return what the first layers of a Functional or Sequential model with one input do.

    These are the layers that no layer with weights stands before, nor one that scales or looks up; nested models are
    looked into. A layer that the user made of layers counts for those inside it, but for a table that is given
    something else than the inputs (their positions, for instance).

    Args:
        model: The model.
        samples: Some of its inputs as stored, (n, ...).
    """
    if not is_graph(model):
        return Intake("float32", (), ())
    scaling: dict[str, None] = {}
    indexing: dict[str, None] = {}
    for operation, constants in _first(model):
        kinds = _kinds(operation)
        scaling |= dict.fromkeys(_described(operation) for _ in kinds & _SCALING)
        if constants:
            scaling |= dict.fromkeys(_ARITHMETIC[kind] for kind in kinds & set(_ARITHMETIC))
        if _expects_pixels(operation):
            scaling[f"{type(operation).__name__} of {_RANGE} {list(getattr(operation, _RANGE))}"] = None
        indexing |= dict.fromkeys(kinds & _INDEXING)
        for inner in _inside(operation):
            scaling |= dict.fromkeys(_described(inner) for _ in _kinds(inner) & _SCALING)
            if _kinds(inner) & _INDEXING and _is_given_inputs(model, inner, samples):
                indexing |= dict.fromkeys(_kinds(inner) & _INDEXING)
    return Intake(str(model.inputs[0].dtype), tuple(scaling), tuple(indexing))


def _first(model: keras.Model) -> Iterator[tuple[keras.Operation, bool]]:
    """Yield the operations that see inputs as they come, with whether they have a constant argument besides."""
    found: list[tuple[keras.Operation, bool]] = []
    _follow(model, found)
    return iter(found)


def _follow(model: keras.Model, found: list[tuple[keras.Operation, bool]]) -> bool:
    """Collect the first operations of a model; return whether its outputs are still its inputs, handed on."""
    import keras

    handed_on = {id(tensor) for tensor in model.inputs}
    for call in calls(model):
        if not call.inputs or not all(id(tensor) in handed_on for tensor in call.inputs):
            continue
        if is_graph(call.layer):
            goes_on = _follow(call.layer, found)
        else:
            given = keras.tree.flatten((call.args, call.kwargs))
            has_constant = any(one is not None and not isinstance(one, keras.KerasTensor) for one in given)
            found.append((call.layer, has_constant))
            goes_on = not getattr(call.layer, "weights", []) and not _changes_scale(call.layer, has_constant)
        if goes_on:
            handed_on |= {id(tensor) for tensor in call.outputs}
    return all(id(tensor) in handed_on for tensor in model.outputs)


def _changes_scale(operation: keras.Operation, has_constant: bool) -> bool:
    kinds = _kinds(operation)
    return bool(kinds & (_SCALING | _INDEXING)) or (has_constant and bool(kinds & set(_ARITHMETIC)))


def _kinds(operation: Any) -> set[str]:
    """Return the names of an operation's class and of those it comes from."""
    return {kind.__name__ for kind in type(operation).__mro__}


def _described(layer: Any) -> str:
    """Return the kind of a layer that scales; of a Normalization without moments of its own, that it has none."""
    name = type(layer).__name__
    variance = getattr(layer, "adapt_variance", None)
    is_adapted = variance is None or np.any(np.asarray(variance) != 1) or np.any(np.asarray(layer.adapt_mean))
    return name if is_adapted else f"{name}, which was not adapted"


def _expects_pixels(operation: Any) -> bool:
    """Return whether an augmenting layer expects values beyond 1."""
    found = getattr(operation, _RANGE, None)
    return isinstance(found, list | tuple) and len(found) == 2 and max(found) > 1


def _inside(operation: Any) -> list[Any]:
    """Return the layers inside a layer that is made of layers."""
    return list(operation._flatten_layers(include_self=False)) if hasattr(operation, "_flatten_layers") else []


def _is_given_inputs(model: keras.Model, table: Any, samples: np.ndarray) -> bool:
    """Return whether a layer within a layer is given the network's inputs themselves."""
    from normlab.study.lookups import lookups

    given = [np.asarray(one.given) for one in lookups(model, samples) if one.layer is table]
    return any(values.size == samples.size and np.array_equal(values.ravel(), samples.ravel()) for values in given)
