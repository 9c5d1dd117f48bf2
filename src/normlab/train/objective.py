"""What a run minimizes, sample by sample, and when it counts as diverged."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import jax
    import keras

# A batch loss a hundred times that of knowing nothing is no training any more, though it may still be finite.
DIVERGENCE_FACTOR = 100.0


@dataclass(frozen=True)
class Objective:
    """A loss per sample with its scale.

    Attributes:
        name: For records and reports.
        per_sample: (outputs, targets) -> (losses, hits), each of shape (batch,); a hit is 1 where the largest output
            is the true class. Regression has no hits: zeros.
        uninformed_loss: The mean loss of a predictor that knows nothing: ln(classes), or 1 for a standardized target.
    """

    name: str
    per_sample: Callable[[jax.Array, jax.Array], tuple[jax.Array, jax.Array]]
    uninformed_loss: float

    @property
    def divergence_bound(self) -> float:
        """The batch loss above which a run counts as diverged."""
        return DIVERGENCE_FACTOR * self.uninformed_loss


def objective_for(task: str, num_outputs: int, model: keras.Model) -> Objective:
    """Return cross-entropy for classification (on logits, or on a final softmax), squared error for regression."""
    if task == "regression":
        return Objective("mean squared error", squared_error, 1.0)
    per_sample = probability_cross_entropy if ends_in_softmax(model) else cross_entropy
    return Objective("cross-entropy", per_sample, math.log(num_outputs))


def cross_entropy(logits: jax.Array, labels: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return -log softmax(logits)[label] in nats, and hits; logits (batch, classes), labels (batch,)."""
    import jax
    import jax.numpy as jnp

    losses = -jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], axis=1)[:, 0]
    return losses, _hits(logits, labels)


def probability_cross_entropy(probabilities: jax.Array, labels: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return -log p[label] in nats with p clipped to [1e-7, 1] (Keras's epsilon), and hits."""
    import jax.numpy as jnp

    chosen = jnp.take_along_axis(probabilities, labels[:, None], axis=1)[:, 0]
    return -jnp.log(jnp.clip(chosen, 1e-7, 1.0)), _hits(probabilities, labels)


def squared_error(predictions: jax.Array, targets: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return (prediction - target)^2, predictions (batch, 1), targets (batch,), and zeros for hits."""
    import jax.numpy as jnp

    losses = jnp.square(predictions[:, 0] - targets)
    return losses, jnp.zeros_like(losses)


def ends_in_softmax(model: keras.Model) -> bool:
    """Return whether the model's last layer, at any depth of nesting, gives probabilities rather than logits."""
    last = model.layers[-1]
    if getattr(last, "layers", None):
        return ends_in_softmax(last)
    if type(last).__name__ == "Softmax":
        return True
    return getattr(getattr(last, "activation", None), "__name__", "") == "softmax"


def _hits(scores: jax.Array, labels: jax.Array) -> jax.Array:
    import jax.numpy as jnp

    return (scores.argmax(-1) == labels).astype(jnp.float32)
