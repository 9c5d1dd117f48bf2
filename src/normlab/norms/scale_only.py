"""Scale-only batch normalization: divided by the batch's deviation, the mean left in. An ablation."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from normlab.norms.moving import MovingMoments, Shape


@keras.saving.register_keras_serializable(package="normlab")
class ScaleOnlyBatchNormalization(MovingMoments):
    """Batch norm without centring: y = gamma x / sqrt(variance + epsilon).

    The variance is the batch's, about its mean, per unit over batch and space; in evaluation it is the moving one.
    There is no beta: the layer before keeps its bias, which does the same.

    Shapes: input and output (batch, ..., channels); gamma, moving_variance (channels,).

    Source: Ioffe and Szegedy 2015, arXiv:1502.03167, with the mean and beta taken out. Its counterpart is
    `CenterOnlyBatchNormalization`. Momentum and epsilon are Keras's.
    """

    def build(self, input_shape: Shape) -> None:
        """Create gamma and the moving variance."""
        self.gamma = self.parameter("gamma", "ones", input_shape)
        self.moving_variance = self.statistic("moving_variance", "ones", input_shape)

    def by_batch(self, x: Any, mask: Any) -> Any:
        """Return x over the batch's deviation, and move the variance."""
        _, variance = self.batch_moments(x, mask)
        self.move(self.moving_variance, variance)
        return self._divided(x, variance)

    def by_moving(self, x: Any) -> Any:
        """Return gamma x / sqrt(moving_variance + epsilon)."""
        return self._divided(x, self.value(self.moving_variance, x))

    def _divided(self, x: Any, variance: Any) -> Any:
        return x * ops.rsqrt(variance + self.epsilon) * self.value(self.gamma, x)
