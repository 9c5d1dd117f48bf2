"""Weight normalization: length and direction of each unit's weights apart."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from normlab.norms.kernel import KernelNorm


@keras.saving.register_keras_serializable(package="normlab")
class WeightNormalization(KernelNorm):
    """A Dense or convolution with the kernel w = gain v / sqrt(sum(v^2) + epsilon), the sum per unit.

    v is the wrapped layer's own kernel. The output is then that layer's: w x + bias, and its activation.

    Shapes: the wrapped layer's; gain (units,).

    Source: Salimans and Kingma 2016, "Weight Normalization: A Simple Reparameterization to Accelerate Training of Deep
    Neural Networks", arXiv:1602.07868. Their initialization by a first batch is left out; see `KernelNorm` for the
    initial gain. The epsilon 1e-12 is ours, far below any kernel's sum of squares.

    Args:
        layer: As in `KernelNorm`.
        epsilon: As in `KernelNorm`.
        **kwargs: Of every Keras layer.
    """

    def __init__(self, layer: keras.layers.Layer, epsilon: float = 1e-12, **kwargs: Any) -> None:
        super().__init__(layer, epsilon, **kwargs)

    def normalized(self, kernel: Any, axes: list[int]) -> Any:
        """Return v / sqrt(sum(v^2) + epsilon)."""
        return kernel * ops.rsqrt(ops.sum(ops.square(kernel), axes, keepdims=True) + self.epsilon)
