"""A model run in evaluation mode: in full float32, or in float64."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np

from normlab.errors import InputError
from normlab.surgery.copying import cause

if TYPE_CHECKING:
    import keras

Run = Callable[[list[np.ndarray]], list[np.ndarray]]


def runner(inputs: Any, outputs: Any, name: str) -> Run:
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


@contextmanager
def float64() -> Iterator[None]:
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
