"""Learned positions: a trained vector per token, added to it."""

from __future__ import annotations

from typing import Any

import keras

Shape = tuple[int | None, ...]


@keras.saving.register_keras_serializable(package="normlab")
class LearnedPositions(keras.layers.Layer):  # type: ignore[misc]
    """y_t = x_t + p_t, with p of shape (tokens, dim) drawn from N(0, 0.02^2), cut at two deviations.

    Shapes: input and output (batch, tokens, dim).

    Source: Vaswani et al. 2017, arXiv:1706.03762, row (E) of table 3; the deviation is that of Devlin et al. 2019,
    arXiv:1810.04805, whose positions are learned.
    """

    def build(self, input_shape: Shape) -> None:
        """Create the vectors."""
        start = keras.initializers.TruncatedNormal(stddev=0.02)
        self.positions = self.add_weight(shape=tuple(input_shape[1:]), name="positions", initializer=start)

    def call(self, inputs: Any) -> Any:
        """Return the tokens with their positions added."""
        return inputs + self.positions

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the input's shape."""
        return input_shape
