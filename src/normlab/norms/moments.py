"""Moments over unmasked entries, in float32 at least, whatever the precision of the layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops


def at_least_float32(x: Any) -> Any:
    """Return `x` in float32, or in its own type where that is more precise; half precision overflows in squares."""
    return ops.cast(x, keras.backend.result_type(x.dtype, "float32"))


def entry_weights(x: Any, mask: Any) -> Any:
    """Return weights of shape (*x.shape[:-1], 1): 1 where an entry counts, 0 where not. None where all count.

    Args:
        x: Input, (batch, ..., channels).
        mask: True where an entry counts, of shape x.shape[:-1] or its leading axes; None counts every entry.
    """
    if mask is None:
        return None
    weights = ops.cast(mask, x.dtype)
    for _ in range(len(x.shape) - len(mask.shape)):
        weights = ops.expand_dims(weights, -1)
    return ops.broadcast_to(weights, (*ops.shape(x)[:-1], 1))


def mean_over(x: Any, weights: Any, axes: Sequence[int]) -> Any:
    """Return sum(w x) / sum(w) over `axes`, which stay as axes of length 1; 0 where no entry counts.

    Weights are broadcast to x; None counts every entry.
    """
    if weights is None:
        return ops.mean(x, axes, keepdims=True)
    weights = ops.broadcast_to(weights, ops.shape(x))
    count = ops.sum(weights, axes, keepdims=True)
    return ops.sum(x * weights, axes, keepdims=True) / ops.maximum(count, 1)


def moments_over(x: Any, weights: Any, axes: Sequence[int]) -> tuple[Any, Any]:
    """Return mean and biased variance over `axes`, in two passes: the square of a difference can't cancel."""
    mean = mean_over(x, weights, axes)
    return mean, mean_over(ops.square(x - mean), weights, axes)


def axes_but_last(x: Any) -> list[int]:
    """Return all axes but the last: those of the batch and of space."""
    return list(range(len(x.shape) - 1))


def spatial_axes(x: Any) -> list[int]:
    """Return the axes between the batch and the channels."""
    return list(range(1, len(x.shape) - 1))
