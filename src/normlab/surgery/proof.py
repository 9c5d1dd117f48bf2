"""The proof that a folded model computes what the old one did: both are run and compared, also with float64.

Two things can be wrong. One is a formula: each place is checked on its own in float64, where the old layers and the new
one get the same input. The other is precision: float32 rounds, and in a deep network this adds up, so the error of the
folded model is compared with the error of the model itself. The reference for both is the model's float64 twin.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from normlab.errors import InputError
from normlab.surgery.affine import Weights, assign
from normlab.surgery.copying import cause, copy_layer, zeros_at_first
from normlab.surgery.graph import Rebuilt, calls, rebuild
from normlab.surgery.kinds import is_graph

if TYPE_CHECKING:
    import keras

    from normlab.surgery.foldplan import FoldPlan, Place

# Of a tensor's largest absolute value: less is right, whatever the model's own rounding.
TOLERANCE = 1e-4
# A folded model may be this many times as far from float64 as the model itself: both round, in a different order.
MOST_OWN_ERRORS = 4.0
# Of a channel's largest absolute value, in float64: a formula is right to far more digits, or it is wrong.
FORMULA_TOLERANCE = 1e-6
_SMALLEST = 1e-9
_BATCH_SIZE = 16
# Values per batch, over all tensors that are compared; with their copies some 300 MB.
_MOST_VALUES = 2**23
# Lengths for input axes of any length, tried in turn: powers of two, and multiples of other factors.
_LENGTHS = (32, 28, 64, 224, 1, 30, 22, 26, 420)
_LONGEST = 2520  # a multiple of all numbers up to ten, for one such axis alone


@dataclass(frozen=True)
class Difference:
    """Old model against new in evaluation mode, over the outputs and every place where a norm was folded.

    Attributes:
        inputs: What was fed: "random" or "data", and to which nested model.
        samples: How many.
        largest: The largest absolute difference.
        relative: The largest, over the tensors, of a tensor's largest difference by its largest absolute value.
        where: The layer where `relative` was found.
        own_error: How far the old model is from its float64 twin there, relative as well; None without a twin.
        folded_error: How far the new model is from that twin.
    """

    inputs: str
    samples: int
    largest: float
    relative: float
    where: str
    own_error: float | None
    folded_error: float | None


def prove(model: keras.Model, rebuilt: Rebuilt, plan: FoldPlan, arrays: Sequence[np.ndarray], name: str) -> list[Any]:
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


def random_inputs(model: keras.Model, seed: int) -> list[np.ndarray]:
    """Return arrays for a model's inputs: normal numbers, or indices where the model looks them up.

    Axes of any length get the first of a few lengths at which the model runs and gives finite numbers.

    Raises:
        InputError: If there is no such length.
    """
    num_unknown = sum(size is None for tensor in model.inputs for size in tensor.shape[1:])
    if not num_unknown:
        return _drawn(model, seed, 0)
    run, reason = _runner(model.inputs, model.outputs, "random"), ""
    for length in (*_LENGTHS, _LONGEST)[: None if num_unknown == 1 else -1]:
        arrays = _drawn(model, seed, length)
        try:
            outputs = run([array[:1] for array in arrays])
        except InputError as error:
            reason = reason or str(error.received)
            continue
        if all(np.all(np.isfinite(array)) for array in outputs):
            return arrays
    raise InputError(
        "the proof needs input that the model accepts",
        reason or f"outputs that are not finite on random input of lengths {', '.join(map(str, _LENGTHS))}",
        "give inputs with --data FILE, from Python as data",
    )


def require_inputs(model: keras.Model, data: Any) -> list[np.ndarray]:
    """Return the user's arrays, one per input of the model, or raise `InputError` where their shapes do not fit."""
    import keras

    arrays = [np.asarray(array) for array in keras.tree.flatten(data)]
    expected = [tuple(tensor.shape) for tensor in model.inputs]
    found = [array.shape for array in arrays]
    fits = len(arrays) == len(expected) and all(map(_fits, found, expected))
    if not fits or len({len(array) for array in arrays}) != 1 or len(arrays[0]) == 0:
        raise InputError("data must have the shapes of the model's inputs", found, f"give arrays of shapes {expected}")
    return arrays


