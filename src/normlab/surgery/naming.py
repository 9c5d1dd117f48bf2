"""Automatic names as a new process would give them, so that they do not tell what else was built before."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import TYPE_CHECKING

from normlab.keras_names import automatic_number, snake_case
from normlab.surgery.graph import Rebuilt, calls, rebuild, require_graph
from normlab.surgery.kinds import is_graph

if TYPE_CHECKING:
    import keras


def with_settled_names(model: keras.Model) -> Rebuilt:
    """Return a copy in which automatic names (`dense_7`) are numbered from the first: `dense`, `dense_1`, ….

    Keras numbers layers by class in the order of their creation, in the whole process; that order is kept. Names that
    the user gave stay, and so do the weights.

    Raises:
        InputError: If the model is subclassed or unbuilt, or a layer cannot be copied.
    """
    require_graph(model)
    return rebuild(model, {}, names=_settled(model))


def _settled(model: keras.Model) -> dict[int, str]:
    automatic: dict[str, list[tuple[int, keras.Operation]]] = {}
    taken = set()
    for operation in _operations(model):
        number = automatic_number(operation.name, type(operation))
        if number is None:
            taken.add(operation.name)
        else:
            automatic.setdefault(snake_case(type(operation).__name__), []).append((number, operation))
    names = {}
    for stem, numbered in automatic.items():
        candidates = (f"{stem}_{n}" if n else stem for n in count())
        for _, operation in sorted(numbered, key=lambda entry: entry[0]):
            names[id(operation)] = next(name for name in candidates if name not in taken)
    return names


def _operations(model: keras.Model) -> Iterator[keras.Operation]:
    """Yield a model, its inputs and all that its graph calls, each once, nested models written out."""
    yield model
    yield from dict.fromkeys(tensor._keras_history.operation for tensor in model.inputs)
    for layer in dict.fromkeys(call.layer for call in calls(model)):
        if is_graph(layer):
            yield from _operations(layer)
        else:
            yield layer
