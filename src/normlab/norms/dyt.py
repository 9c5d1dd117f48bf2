"""Dynamic tanh: no statistics at all, a squashing with a trained slope in the place of a norm."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from normlab.norms.moments import at_least_float32
from normlab.norms.options import require_option


@keras.saving.register_keras_serializable(package="normlab")
class DynamicTanh(keras.layers.Layer):  # type: ignore[misc]
    """y = gamma tanh(slope x) + beta, with one trained slope for the layer.

    Shapes: input and output (batch, ..., channels); slope (), gamma and beta (channels,).

    Source: Zhu, Chen, He, LeCun, Liu 2025, "Transformers without Normalization", arXiv:2503.10622: slope starts at
    0.5, gamma at 1, beta at 0.

    Args:
        alpha: Initial slope (the paper's alpha_0).
        **kwargs: Of every Keras layer.

    Raises:
        InputError: For a negative alpha.
    """

    def __init__(self, alpha: float = 0.5, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        require_option("alpha", alpha)
        self.alpha = alpha
        self.supports_masking = True

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the slope, gamma and beta."""
        units = (input_shape[-1],)
        start = keras.initializers.Constant(self.alpha)
        self.slope = self.add_weight(shape=(), name="slope", initializer=start, autocast=False)
        self.gamma = self.add_weight(shape=units, name="gamma", initializer="ones", autocast=False)
        self.beta = self.add_weight(shape=units, name="beta", initializer="zeros", autocast=False)

    def call(self, inputs: Any) -> Any:
        """Return the squashed input, of its shape, in the layer's compute type."""
        x = at_least_float32(inputs)
        slope, gamma, beta = (ops.cast(value, x.dtype) for value in (self.slope, self.gamma, self.beta))
        return ops.cast(gamma * ops.tanh(slope * x) + beta, self.compute_dtype)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the input's shape."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return what rebuilds the layer."""
        return {**super().get_config(), "alpha": self.alpha}
