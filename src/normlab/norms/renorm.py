"""Batch renormalization: batch moments in training, corrected towards the moving ones within bounds."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from normlab.errors import InputError
from normlab.norms.moving import MovingMoments, Shape
from normlab.norms.options import require_option


@keras.saving.register_keras_serializable(package="normlab")
class BatchRenormalization(MovingMoments):
    """Batch renormalization with its schedule of bounds.

    In training, with moments of the batch per unit and the moving mean m and deviation s before this step:

        deviation = sqrt(variance + epsilon)
        r = stop_gradient(clip(deviation / s, 1 / r_bound, r_bound))
        d = stop_gradient(clip((mean - m) / s, -d_bound, d_bound))
        y = gamma ((x - mean) / deviation * r + d) + beta

    For `warm_up_steps` steps r_bound = 1 and d_bound = 0, which is batch norm; then they rise linearly to r_max at
    step `r_steps` and to d_max at step `d_steps`. Evaluation: y = gamma (x - m) / s + beta.

    Shapes: input and output (batch, ..., channels); gamma, beta, moving_mean, moving_deviation (channels,); step ().

    Source: Ioffe 2017, "Batch Renormalization: Towards Reducing Minibatch Dependence in Batch-Normalized Models",
    arXiv:1702.03275: momentum 0.99 (its 1 - alpha), r_max 3, d_max 5, and a schedule of 5,000, 40,000 and 25,000
    steps on ImageNet. The defaults keep its proportions but start at 100 steps, one memory 1 / (1 - momentum) of the
    moving statistics: with the paper's own numbers a training of a few thousand steps would be plain batch norm. Set
    them for a long one. Epsilon is Keras's.

    Args:
        r_max: Last bound of r, at least 1.
        d_max: Last bound of d, at least 0.
        warm_up_steps: Steps of plain batch norm.
        r_steps: Step at which r_bound reaches r_max.
        d_steps: Step at which d_bound reaches d_max.
        momentum: As in `MovingMoments`.
        epsilon: As in `MovingMoments`.
        **kwargs: Of every Keras layer.

    Raises:
        InputError: For an argument outside its bounds.
    """

    def __init__(
        self,
        r_max: float = 3.0,
        d_max: float = 5.0,
        warm_up_steps: int = 100,
        r_steps: int = 800,
        d_steps: int = 500,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        **kwargs: Any,
    ) -> None:
        super().__init__(momentum=momentum, epsilon=epsilon, **kwargs)
        self.schedule = {
            "r_max": r_max,
            "d_max": d_max,
            "warm_up_steps": warm_up_steps,
            "r_steps": r_steps,
            "d_steps": d_steps,
        }
        for name, value in self.schedule.items():
            require_option(name, value)
        for name in ("r_steps", "d_steps"):
            if self.schedule[name] < warm_up_steps:
                rule = f"{name} must be at least warm_up_steps, {warm_up_steps}"
                raise InputError(rule, self.schedule[name], f"change {name}")

    def build(self, input_shape: Shape) -> None:
        """Create gamma, beta, the moving mean and deviation, and the count of steps."""
        self.gamma = self.parameter("gamma", "ones", input_shape)
        self.beta = self.parameter("beta", "zeros", input_shape)
        self.moving_mean = self.statistic("moving_mean", "zeros", input_shape)
        self.moving_deviation = self.statistic("moving_deviation", "ones", input_shape)
        self.step = self.step_counter()

    def by_batch(self, x: Any, mask: Any) -> Any:
        """Return x normalized by corrected moments, move the statistics and count the step."""
        mean, variance = self.batch_moments(x, mask)
        deviation = ops.sqrt(variance + self.epsilon)
        moving_mean, moving_deviation = self.value(self.moving_mean, x), self.value(self.moving_deviation, x)
        progress = self._progress(self.schedule["r_steps"], x)
        r_bound = 1 + (self.schedule["r_max"] - 1) * progress
        d_bound = self.schedule["d_max"] * self._progress(self.schedule["d_steps"], x)
        r = ops.stop_gradient(ops.clip(deviation / moving_deviation, 1 / r_bound, r_bound))
        d = ops.stop_gradient(ops.clip((mean - moving_mean) / moving_deviation, -d_bound, d_bound))
        normalized = (x - mean) / deviation * r + d
        self.move(self.moving_mean, mean)
        self.move(self.moving_deviation, deviation)
        self.step.assign(self.step + 1)
        return normalized * self.value(self.gamma, x) + self.value(self.beta, x)

    def by_moving(self, x: Any) -> Any:
        """Return gamma (x - moving_mean) / moving_deviation + beta."""
        normalized = (x - self.value(self.moving_mean, x)) / self.value(self.moving_deviation, x)
        return normalized * self.value(self.gamma, x) + self.value(self.beta, x)

    def _progress(self, last_step: float, x: Any) -> Any:
        """Return 0 during the warm-up, rising linearly to 1 at `last_step`."""
        first_step = self.schedule["warm_up_steps"]
        length = max(last_step - first_step, 1)
        return ops.clip((ops.cast(self.step, x.dtype) - first_step) / length, 0, 1)

    def get_config(self) -> dict[str, Any]:
        """Return what rebuilds the layer."""
        return {**super().get_config(), **self.schedule}
