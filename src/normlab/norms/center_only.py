"""Center-only batch normalization: the batch's mean subtracted, the scale left as it is. An ablation."""

from __future__ import annotations

from typing import Any

import keras

from normlab.norms.moving import MovingStatistics, Shape


@keras.saving.register_keras_serializable(package="normlab")
class CenterOnlyBatchNormalization(MovingStatistics):
    """Mean-only batch norm: y = x - mean + beta.

    The mean is the batch's, per unit over batch and space; in evaluation it is the moving one. There is no gamma.

    Shapes: input and output (batch, ..., channels); beta, moving_mean (channels,).

    Source: Salimans and Kingma 2016, "Weight Normalization: A Simple Reparameterization to Accelerate Training of
    Deep Neural Networks", arXiv:1602.07868, section 4 (there together with weight normalization). Momentum is Keras's.
    """

    def build(self, input_shape: Shape) -> None:
        """Create beta and the moving mean."""
        self.beta = self.parameter("beta", "zeros", input_shape)
        self.moving_mean = self.statistic("moving_mean", "zeros", input_shape)

    def by_batch(self, x: Any, mask: Any) -> Any:
        """Return x about the batch's mean, and move the mean."""
        mean, _ = self.batch_moments(x, mask)
        self.move(self.moving_mean, mean)
        return x - mean + self.value(self.beta, x)

    def by_moving(self, x: Any) -> Any:
        """Return x - moving_mean + beta."""
        return x - self.value(self.moving_mean, x) + self.value(self.beta, x)
