"""Filter response normalization with its thresholded linear unit."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from normlab.errors import InputError
from normlab.norms.moments import at_least_float32, entry_weights, mean_over, spatial_axes
from normlab.norms.options import require_option


@keras.saving.register_keras_serializable(package="normlab")
class FilterResponseNormalization(keras.layers.Layer):  # type: ignore[misc]
    """Each channel of each sample over its root mean square in space, then a threshold in the place of ReLU.

        y = max(gamma x / sqrt(mean_square + epsilon) + beta, tau)

    with mean_square the mean of x^2 over unmasked positions, per sample and channel.

    Shapes: input and output (batch, ..., channels) with at least one axis between; gamma, beta, tau (channels,).

    Source: Singh and Krishnan 2019, "Filter Response Normalization Layer: Eliminating Batch Dependence in the Training
    of Deep Neural Networks", arXiv:1911.09737: epsilon 1e-6; gamma starts at 1, beta and tau at 0. Left out: its
    trained epsilon, meant for maps of one position.

    Args:
        epsilon: Added to the mean square.
        **kwargs: Of every Keras layer.

    Raises:
        InputError: For an epsilon outside (0, 1), or input without spatial axes.
    """

    def __init__(self, epsilon: float = 1e-6, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        require_option("epsilon", epsilon)
        self.epsilon = epsilon
        self.supports_masking = True

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create gamma, beta and the threshold tau."""
        if len(input_shape) < 3:
            action = "use it after a convolution"
            raise InputError("filter response norm needs spatial axes", f"the shape {input_shape}", action)
        units = (input_shape[-1],)
        self.gamma = self.add_weight(shape=units, name="gamma", initializer="ones", autocast=False)
        self.beta = self.add_weight(shape=units, name="beta", initializer="zeros", autocast=False)
        self.tau = self.add_weight(shape=units, name="tau", initializer="zeros", autocast=False)

    def call(self, inputs: Any, mask: Any = None) -> Any:
        """Return the normalized and thresholded input, of its shape, in the layer's compute type."""
        x = at_least_float32(inputs)
        gamma, beta, tau = (ops.cast(value, x.dtype) for value in (self.gamma, self.beta, self.tau))
        mean_square = mean_over(ops.square(x), entry_weights(x, mask), spatial_axes(x))
        y = ops.maximum(gamma * x * ops.rsqrt(mean_square + self.epsilon) + beta, tau)
        return ops.cast(y, self.compute_dtype)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the input's shape."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return what rebuilds the layer."""
        return {**super().get_config(), "epsilon": self.epsilon}
