"""What a run minimizes, sample by sample, and when it counts as diverged."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import jax
    import keras

# A batch loss a hundred times that of knowing nothing is no training any more, though it may still be finite.
DIVERGENCE_FACTOR = 100.0
# Classes of layers and of `keras.ops` functions whose output is made of probabilities where their inputs are.
HANDING_ON = ("Average", "Cast", "Flatten", "Identity", "Reshape", "Squeeze")


@dataclass(frozen=True)
class Objective:
    """A loss per sample with its scale.

    Attributes:
        name: For records and reports.
        per_sample: (outputs, targets) -> (losses, hits), each of shape (batch,); a hit is 1 where the largest output
            is the true class; of one output for two classes, where the true class has probability above 1/2.
            Regression has no hits: zeros.
        uninformed_loss: The mean loss of a predictor that knows nothing: ln(classes), or 1 for a standardized target.
            Smoothing leaves it as it is.
        descended: (outputs, targets) -> losses (batch,) that a training step descends in place of those; None for
            the same. What is recorded and evaluated is always `per_sample`.
    """

    name: str
    per_sample: Callable[[jax.Array, jax.Array], tuple[jax.Array, jax.Array]]
    uninformed_loss: float
    descended: Callable[[jax.Array, jax.Array], jax.Array] | None = None

    @property
    def divergence_bound(self) -> float:
        """The batch loss above which a run counts as diverged."""
        return DIVERGENCE_FACTOR * self.uninformed_loss


def objective_for(task: str, num_outputs: int, model: keras.Model, label_smoothing: float = 0.0) -> Objective:
    """Return cross-entropy for classification (on logits, or on a final softmax), squared error for regression.

    A model with one output is one of two classes: binary cross-entropy, on its logit or on a final sigmoid.
    `label_smoothing`, in [0, 1), is the share of every label that is spread over all classes; for classification only.
    """
    if task == "regression":
        return Objective("mean squared error", squared_error, 1.0)
    is_binary = has_one_output(model)
    is_probability = ends_in(model, "sigmoid" if is_binary else "softmax")
    name, per_sample, log_probabilities = _CROSS_ENTROPIES[is_binary, is_probability]
    descended = partial(smoothed_cross_entropy, log_probabilities, label_smoothing) if label_smoothing else None
    return Objective(name, per_sample, math.log(num_outputs), descended)


def cross_entropy(logits: jax.Array, labels: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return -log softmax(logits)[label] in nats, and hits; logits (batch, classes), labels (batch,)."""
    import jax.numpy as jnp

    losses = -jnp.take_along_axis(logs_of_logits(logits), labels[:, None], axis=1)[:, 0]
    return losses, _hits(logits, labels)


