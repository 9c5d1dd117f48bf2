"""Frozen batch normalization: from a given step on, training uses the moving statistics too, and they stand still."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from normlab.norms.moving import MovingMoments, Shape
from normlab.norms.options import require_option


@keras.saving.register_keras_serializable(package="normlab")
class FrozenBatchNormalization(MovingMoments):
    """Batch norm for `freeze_step` training steps, then a fixed affine map per unit with trained gamma and beta.

    During the first `freeze_step` steps this is batch norm. From then on the moving statistics no longer move, and
    training computes what evaluation does, y = gamma (x - moving_mean) / sqrt(moving_variance + epsilon) + beta: no
    sample affects another, and no gradient flows through a statistic. `freeze_step = 0` freezes the initial mean 0 and
    variance 1, or those of loaded weights.

    Shapes: input and output (batch, ..., channels); gamma, beta, moving_mean, moving_variance (channels,); step ().

    Source: frozen statistics as in fine-tuning (He, Gkioxari, Dollár, Girshick 2017, "Mask R-CNN", arXiv:1703.06870,
    whose backbones' batch norms are fixed) and late in training (Jacob et al. 2018, arXiv:1712.05877, section 3).
    Momentum 0.9 and step 100 are ours: ten memories 1 / (1 - momentum), after which 3e-5 of the initial statistics is
    left. Epsilon is Keras's.

    Args:
        freeze_step: Training steps before the statistics freeze.
        momentum: As in `MovingMoments`.
        epsilon: As in `MovingMoments`.
        **kwargs: Of every Keras layer.

    Raises:
        InputError: For an argument outside its bounds.
    """

    def __init__(self, freeze_step: int = 100, momentum: float = 0.9, epsilon: float = 1e-3, **kwargs: Any) -> None:
        super().__init__(momentum=momentum, epsilon=epsilon, **kwargs)
        require_option("freeze_step", freeze_step)
        self.freeze_step = freeze_step

    def build(self, input_shape: Shape) -> None:
        """Create the parameters, the statistics and the count of steps."""
        super().build(input_shape)
        self.step = self.step_counter()

    def by_batch(self, x: Any, mask: Any) -> Any:
        """Return x normalized by the batch's moments before the freeze and by the moving ones after it."""
        frozen = self.step >= self.freeze_step
        moving_mean, moving_variance = self.value(self.moving_mean, x), self.value(self.moving_variance, x)
        mean, variance = self.batch_moments(x, mask)
        y = self.scaled(x, ops.where(frozen, moving_mean, mean), ops.where(frozen, moving_variance, variance))
        # A moving value that follows itself stands still.
        self.move(self.moving_mean, ops.where(frozen, moving_mean, mean))
        self.move(self.moving_variance, ops.where(frozen, moving_variance, variance))
        self.step.assign(self.step + 1)
        return y

    def get_config(self) -> dict[str, Any]:
        """Return what rebuilds the layer."""
        return {**super().get_config(), "freeze_step": self.freeze_step}
