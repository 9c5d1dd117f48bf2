"""Weight standardization: each unit's weights with mean zero and unit length."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from normlab.errors import InputError
from normlab.norms.kernel import KernelNorm


@keras.saving.register_keras_serializable(package="normlab")
class WeightStandardization(KernelNorm):
    """A Dense or convolution with the kernel w = gain (v - mean) / sqrt(fan_in variance + epsilon), per unit.

    v is the wrapped layer's own kernel; mean and variance run over its fan_in incoming weights. The sum of w^2 is then
    gain^2.

    Shapes: the wrapped layer's; gain (units,).

    Source: Qiao, Wang, Liu, Shen, Yuille 2019, "Micro-Batch Training with Batch-Channel Normalization and Weight
    Standardization", arXiv:1903.10520, whose weights have variance 1 and need a norm after them to undo that scale.
    Standing alone it takes the factor 1 / sqrt(fan_in), the trained gain and epsilon 1e-4 of Brock, De, Smith 2021,
    "Characterizing signal propagation to close the performance gap in unnormalized ResNets", arXiv:2101.08692. See
    `KernelNorm` for the initial gain.

    Args:
        layer: As in `KernelNorm`.
        epsilon: As in `KernelNorm`.
        **kwargs: Of every Keras layer.

    Raises:
        InputError: As `KernelNorm`; when built, for units of one incoming weight, which less its mean is zero.
    """

    def __init__(self, layer: keras.layers.Layer, epsilon: float = 1e-4, **kwargs: Any) -> None:
        super().__init__(layer, epsilon, **kwargs)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Build the wrapped layer and the gain."""
        super().build(input_shape)
        shape = tuple(self.layer.kernel.shape)
        if math.prod(shape[axis] for axis in self._summed_axes(shape)) == 1:
            raise InputError(
                "weight standardization needs at least two incoming weights per unit: one less its mean is zero",
                f"a kernel of shape {shape} in {self.name}",
                "choose another norm, such as weight",
            )

    def normalized(self, kernel: Any, axes: list[int]) -> Any:
        """Return (v - mean) / sqrt(sum((v - mean)^2) + epsilon)."""
        centred = kernel - ops.mean(kernel, axes, keepdims=True)
        return centred * ops.rsqrt(ops.sum(ops.square(centred), axes, keepdims=True) + self.epsilon)
