"""How batch norm's scale and shift enter the weights of the linear map before or after it, in float64."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from normlab.surgery.copying import array_of, arrays_of

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Affine:
    """Batch norm in evaluation mode, per channel: y = scale * x + shift."""

    scale: np.ndarray
    shift: np.ndarray


@dataclass(frozen=True)
class Weights:
    """Kernel and bias of a linear map; the bias is zero where the layer has none."""

    kernel: np.ndarray
    bias: np.ndarray


Rule = Callable[[Weights, Affine], Weights]


def affine_of(norm: keras.layers.BatchNormalization) -> Affine:
    """Return scale = gamma / sqrt(moving_variance + epsilon) and shift = beta - moving_mean * scale."""
    mean, variance = _float64(norm.moving_mean), _float64(norm.moving_variance)
    gamma = _float64(norm.gamma) if norm.scale else np.ones_like(mean)
    beta = _float64(norm.beta) if norm.center else np.zeros_like(mean)
    scale = gamma / np.sqrt(variance + norm.epsilon)
    return Affine(scale, beta - mean * scale)


def weights_of(layer: keras.layers.Layer) -> Weights:
    """Return the kernel that a rule changes (of a separable conv the pointwise one) and the bias."""
    kernel = _float64(_kernel(layer))
    if layer.use_bias:
        return Weights(kernel, _float64(layer.bias))
    return Weights(kernel, np.zeros(_num_outputs(layer, kernel)))


def assign(layer: keras.layers.Layer, old: keras.layers.Layer, weights: Weights) -> None:
    """Write folded weights into the built copy, with a bias, of an old layer."""
    kept = arrays_of(old)
    layer.set_weights(kept if old.use_bias else [*kept, weights.bias])
    _kernel(layer).assign(weights.kernel)
    layer.bias.assign(weights.bias)


def rule_after(layer: keras.layers.Layer) -> Rule | None:
    """Return how a norm on the layer's output folds into it: W' = scale W, b' = scale b + shift; or None."""
    return AFTER.get(_keras_name(layer))


def rule_before(layer: keras.layers.Layer) -> Rule | None:
    """Return how a norm on the layer's input folds into it: W' = W scale, b' = b + W shift; or None."""
    return BEFORE.get(_keras_name(layer))


def _last_axis(weights: Weights, norm: Affine) -> Weights:
    """Kernel (..., in, out)."""
    return Weights(weights.kernel * norm.scale, weights.bias * norm.scale + norm.shift)


def _transposed(weights: Weights, norm: Affine) -> Weights:
    """Kernel (..., out, in)."""
    return Weights(weights.kernel * norm.scale[:, None], weights.bias * norm.scale + norm.shift)


def _depthwise(weights: Weights, norm: Affine) -> Weights:
    """Kernel (..., in, multiplier); output channel c * multiplier + m belongs to input channel c."""
    scale = norm.scale.reshape(weights.kernel.shape[-2:])
    return Weights(weights.kernel * scale, weights.bias * norm.scale + norm.shift)


def _into_inputs(weights: Weights, norm: Affine) -> Weights:
    """Kernel (..., in, out): the shift passes every tap of the kernel, which holds where nothing is padded."""
    taps = weights.kernel.reshape(-1, *weights.kernel.shape[-2:]).sum(axis=0)
    return Weights(weights.kernel * norm.scale[:, None], weights.bias + norm.shift @ taps)


def _into_depthwise_inputs(weights: Weights, norm: Affine) -> Weights:
    """Kernel (..., in, multiplier), as in `_depthwise` and `_into_inputs`."""
    taps = weights.kernel.reshape(-1, *weights.kernel.shape[-2:]).sum(axis=0)
    return Weights(
        weights.kernel * norm.scale[:, None], weights.bias + (taps * norm.shift[:, None]).reshape(weights.bias.shape)
    )


AFTER: dict[str, Rule] = {
    "Dense": _last_axis,
    "Conv1D": _last_axis,
    "Conv2D": _last_axis,
    "Conv3D": _last_axis,
    "Conv1DTranspose": _transposed,
    "Conv2DTranspose": _transposed,
    "Conv3DTranspose": _transposed,
    "DepthwiseConv1D": _depthwise,
    "DepthwiseConv2D": _depthwise,
    "SeparableConv1D": _last_axis,
    "SeparableConv2D": _last_axis,
}
BEFORE: dict[str, Rule] = {
    "Dense": _into_inputs,
    "Conv1D": _into_inputs,
    "Conv2D": _into_inputs,
    "Conv3D": _into_inputs,
    "DepthwiseConv1D": _into_depthwise_inputs,
    "DepthwiseConv2D": _into_depthwise_inputs,
}


def _keras_name(layer: object) -> str:
    """Return the name of Keras's own class; "" for a subclass, which may compute something else."""
    import keras

    name = type(layer).__name__
    return name if getattr(keras.layers, name, None) is type(layer) else ""


def _kernel(layer: keras.layers.Layer) -> keras.Variable:
    return layer.pointwise_kernel if hasattr(layer, "pointwise_kernel") else layer.kernel


def _num_outputs(layer: keras.layers.Layer, kernel: np.ndarray) -> int:
    if AFTER[_keras_name(layer)] is _depthwise:
        return int(np.prod(kernel.shape[-2:]))
    return kernel.shape[-2] if AFTER[_keras_name(layer)] is _transposed else kernel.shape[-1]


def _float64(variable: keras.Variable) -> np.ndarray:
    return array_of(variable).astype("float64")
