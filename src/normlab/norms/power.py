"""Power normalization: divided by a moving root mean square, without centring."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from normlab.norms.moments import axes_but_last, entry_weights, mean_over
from normlab.norms.moving import MovingStatistics, Shape
from normlab.norms.options import require_option


@keras.saving.register_keras_serializable(package="normlab")
class PowerNormalization(MovingStatistics):
    """PowerNorm with the batch's own gradient.

    With batch_square = mean of x^2 per unit over batch and space, and moving_square before this step:

        y = gamma x / sqrt(square + epsilon) + beta

    where square is batch_square for `warm_up_steps` training steps and moving_square from then on, and in evaluation.

    Backward: the gradient is that of y with square = moving_square + (batch_square - stop_gradient(batch_square)): the
    value divided by is the moving one, its derivative the batch's. Left out: the paper's second moving statistic,
    which replaces that derivative by an average over past batches (its equations 9 to 12), and the scaling of groups
    of features before the norm, which only its published code has.

    Shapes: input and output (batch, ..., channels); gamma, beta, moving_square (channels,); step ().

    Source: Shen, Yao, Gholami, Mahoney, Keutzer 2020, "PowerNorm: Rethinking Batch Normalization in Transformers",
    arXiv:2003.07845: momentum 0.9 (its alpha), epsilon 1e-5 (its code). The warm-up of 100 steps, ten memories of the
    moving value, is ours: the code's thousands are for long trainings.

    Args:
        warm_up_steps: Steps divided by the batch's own root mean square.
        momentum: As in `MovingStatistics`.
        epsilon: Added to the mean square.
        **kwargs: Of every Keras layer.

    Raises:
        InputError: For an argument outside its bounds.
    """

    def __init__(self, warm_up_steps: int = 100, momentum: float = 0.9, epsilon: float = 1e-5, **kwargs: Any) -> None:
        super().__init__(momentum=momentum, **kwargs)
        require_option("warm_up_steps", warm_up_steps)
        require_option("epsilon", epsilon)
        self.warm_up_steps = warm_up_steps
        self.epsilon = epsilon

    def build(self, input_shape: Shape) -> None:
        """Create gamma, beta, the moving mean square and the count of steps."""
        self.gamma = self.parameter("gamma", "ones", input_shape)
        self.beta = self.parameter("beta", "zeros", input_shape)
        self.moving_square = self.statistic("moving_square", "ones", input_shape)
        self.step = self.step_counter()

    def by_batch(self, x: Any, mask: Any) -> Any:
        """Return x over the batch's or the moving root mean square, move the latter and count the step."""
        batch_square = mean_over(ops.square(x), entry_weights(x, mask), axes_but_last(x))
        moving = self.value(self.moving_square, x) + (batch_square - ops.stop_gradient(batch_square))
        y = self._divided(x, ops.where(self.step < self.warm_up_steps, batch_square, moving))
        self.move(self.moving_square, batch_square)
        self.step.assign(self.step + 1)
        return y

    def by_moving(self, x: Any) -> Any:
        """Return gamma x / sqrt(moving_square + epsilon) + beta."""
        return self._divided(x, self.value(self.moving_square, x))

    def _divided(self, x: Any, square: Any) -> Any:
        return x * ops.rsqrt(square + self.epsilon) * self.value(self.gamma, x) + self.value(self.beta, x)

    def get_config(self) -> dict[str, Any]:
        """Return what rebuilds the layer."""
        return {**super().get_config(), "warm_up_steps": self.warm_up_steps, "epsilon": self.epsilon}
