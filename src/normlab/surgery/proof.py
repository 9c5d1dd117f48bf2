"""The proof that a folded model computes what the old one did: both are run and compared, also with float64.

Two things can be wrong. One is a formula: each place is checked on its own in float64, where the old layers and the new
one get the same input. The other is precision: float32 rounds, and in a deep network this adds up, so the error of the
folded model is compared with the error of the model itself. The reference for both is the model's float64 twin.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from normlab.surgery.affine import Weights, assign
from normlab.surgery.comparison import Comparison, Difference
from normlab.surgery.copying import copy_layer, zeros_at_first
from normlab.surgery.graph import Rebuilt, calls, rebuild
from normlab.surgery.running import Run, float64, runner

if TYPE_CHECKING:
    import keras

    from normlab.surgery.foldplan import FoldPlan, Place

_BATCH_SIZE = 16
# Values per batch, over all tensors that are compared; with their copies some 300 MB.
_MOST_VALUES = 2**23


def prove(
    model: keras.Model, rebuilt: Rebuilt, plan: FoldPlan, arrays: Sequence[np.ndarray], name: str
) -> list[Difference]:
    """Run a model and its folded copy, compare all of their graphs, and return a `Difference` for each.

    Args:
        model: The model.
        rebuilt: Its folded copy. Layers in half precision are compared as float32 copies, in both.
        plan: What was folded.
        arrays: The model's inputs, flat.
        name: What they are, for the report.

    Raises:
        InputError: If a model raises an error, an output is not finite, or a difference is too large.
    """
    comparisons = _comparisons(model, rebuilt, plan, name)
    given = [array.astype("float32") if array.dtype == "float64" else array for array in map(np.asarray, arrays)]
    for batch in _batches(model, given, _values_per_sample(comparisons, given)):
        for comparison in comparisons:
            comparison.add(comparison.feed(batch))
    return [comparison.outcome(len(given[0])) for comparison in comparisons]


def _comparisons(model: keras.Model, rebuilt: Rebuilt, plan: FoldPlan, name: str) -> list[Comparison]:
    """Return the comparisons of a model, first of all, and of each nested model in which a norm was folded."""
    old = rebuild(model, {}, dtype="float32")
    new = rebuild(rebuilt.model, {}, dtype="float32")
    twin = _float64_twin(model)
    places = next((found for path, _, found in plan.places if not path), {})
    graphs = [("", model, places), *(entry for entry in plan.places if entry[0])]
    comparisons = []
    for path, graph, inner in graphs:
        before = old.layers[id(graph)][0] if path else old.model
        after = new.layers[id(rebuilt.layers[id(graph)][0])][0] if path else new.model
        after_outputs = {call.layer.name: call.outputs[0] for call in calls(after)}
        known = _counterparts(graph, before)
        ends = [known[id(place.end)] for place in inner.values()]
        compared = [*before.outputs, *ends]
        comparison = Comparison(
            f"{name}, into {path}" if path else name,
            [f"output {output_name}" for output_name in _output_names(graph)] + [_title(p) for p in inner.values()],
            _feed(old.model, path),
            runner(before.inputs, compared, name),
            runner(after.inputs, [*after.outputs, *(after_outputs[p.layer.name] for p in inner.values())], name),
            None if twin is None else _exact_runner(graph, twin, path, inner, plan.weights, name),
            [_channel_axis(place.layer) for place in inner.values()],
            [float(np.abs(plan.weights[place.layer].bias).max()) for place in inner.values()],
            _counter(compared),
        )
        comparisons.append(comparison)
    return comparisons


def _title(place: Place) -> str:
    return place.norm if place.norm == place.layer.name else f"{place.norm}, now {place.layer.name}"


def _channel_axis(layer: keras.layers.Layer) -> int:
    return 1 if getattr(layer, "data_format", "channels_last") == "channels_first" else -1


def _counterparts(graph: keras.Model, copy: keras.Model) -> dict[int, keras.KerasTensor]:
    """Return, by `id` of a tensor of a graph, the tensor in an unchanged copy of it."""
    found = dict(zip(map(id, graph.inputs), copy.inputs, strict=True))
    for call, copied in zip(calls(graph), calls(copy), strict=True):
        found.update(zip(map(id, call.outputs), copied.outputs, strict=True))
    return found


def _float64_twin(model: keras.Model) -> Rebuilt | None:
    """Return a copy of a model that computes in float64; None where a layer cannot be built so."""
    import keras

    try:
        with float64(), zeros_at_first():
            if keras.backend.result_type("float64", "float32") != "float64":
                return None
            return rebuild(model, {}, dtype="float64")
    except Exception:  # a layer of the user's own may know float32 alone: the proof then goes without a twin
        return None


def _exact_runner(
    graph: keras.Model,
    twin: Rebuilt,
    path: str,
    places: Mapping[int, Place],
    weights: Mapping[keras.layers.Layer, Weights],
    name: str,
) -> Run:
    """Return what gives the tensors in float64, then what the folded layers make of the same input."""
    exact: Any = twin.layers[id(graph)][0] if path else twin.model
    known = _counterparts(graph, exact)
    made = []
    with float64(), zeros_at_first():
        for number, place in enumerate(places.values()):
            changed = {"use_bias": True, "name": f"{place.layer.name}__folded_{number}"}  # the twin has the old name
            layer = copy_layer(place.layer, "float64", changed)
            made.append(layer(known[id(place.start)]))
            assign(layer, place.layer, weights[place.layer])
        run = runner(exact.inputs, [*exact.outputs, *(known[id(p.end)] for p in places.values()), *made], name)

    def in_float64(batch: list[np.ndarray]) -> list[np.ndarray]:
        with float64():
            return run(batch)

    return in_float64


def _feed(model: keras.Model, path: str) -> Run:
    """Return a function from a model's inputs to those of the model nested at a path, at its first call."""
    steps = []
    graph = model
    for part in path.split("/") if path else []:
        call = next(call for call in calls(graph) if call.layer.name == part)
        inner: Any = call.layer
        steps.append(runner(graph.inputs, call.inputs[: len(inner.inputs)], path))
        graph = inner

    def feed(batch: list[np.ndarray]) -> list[np.ndarray]:
        for step in steps:
            batch = step(batch)
        return batch

    return feed


def _output_names(model: keras.Model) -> list[str]:
    return [tensor._keras_history.operation.name for tensor in model.outputs]


def _counter(tensors: Sequence[keras.KerasTensor]) -> Callable[[int], int]:
    """Return a function from the length of axes of any length to the values of tensors per sample."""
    shapes = [tuple(tensor.shape)[1:] for tensor in tensors]
    return lambda length: sum(prod(size or length for size in shape) for shape in shapes)


def _values_per_sample(comparisons: Sequence[Comparison], arrays: Sequence[np.ndarray]) -> int:
    longest = max(size for array in arrays for size in (*array.shape[1:], 1))
    return sum(comparison.values_per_sample(longest) for comparison in comparisons)


def _batches(model: keras.Model, arrays: list[np.ndarray], values_per_sample: int) -> Iterator[list[np.ndarray]]:
    """Yield whole batches, so that one shape is compiled; the last one starts over from the front."""
    most = max(1, min(_BATCH_SIZE, _MOST_VALUES // max(values_per_sample, 1), len(arrays[0])))
    size = model.inputs[0].shape[0] or most
    for start in range(0, len(arrays[0]), size):
        yield [np.take(array, range(start, start + size), axis=0, mode="wrap") for array in arrays]
