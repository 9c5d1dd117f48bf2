"""EvoNorm-S0: a gate over the deviation of a group, norm and activation in one."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from normlab.norms.degenerate import require_groups
from normlab.norms.moments import at_least_float32, entry_weights, moments_over
from normlab.norms.options import require_option


@keras.saving.register_keras_serializable(package="normlab")
class EvoNormS0(keras.layers.Layer):  # type: ignore[misc]
    """y = gamma x sigmoid(v x) / sqrt(variance + epsilon) + beta.

    The variance runs over the unmasked positions and the channels of a group, per sample, about the group's mean.
    gamma, beta and v are per channel.

    Shapes: input and output (batch, ..., channels); gamma, beta, v (channels,).

    Source: Liu, Brock, Simonyan, Le 2020, "Evolving Normalization-Activation Layers", arXiv:2004.02967: epsilon 1e-5;
    gamma and v start at 1, beta at 0. Its 32 groups are for wide convolutional nets; the default 4 divides the widths
    of small ones, as for `group`.

    Args:
        groups: Of channels; must divide their number.
        epsilon: Added to the variance.
        **kwargs: Of every Keras layer.

    Raises:
        InputError: For an argument outside its bounds, or groups that do not divide the channels.
    """

    def __init__(self, groups: int = 4, epsilon: float = 1e-5, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        require_option("groups", groups)
        require_option("epsilon", epsilon)
        self.groups = groups
        self.epsilon = epsilon
        self.supports_masking = True

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create gamma, beta and the slope v of the gate."""
        require_groups(self.groups, input_shape[-1] or 0, f"the layer {self.name}")
        units = (input_shape[-1],)
        self.gamma = self.add_weight(shape=units, name="gamma", initializer="ones", autocast=False)
        self.beta = self.add_weight(shape=units, name="beta", initializer="zeros", autocast=False)
        self.v = self.add_weight(shape=units, name="v", initializer="ones", autocast=False)

    def call(self, inputs: Any, mask: Any = None) -> Any:
        """Return the gated and normalized input, of its shape, in the layer's compute type."""
        x = at_least_float32(inputs)
        gamma, beta, v = (ops.cast(value, x.dtype) for value in (self.gamma, self.beta, self.v))
        shape = ops.shape(x)
        grouped = ops.reshape(x, (*shape[:-1], self.groups, x.shape[-1] // self.groups))
        weights = entry_weights(x, mask)
        if weights is not None:
            weights = ops.expand_dims(weights, -1)
        axes = [*range(1, len(x.shape) - 1), len(x.shape)]  # positions, and the channels of a group
        _, variance = moments_over(grouped, weights, axes)
        deviation = ops.sqrt(ops.broadcast_to(variance, ops.shape(grouped)) + self.epsilon)
        y = gamma * x * ops.sigmoid(v * x) / ops.reshape(deviation, shape) + beta
        return ops.cast(y, self.compute_dtype)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the input's shape."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return what rebuilds the layer."""
        return {**super().get_config(), "groups": self.groups, "epsilon": self.epsilon}
