"""The frame of norms over the batch: parameters per unit, moving statistics, and the choice between the two."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from normlab.norms.moments import at_least_float32, axes_but_last, entry_weights, moments_over
from normlab.norms.options import require_option

Shape = tuple[int | None, ...]


class MovingStatistics(keras.layers.Layer):  # type: ignore[misc]
    """A layer that normalizes by statistics of the batch in training and by moving ones in evaluation.

    Input and output are (batch, ..., channels); statistics run over all axes but the last, over unmasked entries, in
    float32. A moving value v follows the batch's value s by v = momentum v + (1 - momentum) s. As in Keras's
    BatchNormalization, a layer with `trainable = False` uses the moving statistics in training too.

    A subclass says what it keeps (`build`) and gives `by_batch`, which also moves the statistics, and `by_moving`.

    Args:
        momentum: Share of a moving value that stays; 0.99 as in Keras.
        **kwargs: Of every Keras layer: name, dtype, trainable.

    Raises:
        InputError: For a momentum outside (0, 1).
    """

    def __init__(self, momentum: float = 0.99, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        require_option("momentum", momentum)
        self.momentum = momentum
        self.supports_masking = True

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Return the normalized input, of its shape, in the layer's compute type."""
        x = at_least_float32(inputs)
        y = self.by_batch(x, mask) if training and self.trainable else self.by_moving(x)
        return ops.cast(y, self.compute_dtype)

    def by_batch(self, x: Any, mask: Any) -> Any:
        """Return x normalized as in training, and move the statistics."""
        raise NotImplementedError

    def by_moving(self, x: Any) -> Any:
        """Return x normalized as in evaluation."""
        raise NotImplementedError

    def batch_moments(self, x: Any, mask: Any) -> tuple[Any, Any]:
        """Return mean and biased variance per unit, with axes of length 1 before the channels."""
        return moments_over(x, entry_weights(x, mask), axes_but_last(x))

    def value(self, variable: Any, x: Any) -> Any:
        """Return a variable in the type that the layer reckons in."""
        return ops.cast(variable, x.dtype)

    def move(self, variable: Any, batch_value: Any) -> None:
        """Move a statistic towards the batch's value."""
        batch_value = ops.reshape(batch_value, variable.shape)
        variable.assign(self.value(variable, batch_value) * self.momentum + batch_value * (1 - self.momentum))

    def parameter(self, name: str, initializer: str, input_shape: Shape) -> Any:
        """Add a trained value per unit."""
        return self.add_weight(shape=(input_shape[-1],), name=name, initializer=initializer, autocast=False)

    def statistic(self, name: str, initializer: str, input_shape: Shape) -> Any:
        """Add a value per unit that is not trained."""
        shape = (input_shape[-1],)
        return self.add_weight(shape=shape, name=name, initializer=initializer, trainable=False, autocast=False)

    def step_counter(self) -> Any:
        """Add the number of training steps taken, an int32 scalar."""
        return self.add_weight(shape=(), name="step", initializer="zeros", dtype="int32", trainable=False)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the input's shape."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return what rebuilds the layer."""
        return {**super().get_config(), "momentum": self.momentum}


class MovingMoments(MovingStatistics):
    """A layer over the batch that divides by a deviation: gamma, beta, a moving mean and a moving variance.

    Args:
        momentum: As in `MovingMoments`.
        epsilon: Added to the variance; 1e-3 as in Keras.
        **kwargs: Of every Keras layer.

    Raises:
        InputError: For a momentum or epsilon outside (0, 1).
    """

    def __init__(self, momentum: float = 0.99, epsilon: float = 1e-3, **kwargs: Any) -> None:
        super().__init__(momentum=momentum, **kwargs)
        require_option("epsilon", epsilon)
        self.epsilon = epsilon

    def build(self, input_shape: Shape) -> None:
        """Create gamma, beta, moving_mean and moving_variance, each of shape (channels,)."""
        self.gamma = self.parameter("gamma", "ones", input_shape)
        self.beta = self.parameter("beta", "zeros", input_shape)
        self.moving_mean = self.statistic("moving_mean", "zeros", input_shape)
        self.moving_variance = self.statistic("moving_variance", "ones", input_shape)

    def by_moving(self, x: Any) -> Any:
        """Return gamma (x - moving_mean) / sqrt(moving_variance + epsilon) + beta."""
        return self.scaled(x, self.value(self.moving_mean, x), self.value(self.moving_variance, x))

    def scaled(self, x: Any, mean: Any, variance: Any) -> Any:
        """Return gamma (x - mean) / sqrt(variance + epsilon) + beta."""
        normalized = (x - mean) * ops.rsqrt(variance + self.epsilon)
        return normalized * self.value(self.gamma, x) + self.value(self.beta, x)

    def get_config(self) -> dict[str, Any]:
        """Return what rebuilds the layer."""
        return {**super().get_config(), "epsilon": self.epsilon}