def probability_cross_entropy(probabilities: jax.Array, labels: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return -log p[label] in nats with p clipped to [1e-7, 1] (Keras's epsilon), and hits."""
    import jax.numpy as jnp

    chosen = jnp.take_along_axis(probabilities, labels[:, None], axis=1)[:, 0]
    return -jnp.log(jnp.clip(chosen, 1e-7, 1.0)), _hits(probabilities, labels)


def binary_cross_entropy(logits: jax.Array, labels: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return -log p[label] in nats with p[1] = sigmoid(logit), and hits; logits (batch, 1), labels (batch,) of 0, 1.

    A hit of class 1 needs a logit above 0, as in Keras's `BinaryAccuracy`.
    """
    return _of_logs(logs_of_logit(logits), labels)


def probability_binary_cross_entropy(probabilities: jax.Array, labels: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return -log p[label] in nats with p[1] the output, clipped to [1e-7, 1 - 1e-7] (Keras's epsilon), and hits."""
    return _of_logs(logs_of_probability(probabilities), labels)


def smoothed_cross_entropy(
    log_probabilities: Callable[[jax.Array], jax.Array], smoothing: float, outputs: jax.Array, labels: jax.Array
) -> jax.Array:
    """Return the cross-entropy with smoothed labels in nats, (batch,).

    With K classes, label y, and smoothing e, the target is (1 - e) for y plus e / K for every class:

        -(1 - e) log p[y] - e / K sum_k log p[k]

    Source: Szegedy et al. 2016, "Rethinking the Inception architecture", arXiv:1512.00567, section 7.

    Args:
        log_probabilities: From outputs to log p, (batch, K) both.
        smoothing: e, in [0, 1).
        outputs: Of the network, (batch, K).
        labels: (batch,).
    """
    import jax.numpy as jnp

    logs = log_probabilities(outputs)
    own = jnp.take_along_axis(logs, labels[:, None], axis=1)[:, 0]
    return -(1 - smoothing) * own - smoothing * logs.mean(-1)


def logs_of_logits(logits: jax.Array) -> jax.Array:
    """Return log softmax(logits)."""
    import jax

    return jax.nn.log_softmax(logits)


def logs_of_probabilities(probabilities: jax.Array) -> jax.Array:
    """Return log p with p clipped to [1e-7, 1], as in `probability_cross_entropy`."""
    import jax.numpy as jnp

    return jnp.log(jnp.clip(probabilities, 1e-7, 1.0))


def logs_of_logit(logits: jax.Array) -> jax.Array:
    """Return log p of both classes, (batch, 2), from the logit of class 1, (batch, 1)."""
    import jax
    import jax.numpy as jnp

    return jax.nn.log_sigmoid(jnp.concatenate([-logits, logits], axis=-1))


def logs_of_probability(probabilities: jax.Array) -> jax.Array:
    """Return log p of both classes, (batch, 2), from the probability of class 1, (batch, 1), clipped."""
    import jax.numpy as jnp

    clipped = jnp.clip(probabilities, 1e-7, 1 - 1e-7)
    return jnp.concatenate([jnp.log1p(-clipped), jnp.log(clipped)], axis=-1)


def squared_error(predictions: jax.Array, targets: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return (prediction - target)^2, predictions (batch, 1), targets (batch,), and zeros for hits."""
    import jax.numpy as jnp

    losses = jnp.square(predictions[:, 0] - targets)
    return losses, jnp.zeros_like(losses)


def has_one_output(model: keras.Model) -> bool:
    """Return whether a model gives one number per sample; of a subclassed model, the units of the last layer tell."""
    if hasattr(model, "outputs"):
        return all(tensor.shape[-1] == 1 for tensor in model.outputs)
    last = model.layers[-1]
    return has_one_output(last) if getattr(last, "layers", None) else getattr(last, "units", None) == 1


def ends_in(model: keras.Model, activation: str) -> bool:
    """Return whether a model's outputs are those of an activation, such as `softmax` (then they are probabilities).

    So it is if every output comes from one (a layer, fused or an operation, in nested models too) through nothing but
    what hands values on. Of a subclassed model, whose graph Keras does not know, the last layer tells.
    """
    if hasattr(model, "outputs"):
        return all(_comes_from(tensor, activation) for tensor in model.outputs)
    last = model.layers[-1]
    return ends_in(last, activation) if getattr(last, "layers", None) else _is(last, activation)


def _comes_from(tensor: keras.KerasTensor, activation: str) -> bool:
    # Keras has no public way to walk a graph: a tensor's history names what made it, in which call.
    operation, call, place = tensor._keras_history
    if hasattr(operation, "outputs"):
        return _comes_from(operation.outputs[place], activation)
    if getattr(operation, "layers", None):
        return ends_in(operation, activation)
    given = operation._inbound_nodes[call].input_tensors
    return _is(operation, activation) or (_hands_on(operation) and all(_comes_from(one, activation) for one in given))


def _is(operation: keras.Operation, activation: str) -> bool:
    return activation in (type(operation).__name__.lower(), _activation(operation))


def _hands_on(operation: keras.Operation) -> bool:
    kind = type(operation).__name__
    return kind in HANDING_ON or (kind == "Activation" and _activation(operation) == "linear")


def _activation(operation: keras.Operation) -> str:
    """Return the name of the activation that a layer, or the one that it wraps, ends in; "" for none."""
    activation = getattr(getattr(operation, "layer", operation), "activation", "")
    return str(getattr(activation, "__name__", type(activation).__name__)).lower() if activation else ""


def _of_logs(logs: jax.Array, labels: jax.Array) -> tuple[jax.Array, jax.Array]:
    import jax.numpy as jnp

    return -jnp.take_along_axis(logs, labels[:, None], axis=1)[:, 0], _hits(logs, labels)


def _hits(scores: jax.Array, labels: jax.Array) -> jax.Array:
    import jax.numpy as jnp

    return (scores.argmax(-1) == labels).astype(jnp.float32)


# By whether a model has one output for two classes, and whether its outputs are probabilities: name, loss and hits per
# sample, and outputs to log-probabilities.
_CROSS_ENTROPIES = {
    (False, False): ("cross-entropy", cross_entropy, logs_of_logits),
    (False, True): ("cross-entropy", probability_cross_entropy, logs_of_probabilities),
    (True, False): ("binary cross-entropy", binary_cross_entropy, logs_of_logit),
    (True, True): ("binary cross-entropy", probability_binary_cross_entropy, logs_of_probability),
}
