"""A copy of one layer from its configuration, in another precision if need be, and its weights as arrays."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from normlab.errors import InputError

if TYPE_CHECKING:
    import keras

HALF_PRECISION = ("float16", "bfloat16")
_BITS = {"float16": 16, "bfloat16": 16, "float32": 32, "float64": 64}


def copy_layer(layer: keras.Operation, dtype: str | None = None, changed: Mapping[str, Any] | None = None) -> Any:
    """Return a new layer of the same class and configuration, not built yet and without weights.

    Args:
        layer: The layer, or an operation of `keras.ops`; left as it is.
        dtype: Compute in this type, layers inside the layer too, where the type of the original is a shorter one.
        changed: Entries of the configuration that differ in the copy.

    Raises:
        InputError: If the layer cannot be built again from its own configuration.
    """
    import keras

    if type(layer) is keras.layers.Lambda:
        is_shorter = dtype is not None and is_shorter_float(layer.compute_dtype, dtype)
        return _copy_lambda(layer, dtype if is_shorter else layer.dtype_policy, dict(changed or {}))
    try:
        config = layer.get_config()
        if dtype:
            config = _widened(config, dtype)
        # A function of the user's own has no name that Keras could find again, so the function itself is handed on.
        activation = getattr(layer, "activation", None)
        if "activation" in config and callable(activation) and not isinstance(activation, keras.layers.Layer):
            config["activation"] = activation
        return type(layer).from_config(config | dict(changed or {}))
    except (NotImplementedError, TypeError, ValueError) as error:
        raise InputError(
            "surgery copies layers, so each must be buildable from its own get_config",
            f"{layer.name} of class {type(layer).__name__} ({cause(error)})",
            "give the class a get_config, and register what it uses with keras.saving.register_keras_serializable",
        ) from error


def is_shorter_float(dtype: str, other: str) -> bool:
    """Return whether `dtype` is a floating type with fewer bits than the floating type `other`."""
    return dtype in _BITS and _BITS[dtype] < _BITS[other]


def cause(error: Exception) -> str:
    """Return the line of an error that names its cause; Keras puts others before and behind it."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    told = [line for line in lines if not line.startswith("Exception encountered when calling")]
    return (told or lines or [type(error).__name__])[0].rstrip(".")


@contextmanager
def zeros_at_first() -> Iterator[None]:
    """Begin every weight added inside this context at zero: copies get values anyway, and a draw costs a compilation.

    Not for layers that keep their own initial values.
    """
    import keras

    original = keras.layers.Layer.add_weight

    def add_weight(self: Any, shape: Any = None, _initializer: Any = None, *more: Any, **options: Any) -> Any:
        options.pop("initializer", None)
        return original(self, shape, "zeros", *more, **options)

    keras.layers.Layer.add_weight = add_weight
    try:
        yield
    finally:
        keras.layers.Layer.add_weight = original


def arrays_of(layer: keras.layers.Layer) -> list[np.ndarray]:
    """Return copies of a layer's weights, in the order of `layer.set_weights`.

    Copies, since training on JAX gives the buffers of a model's variables away: two models must not share one.
    """
    return [array_of(variable) for variable in layer.weights]


def array_of(variable: keras.Variable) -> np.ndarray:
    """Return a copy of a variable's value; Keras's own `numpy()` warns with NumPy 2."""
    import keras

    return np.array(keras.ops.convert_to_numpy(variable.value))


def _widened(value: Any, dtype: str) -> Any:
    """Return a configuration with `dtype` in the place of every shorter floating type, in those inside it too."""
    if isinstance(value, dict):
        return {
            key: dtype if key == "dtype" and _is_shorter_policy(inner, dtype) else _widened(inner, dtype)
            for key, inner in value.items()
        }
    return [_widened(inner, dtype) for inner in value] if isinstance(value, list) else value


def _is_shorter_policy(given: Any, dtype: str) -> bool:
    """Return whether an entry "dtype" of a configuration, a name or a policy, computes in a shorter type."""
    if isinstance(given, dict):
        given = given.get("config", {}).get("name")
    return isinstance(given, str) and is_shorter_float(given.removeprefix("mixed_"), dtype)


def _copy_lambda(layer: keras.layers.Lambda, dtype: Any, changed: dict[str, Any]) -> keras.layers.Lambda:
    """Copy a Lambda with its function; through its configuration the function would lose the module it lives in."""
    import keras

    return keras.layers.Lambda(
        layer.function,
        output_shape=layer._output_shape,
        mask=layer.mask,
        arguments=layer.arguments,
        name=changed.get("name", layer.name),
        trainable=layer.trainable,
        dtype=dtype,
    )