def _fits(shape: tuple[int, ...], expected: tuple[int | None, ...]) -> bool:
    return len(shape) == len(expected) and all(
        size in (None, given) for given, size in zip(shape[1:], expected[1:], strict=True)
    )


def _drawn(model: keras.Model, seed: int, length: int) -> list[np.ndarray]:
    import keras

    rng = np.random.default_rng(seed)
    arrays = []
    for position, tensor in enumerate(model.inputs):
        shape = (tensor.shape[0] or _BATCH_SIZE, *(size or length for size in tensor.shape[1:]))
        dtype = keras.backend.standardize_dtype(tensor.dtype)
        vocabularies = list(_vocabularies(model, position))
        if vocabularies or "float" not in dtype:
            arrays.append(rng.integers(0, min(vocabularies, default=2), shape).astype(dtype))
        else:
            arrays.append(rng.standard_normal(shape).astype("float32"))
    return arrays


def _vocabularies(model: keras.Model, position: int) -> Iterator[int]:
    """Yield the sizes of the tables in which a model, or one nested in it, looks its input number `position` up."""
    import keras

    for call in calls(model):
        for place, tensor in enumerate(call.inputs):
            if tensor is model.inputs[position]:
                if isinstance(call.layer, keras.layers.Embedding):
                    yield call.layer.input_dim
                elif is_graph(call.layer) and place < len(call.layer.inputs):  # type: ignore[attr-defined]
                    yield from _vocabularies(call.layer, place)  # type: ignore[arg-type]


