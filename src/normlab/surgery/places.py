"""Which Dense and Conv layers a norm goes with: in a model without norms, and in one that has them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

from normlab.surgery.graph import calls
from normlab.surgery.kinds import has_fused_activation, is_activation, is_graph, is_linear_map

if TYPE_CHECKING:
    import keras

# Operations of `keras.ops` between a linear map and its activation that leave the order of things as it is.
_PASSING_OPS = (
    "Add",
    "AveragePool",
    "Concatenate",
    "ExpandDims",
    "Flatten",
    "MaxPool",
    "Multiply",
    "Reshape",
    "Squeeze",
    "Subtract",
)


@dataclass(frozen=True)
class _FlatCall:
    """A call in the graph with nested models written out; tensors are numbers."""

    layer: keras.Operation
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def places(model: keras.Model) -> list[keras.layers.Layer]:
    """Return the Dense and Conv layers after which a norm goes, in the order of the graph.

    A layer is chosen if an activation follows before the next layer with weights (or is fused into it), and if it is
    not part of the head: some layer with weights comes between it and every output. Nested models count as written out.
    """
    flat, outputs = _flatten(model)
    consumers = _consumers(flat)
    chosen: dict[int, keras.layers.Layer] = {}
    in_head: set[int] = set()
    for call in flat:
        if not is_linear_map(call.layer):
            continue
        meets_activation, meets_output = _ahead(call, consumers, outputs)
        if meets_output:
            in_head.add(id(call.layer))
        elif meets_activation or has_fused_activation(call.layer):
            chosen[id(call.layer)] = call.layer
    return [layer for key, layer in chosen.items() if key not in in_head]


def feeders(model: keras.Model, norms: set[int]) -> list[keras.layers.Layer]:
    """Return the Dense and Conv layers from which a norm is met before the next layer with weights.

    Args:
        model: The model; nested ones count as written out.
        norms: The `id` of every norm.
    """
    flat, _ = _flatten(model)
    consumers = _consumers(flat)
    found: dict[int, keras.layers.Layer] = {}
    for call in flat:
        if is_linear_map(call.layer) and _meets(call, consumers, norms):
            found[id(call.layer)] = call.layer
    return list(found.values())


def _meets(call: _FlatCall, consumers: dict[int, list[_FlatCall]], wanted: set[int]) -> bool:
    stack, seen = list(call.outputs), set(call.outputs)
    while stack:
        for consumer in consumers.get(stack.pop(), []):
            if id(consumer.layer) in wanted:
                return True
            if not _has_weights(consumer.layer):
                stack.extend(tensor for tensor in consumer.outputs if tensor not in seen)
                seen.update(consumer.outputs)
    return False


def _consumers(flat: list[_FlatCall]) -> dict[int, list[_FlatCall]]:
    consumers: dict[int, list[_FlatCall]] = {}
    for call in flat:
        for tensor in call.inputs:
            consumers.setdefault(tensor, []).append(call)
    return consumers


def _ahead(call: _FlatCall, consumers: dict[int, list[_FlatCall]], outputs: set[int]) -> tuple[bool, bool]:
    """Return whether an activation, and whether an output, is met before the next layer with weights."""
    meets_activation = meets_output = False
    # Each entry: a tensor, and whether the way to it is free of what an activation may not lie behind.
    stack = [(tensor, True) for tensor in call.outputs]
    seen = set(stack)
    while stack:
        tensor, is_plain = stack.pop()
        meets_output |= tensor in outputs
        for consumer in consumers.get(tensor, []):
            if is_activation(consumer.layer):
                meets_activation |= is_plain
            elif _has_weights(consumer.layer):
                continue
            ahead = [(output, is_plain and _lets_pass(consumer.layer)) for output in consumer.outputs]
            stack.extend(entry for entry in ahead if entry not in seen)
            seen.update(ahead)
    return meets_activation, meets_output


def _has_weights(layer: keras.Operation) -> bool:
    import keras

    return isinstance(layer, keras.layers.Layer) and bool(layer.weights)


def _lets_pass(layer: keras.Operation) -> bool:
    import keras

    if isinstance(layer, keras.layers.Layer):
        return not isinstance(layer, keras.layers.Dot)
    return type(layer).__name__ in _PASSING_OPS


def _flatten(model: keras.Model) -> tuple[list[_FlatCall], set[int]]:
    """Return the calls with nested models written out, and the tensors that are outputs of the whole."""
    numbers = count()
    flat: list[_FlatCall] = []
    outputs = _write_out(model, [next(numbers) for _ in model.inputs], flat, numbers)
    return flat, set(outputs)


def _write_out(model: keras.Model, inputs: list[int], flat: list[_FlatCall], numbers: Iterator[int]) -> list[int]:
    known = dict(zip((id(tensor) for tensor in model.inputs), inputs, strict=True))
    for call in calls(model):
        given = [known[id(tensor)] for tensor in call.inputs]
        if is_graph(call.layer):  # behind its inputs a call may also list a mask
            made = _write_out(call.layer, given[: len(call.layer.inputs)], flat, numbers)
        else:
            made = [next(numbers) for _ in call.outputs]
            flat.append(_FlatCall(call.layer, tuple(given), tuple(made)))
        known.update(zip((id(tensor) for tensor in call.outputs), made, strict=True))
    return [known[id(tensor)] for tensor in model.outputs]
