"""Noisy batch normalization: batch norm whose output is disturbed by noise of changing moments. A control."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from normlab.norms.moments import at_least_float32
from normlab.norms.options import require_option


@keras.saving.register_keras_serializable(package="normlab")
class NoisyBatchNormalization(keras.layers.BatchNormalization):  # type: ignore[misc]
    """Batch norm followed, in training, by noise whose mean and scale per unit are drawn anew at every step.

    With b the output of batch norm, unit j, sample (and position) i:

        mean_j ~ U(-mean_limit, mean_limit)          scale_j ~ U(1, scale_limit)
        m_ij ~ U(mean_j - mean_jitter, mean_j + mean_jitter)    s_ij ~ N(scale_j, scale_jitter^2)
        y_ij = s_ij b_ij + m_ij

    So the layer after it sees inputs whose distribution shifts at every step, more than without any norm. If batch
    norm helped by holding distributions still, this one would not. Evaluation adds no noise: it is batch norm's.

    Shapes: as batch norm's; the state of the generator is (2,).

    Source: Santurkar, Tsipras, Ilyas, Madry 2018, "How Does Batch Normalization Help Optimization?",
    arXiv:1805.11604, the "noisy" control of section 2.1 and its appendix, which gives 0.5, 1.25, 0.1 and 0.1.
    Momentum and epsilon are Keras's.

    Args:
        mean_limit: Largest mean of a unit's noise, in units of the normalized activation.
        scale_limit: Largest factor of a unit, at least 1.
        mean_jitter: Half the range of a sample's mean about the unit's.
        scale_jitter: Standard deviation of a sample's factor about the unit's.
        seed: Of the noise; None draws one.
        **kwargs: Of `keras.layers.BatchNormalization`.

    Raises:
        InputError: For an argument outside its bounds.
    """

    def __init__(
        self,
        mean_limit: float = 0.5,
        scale_limit: float = 1.25,
        mean_jitter: float = 0.1,
        scale_jitter: float = 0.1,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.noise = {
            "mean_limit": mean_limit,
            "scale_limit": scale_limit,
            "mean_jitter": mean_jitter,
            "scale_jitter": scale_jitter,
        }
        for name, value in self.noise.items():
            require_option(name, value)
        self.seed = seed

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create batch norm's variables and, under the layer's own path, the state of the noise."""
        super().build(input_shape)
        self.seed_generator = keras.random.SeedGenerator(self.seed, name="noise")

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Return batch norm's output, in training with noise."""
        outputs = self.normalized(inputs, training=training, mask=mask)
        if not (training and self.trainable):
            return outputs
        y = at_least_float32(outputs)
        units = (y.shape[self.axis],)
        broadcast = [1] * len(y.shape)
        broadcast[self.axis] = y.shape[self.axis]
        mean = self._uniform(units, -self.noise["mean_limit"], self.noise["mean_limit"], y)
        scale = self._uniform(units, 1.0, self.noise["scale_limit"], y)
        jitter = self._uniform(ops.shape(y), -self.noise["mean_jitter"], self.noise["mean_jitter"], y)
        spread = keras.random.normal(ops.shape(y), dtype=y.dtype, seed=self.seed_generator)
        factor = ops.reshape(scale, broadcast) + self.noise["scale_jitter"] * spread
        return ops.cast(factor * y + ops.reshape(mean, broadcast) + jitter, self.compute_dtype)

    def normalized(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Return batch norm's output, in training without noise: what recomputed statistics are taken from."""
        return super().call(inputs, training=training, mask=mask)

    def _uniform(self, shape: Any, lowest: float, highest: float, x: Any) -> Any:
        draw = keras.random.uniform(shape, dtype=x.dtype, seed=self.seed_generator)
        return lowest + (highest - lowest) * draw

    def get_config(self) -> dict[str, Any]:
        """Return what rebuilds the layer."""
        return {**super().get_config(), **self.noise, "seed": self.seed}
