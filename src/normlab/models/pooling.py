"""Max pooling that halves both sides of an image, with a gradient that is cheap on CPUs."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="normlab")
class HalvingMaxPooling(keras.layers.Layer):  # type: ignore[misc]
    """The largest value of every 2x2 block: y[i, j] = max(x[2i, 2j], x[2i + 1, 2j], x[2i, 2j + 1], x[2i + 1, 2j + 1]).

    It equals `keras.layers.MaxPooling2D(2)`; a last odd row or column is left out. On a CPU, XLA computes the gradient
    of Keras's windows one by one: 48 ms on 64 images of 32x32x32, a fifth of a training step. As a maximum over two
    axes it takes 6 ms. Where values tie, they share the gradient, and the first one does not get all of it.

    Shapes: (batch, height, width, channels) to (batch, height // 2, width // 2, channels).
    """

    def call(self, inputs: Any) -> Any:
        """Return the maximum over each block."""
        _, height, width, channels = inputs.shape
        rows, columns = height // 2, width // 2
        whole = inputs[:, : 2 * rows, : 2 * columns]
        return ops.max(ops.reshape(whole, (-1, rows, 2, columns, 2, channels)), axis=(2, 4))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape with both sides halved, rounded down."""
        batch, height, width, channels = input_shape
        return (batch, height // 2, width // 2, channels)  # type: ignore[operator]
