"""A copy of one layer from its configuration, and its weights as arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from normlab.errors import InputError

if TYPE_CHECKING:
    import keras

HALF_PRECISION = ("float16", "bfloat16")


def copy_layer(layer: keras.Operation, dtype: str | None = None, changed: Mapping[str, Any] | None = None) -> Any:
    """Return a new layer of the same class and configuration, not built yet and without weights.

    Args:
        layer: The layer, or an operation of `keras.ops`; left as it is.
        dtype: Compute in this type where the layer computes in half precision.
        changed: Entries of the configuration that differ in the copy.

    Raises:
        InputError: If the layer cannot be built again from its own configuration.
    """
    import keras

    is_half = getattr(layer, "compute_dtype", None) in HALF_PRECISION
    if type(layer) is keras.layers.Lambda:
        return _copy_lambda(layer, dtype if is_half and dtype else layer.dtype_policy, dict(changed or {}))
    try:
        config = layer.get_config()
        if is_half and dtype:
            config["dtype"] = dtype
        # A function of the user's own has no name that Keras could find again, so the function itself is handed on.
        activation = getattr(layer, "activation", None)
        if "activation" in config and callable(activation) and not isinstance(activation, keras.layers.Layer):
            config["activation"] = activation
        return type(layer).from_config(config | dict(changed or {}))
    except (NotImplementedError, TypeError, ValueError) as error:
        raise InputError(
            "surgery copies layers, so each must be buildable from its own get_config",
            f"{layer.name} of class {type(layer).__name__} ({str(error).strip().splitlines()[0]})",
            "give the class a get_config, and register what it uses with keras.saving.register_keras_serializable",
        ) from error


def arrays_of(layer: keras.layers.Layer) -> list[np.ndarray]:
    """Return copies of a layer's weights, in the order of `layer.set_weights`.

    Copies, since training on JAX gives the buffers of a model's variables away: two models must not share one.
    """
    return [array_of(variable) for variable in layer.weights]


def array_of(variable: keras.Variable) -> np.ndarray:
    """Return a copy of a variable's value; Keras's own `numpy()` warns with NumPy 2."""
    import keras

    return np.array(keras.ops.convert_to_numpy(variable.value))


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
