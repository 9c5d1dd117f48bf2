"""Ghost batch normalization: the batch in slices, each normalized by its own moments."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from normlab.norms.moments import entry_weights, moments_over
from normlab.norms.moving import MovingMoments
from normlab.norms.options import require_option


@keras.saving.register_keras_serializable(package="normlab")
class GhostBatchNormalization(MovingMoments):
    """Batch normalization over ghost batches of `ghost_batch_size` samples.

    Samples 0 to G - 1 of a batch are the first ghost batch, and so on; where G does not divide the batch, the last
    ghost batch is shorter. In training, for x in ghost batch g:

        y = gamma (x - mean_g) / sqrt(variance_g + epsilon) + beta

    with the moments over g's samples and space, per unit. The moving statistics follow the mean of mean_g and of
    variance_g over the ghost batches, each weighted by its entries, once per step. (The paper moves them once per
    ghost batch.) Evaluation uses them as batch norm does. With G equal to the batch size this is batch norm.

    Shapes: input and output (batch, ..., channels); gamma, beta, moving_mean, moving_variance (channels,).

    Source: Hoffer, Hubara, Soudry 2017, "Train longer, generalize better: closing the generalization gap in large
    batch training of neural networks", arXiv:1705.08741. The paper's ghost batches hold 128 samples of batches of
    4096; the default 8 keeps several of them in a batch of 32. Momentum and epsilon are Keras's.

    Args:
        ghost_batch_size: Samples per ghost batch, at least 2.
        momentum: As in `MovingMoments`.
        epsilon: As in `MovingMoments`.
        **kwargs: Of every Keras layer.

    Raises:
        InputError: For an argument outside its bounds.
    """

    def __init__(self, ghost_batch_size: int = 8, momentum: float = 0.99, epsilon: float = 1e-3, **kwargs: Any) -> None:
        super().__init__(momentum=momentum, epsilon=epsilon, **kwargs)
        require_option("ghost_batch_size", ghost_batch_size)
        self.ghost_batch_size = ghost_batch_size

    def by_batch(self, x: Any, mask: Any) -> Any:
        """Return x normalized by the moments of its ghost batch, and move the statistics."""
        batch, *rest = ops.shape(x)
        ghosts = (batch + self.ghost_batch_size - 1) // self.ghost_batch_size
        weights = entry_weights(x, mask)
        if isinstance(batch, int) and batch == ghosts * self.ghost_batch_size:
            filled = x
        else:
            # What fills the last ghost batch has weight zero: it never enters the moments.
            missing = ghosts * self.ghost_batch_size - batch
            weights = _filled(ops.ones_like(x[..., :1]) if weights is None else weights, missing)
            filled = _filled(x, missing)
        sliced = ops.reshape(filled, (ghosts, self.ghost_batch_size, *rest))
        if weights is not None:
            weights = ops.reshape(weights, (ghosts, self.ghost_batch_size, *rest[:-1], 1))
        mean, variance = moments_over(sliced, weights, list(range(1, len(sliced.shape) - 1)))
        y = ops.reshape(self.scaled(sliced, mean, variance), (ghosts * self.ghost_batch_size, *rest))[:batch]
        self.move(self.moving_mean, _mean_of_ghosts(mean, weights))
        self.move(self.moving_variance, _mean_of_ghosts(variance, weights))
        return y

    def get_config(self) -> dict[str, Any]:
        """Return what rebuilds the layer."""
        return {**super().get_config(), "ghost_batch_size": self.ghost_batch_size}


def _filled(x: Any, missing: Any) -> Any:
    """Append `missing` samples of zeros."""
    return ops.concatenate([x, ops.zeros((missing, *ops.shape(x)[1:]), dtype=x.dtype)], axis=0)


def _mean_of_ghosts(moment: Any, weights: Any) -> Any:
    """Return the mean of a moment over ghost batches, each weighted by its entries."""
    if weights is None:
        return ops.mean(moment, axis=0)
    entries = ops.sum(weights, list(range(1, len(weights.shape))), keepdims=True)
    return ops.sum(moment * entries, axis=0) / ops.maximum(ops.sum(entries), 1)