@dataclass
class _Comparison:
    """One graph of a model as it was, folded, and in float64 as it was; filled batch by batch.

    Attributes:
        name: What it is fed, for the report.
        tensors: Names of the tensors that are compared: the outputs, then those at which a norm was folded.
        feed: Returns the graph's inputs from those of the whole model.
        old: Gives the tensors before folding.
        new: And after it.
        exact: Gives them in float64, then those at folded places as the new layers make them there, each from what goes
            into its place; None where the graph does not run in float64.
        channels: Of each folded place its axis of channels.
        offsets: Of each folded place the largest absolute bias, which a formula may round.
    """

    name: str
    tensors: list[str]
    feed: Callable[[list[np.ndarray]], list[np.ndarray]]
    old: Callable[[list[np.ndarray]], list[np.ndarray]]
    new: Callable[[list[np.ndarray]], list[np.ndarray]]
    exact: Callable[[list[np.ndarray]], list[np.ndarray]] | None
    channels: list[int]
    offsets: list[float]
    values_per_sample: Callable[[int], int]
    maxima: dict[str, np.ndarray] = field(default_factory=dict)
    formulas: dict[int, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)

    def add(self, batch: list[np.ndarray]) -> None:
        """Compare the graphs on a batch of their inputs."""
        old, new = self.old(batch), self.new(batch)
        for name, array in zip(self.tensors, old, strict=True):
            if not np.all(np.isfinite(array)):
                raise InputError(
                    "the proof needs inputs for which the model's outputs are finite",
                    f"{self.name} input, which gives others at {name}",
                    "give other inputs with --data FILE, from Python as data",
                )
        self._note("scale", old, [0.0] * len(old))
        self._note("difference", new, old)
        exact = self._exactly(batch)
        if exact is not None:
            self._note("own", old, exact[: len(old)])
            self._note("folded", new, exact[: len(old)])
            for place, (axis, made) in enumerate(zip(self.channels, exact[len(old) :], strict=True)):
                self._note_formula(place, axis, exact[len(old) - len(self.channels) + place], made)

    def _exactly(self, batch: list[np.ndarray]) -> list[np.ndarray] | None:
        try:
            return None if self.exact is None else self.exact(batch)
        except InputError:  # a layer of the user's own may run in float32 alone: the proof then goes without a twin
            self.exact = None
            return None

    def outcome(self, num_samples: int) -> Difference:
        """Return what was found.

        Raises:
            InputError: If a formula is wrong, or the folded model is too far from the old one.
        """
        self._require_formulas()
        scale = np.where(self.maxima["scale"] > 0, self.maxima["scale"], 1.0)
        relative = self.maxima["difference"] / scale
        if self.exact is not None:
            own, folded = self.maxima["own"] / scale, self.maxima["folded"] / scale
            is_right = (relative <= TOLERANCE) | (folded <= MOST_OWN_ERRORS * own)
        else:
            is_right = relative <= TOLERANCE
        worst = int(np.where(is_right, relative, np.inf).argmax())  # what is not a number counts as wrong
        errors = None if self.exact is None else (float(own[worst]), float(folded[worst]))
        if not is_right.all():
            worst = int(np.where(is_right, -1.0, np.nan_to_num(relative, nan=np.inf)).argmax())
            received = f"{relative[worst]:.1e} at {self.tensors[worst]} on {self.name} input"
            if self.exact is not None:
                received += f", {folded[worst]:.1e} from float64, where the model itself is {own[worst]:.1e} from it"
            raise InputError(
                f"folding must change no tensor by more than {TOLERANCE:g} of its largest value, or be at most "
                f"{MOST_OWN_ERRORS:g} times as far from float64 as the model is itself",
                received,
                "keep the model unfolded: float32 cannot hold what its norms' statistics cancel",
            )
        own_error, folded_error = errors or (None, None)
        largest = float(self.maxima["difference"].max())
        return Difference(
            self.name, num_samples, largest, float(relative[worst]), self.tensors[worst], own_error, folded_error
        )

    def _note(self, what: str, found: Sequence[np.ndarray], expected: Sequence[Any]) -> None:
        largest = np.array(
            [np.abs(np.subtract(a, b, dtype="float64")).max(initial=0.0) for a, b in zip(found, expected, strict=True)]
        )
        self.maxima[what] = np.maximum(self.maxima.get(what, 0.0), largest)

    def _note_formula(self, place: int, axis: int, was: np.ndarray, made: np.ndarray) -> None:
        others = tuple(other for other in range(was.ndim) if other != axis % was.ndim)
        found = np.abs(was - made).max(axis=others), np.abs(was).max(axis=others)
        before = self.formulas.get(place, (0.0, 0.0))
        self.formulas[place] = (np.maximum(before[0], found[0]), np.maximum(before[1], found[1]))

    def _require_formulas(self) -> None:
        for place, (difference, scale) in self.formulas.items():
            allowed = FORMULA_TOLERANCE * scale + _SMALLEST * (scale.max(initial=0.0) + self.offsets[place])
            if not np.all(difference <= allowed):
                worst = int((difference / np.where(scale > 0, scale, 1.0)).argmax())
                raise InputError(
                    f"a folded layer must give every channel to {FORMULA_TOLERANCE:g} of its largest value in float64",
                    f"a difference of {difference[worst]:.1e} in channel {worst} of "
                    f"{self.tensors[len(self.tensors) - len(self.channels) + place]}, of at most {scale[worst]:.1e}",
                    "keep the model unfolded, and report this as a fault of normlab",
                )


def _comparisons(model: keras.Model, rebuilt: Rebuilt, plan: FoldPlan, name: str) -> list[_Comparison]:
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
        comparison = _Comparison(
            f"{name}, into {path}" if path else name,
            [f"output {output_name}" for output_name in _output_names(graph)] + [_title(p) for p in inner.values()],
            _feed(old.model, path),
            _runner(before.inputs, compared, name),
            _runner(after.inputs, [*after.outputs, *(after_outputs[p.layer.name] for p in inner.values())], name),
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
        with _float64(), zeros_at_first():
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
) -> Callable[[list[np.ndarray]], list[np.ndarray]]:
    """Return what gives the tensors in float64, then what the folded layers make of the same input."""
    exact: Any = twin.layers[id(graph)][0] if path else twin.model
    known = _counterparts(graph, exact)
    made = []
    with _float64(), zeros_at_first():
        for number, place in enumerate(places.values()):
            changed = {"use_bias": True, "name": f"{place.layer.name}__folded_{number}"}  # the twin has the old name
            layer = copy_layer(place.layer, "float64", changed)
            made.append(layer(known[id(place.start)]))
            assign(layer, place.layer, weights[place.layer])
        run = _runner(exact.inputs, [*exact.outputs, *(known[id(p.end)] for p in places.values()), *made], name)

    def in_float64(batch: list[np.ndarray]) -> list[np.ndarray]:
        with _float64():
            return run(batch)

    return in_float64


