"""Activations by name, and the layer of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras

# The slope 0.3 is the default of keras.layers.LeakyReLU, which the notebook uses; the others have no parameter.
ACTIVATIONS = ("relu", "leaky_relu", "elu", "gelu", "silu", "tanh", "sigmoid", "linear")
LEAKY_RELU_SLOPE = 0.3


def activation_layer(activation: str, name: str) -> keras.layers.Layer:
    """Return a new layer of one of `ACTIVATIONS`, called `name`."""
    import keras

    if activation == "leaky_relu":
        return keras.layers.LeakyReLU(negative_slope=LEAKY_RELU_SLOPE, name=name)
    return keras.layers.Activation(activation, name=name)
