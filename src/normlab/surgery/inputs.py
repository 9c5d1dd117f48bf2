"""Inputs for the proof of a fold: random ones that the model accepts, or the user's, checked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from normlab.errors import InputError
from normlab.surgery.graph import calls
from normlab.surgery.kinds import is_graph
from normlab.surgery.running import runner

if TYPE_CHECKING:
    import keras

_NUM_SAMPLES = 16
# Lengths for input axes of any length, tried in turn: powers of two, and multiples of other factors.
_LENGTHS = (32, 28, 64, 224, 1, 30, 22, 26, 420)
_LONGEST = 2520  # a multiple of all numbers up to ten, for one such axis alone


def random_inputs(model: keras.Model, seed: int) -> list[np.ndarray]:
    """Return arrays for a model's inputs: normal numbers, or indices where the model looks them up.

    Axes of any length get the first of a few lengths at which the model runs and gives finite numbers.

    Raises:
        InputError: If there is no such length.
    """
    num_unknown = sum(size is None for tensor in model.inputs for size in tensor.shape[1:])
    if not num_unknown:
        return _drawn(model, seed, 0)
    run, reason = runner(model.inputs, model.outputs, "random"), ""
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
        shape = (tensor.shape[0] or _NUM_SAMPLES, *(size or length for size in tensor.shape[1:]))
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