def _feed(model: keras.Model, path: str) -> Callable[[list[np.ndarray]], list[np.ndarray]]:
    """Return a function from a model's inputs to those of the model nested at a path, at its first call."""
    steps = []
    graph = model
    for part in path.split("/") if path else []:
        call = next(call for call in calls(graph) if call.layer.name == part)
        inner: Any = call.layer
        steps.append(_runner(graph.inputs, call.inputs[: len(inner.inputs)], path))
        graph = inner

    def feed(batch: list[np.ndarray]) -> list[np.ndarray]:
        for step in steps:
            batch = step(batch)
        return batch

    return feed


def _runner(inputs: Any, outputs: Any, name: str) -> Callable[[list[np.ndarray]], list[np.ndarray]]:
    """Return a function that gives tensors of a graph as arrays, in evaluation mode."""
    import keras

    probe = keras.Model(inputs, list(outputs))
    return lambda batch: _run(probe, batch, name)


def _run(model: keras.Model, batch: list[np.ndarray], name: str) -> list[np.ndarray]:
    """Return a model's outputs in evaluation mode, flat; what it raises becomes an `InputError`."""
    import keras

    try:
        with _exact_products():
            outputs = model(batch, training=False)
        return [np.asarray(keras.ops.convert_to_numpy(output)) for output in keras.tree.flatten(outputs)]
    except Exception as error:
        raise InputError(
            "the proof runs the model, which must accept its input",
            f"{type(error).__name__} on {name} input of shape {', '.join(str(a.shape) for a in batch)}: {cause(error)}",
            "give inputs that it accepts with --data FILE, from Python as data",
        ) from error


def _output_names(model: keras.Model) -> list[str]:
    return [tensor._keras_history.operation.name for tensor in model.outputs]


@contextmanager
def _float64() -> Iterator[None]:
    """Let Keras compute in float64 where it is asked to.

    On JAX that takes two steps: JAX's own switch, and Keras's rule of promotion, which cuts float64 to float32 there.
    The rule has no public switch yet.
    """
    import keras
    from keras.src.backend.common import dtypes

    cut = getattr(dtypes, "BIT64_TO_BIT32_DTYPE", {})
    with ExitStack() as stack:
        if keras.backend.backend() == "jax":
            import jax

            if hasattr(jax, "enable_x64"):
                stack.enter_context(jax.enable_x64(True))
            else:  # before JAX 0.8
                from jax.experimental import enable_x64  # type: ignore[attr-defined]

                stack.enter_context(enable_x64(True))
        stack.callback(cut.update, dict(cut))
        cut.update({"float64": "float64"} if cut else {})
        yield


def _exact_products() -> AbstractContextManager[Any]:
    """Return a context in which JAX multiplies in full float32 on accelerators too."""
    import keras

    if keras.backend.backend() != "jax":
        return nullcontext()
    import jax

    return jax.default_matmul_precision("highest")


def _counter(tensors: Sequence[keras.KerasTensor]) -> Callable[[int], int]:
    """Return a function from the length of axes of any length to the values of tensors per sample."""
    shapes = [tuple(tensor.shape)[1:] for tensor in tensors]
    return lambda length: sum(prod(size or length for size in shape) for shape in shapes)


def _values_per_sample(comparisons: Sequence[_Comparison], arrays: Sequence[np.ndarray]) -> int:
    longest = max(size for array in arrays for size in (*array.shape[1:], 1))
    return sum(comparison.values_per_sample(longest) for comparison in comparisons)


def _batches(model: keras.Model, arrays: list[np.ndarray], values_per_sample: int) -> Iterator[list[np.ndarray]]:
    """Yield whole batches, so that one shape is compiled; the last one starts over from the front."""
    most = max(1, min(_BATCH_SIZE, _MOST_VALUES // max(values_per_sample, 1), len(arrays[0])))
    size = model.inputs[0].shape[0] or most
    for start in range(0, len(arrays[0]), size):
        yield [np.take(array, range(start, start + size), axis=0, mode="wrap") for array in arrays]
