"""The proof that a folded model computes what the old one did: both are run and compared, place by place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np

from normlab.errors import InputError
from normlab.surgery.folded import Difference
from normlab.surgery.graph import calls

if TYPE_CHECKING:
    import keras

# Of a tensor's largest absolute value, in float32: room for the rounding of a deep network, not for a wrong formula.
TOLERANCE = 1e-4
_BATCH_SIZE = 16
_UNKNOWN_SIZE = 32


def prove(old: keras.Model, new: keras.Model, pairs: Sequence[tuple[str, str]], inputs: Any, name: str) -> Difference:
    """Run both models in evaluation mode and compare outputs and the tensors at folded places.

    Args:
        old: The model before folding.
        new: The model after folding.
        pairs: Names of the layers, in the old and the new model, whose outputs must agree.
        inputs: Arrays in the structure of the model's inputs.
        name: What the inputs are, for the report.

    Raises:
        InputError: If an output is not finite, or a difference exceeds `TOLERANCE`.
    """
    import keras

    flat = [np.asarray(array) for array in keras.tree.flatten(inputs)]
    names = [f"output {tensor_name}" for tensor_name in _output_names(old)] + [
        f"{a}, now {b}" if a != b else a for a, b in pairs
    ]
    run_old, run_new = _runner(old, [a for a, _ in pairs]), _runner(new, [b for _, b in pairs])
    largest, scale = np.zeros(len(names)), np.zeros(len(names))
    for batch in _batches(old, flat):
        for place, (expected, found) in enumerate(zip(run_old(batch), run_new(batch), strict=True)):
            if not np.all(np.isfinite(expected)):
                raise InputError(
                    "the proof needs inputs for which the model's outputs are finite",
                    f"{name} input, which gives others at {names[place]}",
                    "give inputs as data",
                )
            largest[place] = max(largest[place], np.abs(expected - found).max(initial=0.0))
            scale[place] = max(scale[place], np.abs(expected).max(initial=0.0))
    relative = largest / np.where(scale > 0, scale, 1.0)
    worst = int(relative.argmax())
    if not relative[worst] <= TOLERANCE:  # not a number counts as too large
        raise InputError(
            f"folding must change no tensor by more than {TOLERANCE:g} of its largest value",
            f"{relative[worst]:.1e} at {names[worst]} on {name} input",
            "keep the model unfolded: its norms' statistics cancel more than float32 can hold",
        )
    return Difference(name, len(flat[0]), float(largest.max()), float(relative[worst]), names[worst])


def random_inputs(model: keras.Model, seed: int) -> Any:
    """Return arrays for a model's inputs: normal numbers, or indices where the model looks them up."""
    import keras

    rng = np.random.default_rng(seed)
    graph = calls(model)

    def draw(tensor: keras.KerasTensor) -> np.ndarray:
        sizes = [size or _UNKNOWN_SIZE for size in tensor.shape[1:]]
        shape = (tensor.shape[0] or _BATCH_SIZE, *sizes)
        users = [call.layer for call in graph if any(tensor is given for given in call.inputs)]
        vocabularies = [user.input_dim for user in users if isinstance(user, keras.layers.Embedding)]
        dtype = keras.backend.standardize_dtype(tensor.dtype)
        if vocabularies or "float" not in dtype:
            return rng.integers(0, min(vocabularies, default=2), shape).astype(dtype)
        return rng.standard_normal(shape).astype("float32")

    return [draw(tensor) for tensor in model.inputs]


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


def _output_names(model: keras.Model) -> list[str]:
    return [tensor._keras_history.operation.name for tensor in model.outputs]


def _runner(model: keras.Model, layer_names: Sequence[str]) -> Callable[[list[np.ndarray]], list[np.ndarray]]:
    """Return a function that gives a model's outputs and those of some of its layers, in float32 or finer."""
    import keras

    tensors = {call.layer.name: call.outputs[0] for call in calls(model)}
    probe = keras.Model(model.inputs, [*model.outputs, *(tensors[name] for name in layer_names)])

    def run(batch: list[np.ndarray]) -> list[np.ndarray]:
        with _exact_products():
            outputs = probe(batch, training=False)
        arrays = [keras.ops.convert_to_numpy(output) for output in keras.tree.flatten(outputs)]
        return [np.asarray(array, dtype="float64") for array in arrays]

    return run


def _exact_products() -> Any:
    """Return a context in which JAX multiplies in full float32 on accelerators too."""
    import keras

    if keras.backend.backend() != "jax":
        return nullcontext()
    import jax

    return jax.default_matmul_precision("highest")


def _batches(model: keras.Model, arrays: list[np.ndarray]) -> Iterator[list[np.ndarray]]:
    """Yield whole batches, so that one shape is compiled; the last one starts over from the front."""
    size = model.inputs[0].shape[0] or _BATCH_SIZE
    for start in range(0, len(arrays[0]), size):
        yield [np.take(array, range(start, start + size), axis=0, mode="wrap") for array in arrays]
