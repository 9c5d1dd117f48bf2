"""Activations that a norm with one of its own makes needless: the rectifiers directly behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from normlab.surgery.graph import Call, calls
from normlab.surgery.kinds import is_graph, is_rectifier

if TYPE_CHECKING:
    import keras


def replaced_activations(model: keras.Model, layers: set[int]) -> dict[int, list[keras.Operation]]:
    """Return, by `id` of a layer in `layers`, the rectifiers to be dropped behind its calls, nested models included.

    A rectifier is dropped if all of its calls take the output of one of `layers`, which nothing else takes and which
    is no output of the graph: a rectifier that is shared with other places stays.
    """
    graph = calls(model)
    found: dict[int, list[keras.Operation]] = {}
    makers = {id(tensor): call.layer for call in graph for tensor in call.outputs}
    consumers: dict[int, list[Call]] = {}
    uses: dict[int, list[Call]] = {}
    for call in graph:
        uses.setdefault(id(call.layer), []).append(call)
        for tensor in call.inputs:
            consumers.setdefault(id(tensor), []).append(call)
    ends = {id(tensor) for tensor in model.outputs}

    def is_fed_by_norm_alone(call: Call) -> bool:
        tensor = id(call.inputs[0])
        is_norm = tensor in makers and id(makers[tensor]) in layers
        return is_norm and tensor not in ends and len(consumers[tensor]) == 1

    for own in uses.values():
        layer = own[0].layer
        if is_graph(layer):
            for key, inner in replaced_activations(layer, layers).items():
                found.setdefault(key, []).extend(inner)
        elif is_rectifier(layer) and all(map(is_fed_by_norm_alone, own)):
            for call in own:
                behind = found.setdefault(id(makers[id(call.inputs[0])]), [])
                if layer not in behind:
                    behind.append(layer)
    return found
