"""The hand formulas of batch normalization held against Keras's layer and JAX's gradients, difference by difference."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from normlab.probes import by_hand
from normlab.probes.by_hand import Example, Gradients

if TYPE_CHECKING:
    import jax


class Measured(NamedTuple):
    """What Keras's layer gave in float32: outputs (batch, units), moving statistics (2, units), JAX's gradients."""

    y: np.ndarray
    y_evaluation: np.ndarray
    moving: np.ndarray
    gradients: Gradients


def measure(example: Example, z: np.ndarray, g: np.ndarray, gamma: float, beta: float) -> Measured:
    """Run Keras's layer on z, (batch, units), for one training step; differentiate Σ g·BN(z) through it with JAX."""
    import jax
    import jax.numpy as jnp
    import keras

    layer = keras.layers.BatchNormalization(
        momentum=example.momentum, epsilon=example.epsilon, dtype="float32", name="worked_example"
    )
    layer.build(z.shape)
    state = [variable.value for variable in layer.non_trainable_variables]
    weights = jnp.asarray(g, jnp.float32)

    def weighted_sum(gammas: jax.Array, betas: jax.Array, inputs: jax.Array) -> tuple[jax.Array, Any]:
        y, moved = layer.stateless_call([gammas, betas], state, inputs, training=True)
        return (weights * y).sum(), (y, moved)

    parameters = [jnp.full(z.shape[1], value, jnp.float32) for value in (gamma, beta)]
    inputs = jnp.asarray(z, jnp.float32)
    gradients, (y, moved) = jax.grad(weighted_sum, argnums=(0, 1, 2), has_aux=True)(*parameters, inputs)
    y_evaluation, _ = layer.stateless_call(parameters, moved, inputs, training=False)
    return Measured(_wide(y), _wide(y_evaluation), _wide(moved), Gradients(*map(_wide, gradients)))


def agreement(example: Example, measured: Measured, gamma: float, beta: float) -> list[dict[str, Any]]:
    """Return the checks at one gamma and beta: each formula, and the law of the output's moments."""
    z, epsilon = example.z, example.epsilon
    passed = by_hand.forward(z, gamma, beta, epsilon)
    moving = by_hand.moving_statistics(passed, example.momentum)
    evaluated = by_hand.evaluate(z, moving, gamma, beta, epsilon)
    g = by_hand.loss(example, passed.y)[2]
    hand, auto = by_hand.backward(g, passed, gamma), measured.gradients
    deviation = gamma * np.sqrt(passed.variance / (passed.variance + epsilon))
    layer, autodiff = "Keras's layer", "jax.grad through Keras's layer"
    unit = max(1.0, gamma)
    summed, flow = np.abs(g).sum(axis=0).max(), np.abs(gamma / passed.scale * g).max()
    tolerance = rounding(z, passed.scale)
    cases = [
        ("output y in training", layer, passed.y - measured.y, max(unit, np.abs(passed.y).max())),
        ("output y in evaluation", layer, evaluated - measured.y_evaluation, max(unit, np.abs(evaluated).max())),
        ("moving mean and variance", layer, moving - measured.moving, max(1.0, np.abs(moving).max())),
        ("∂L/∂y", "jax.grad of the loss", g - _loss_gradient(example, passed.y), np.abs(g).max()),
        ("∂L/∂γ", autodiff, hand.gamma - auto.gamma, summed),
        ("∂L/∂β", autodiff, hand.beta - auto.beta, summed),
        ("∂L/∂z", autodiff, hand.z - auto.z, flow),
        ("mean of the output = β", layer, measured.y.mean(axis=0) - beta, unit),
        ("deviation of the output = γ·√(v/(v + ε))", layer, measured.y.std(axis=0) - deviation, unit),
    ]
    return [check(*case, tolerance) for case in cases]


def check(name: str, against: str, difference: np.ndarray, size: float, tolerance: float) -> dict[str, Any]:
    """Return the largest difference, absolute and relative to `size`, and whether the latter is within `tolerance`."""
    absolute = float(np.abs(difference).max())
    relative = absolute / float(size) if size > 0 else absolute
    return {
        "name": name,
        "against": against,
        "absolute": absolute,
        "relative": relative,
        "tolerance": tolerance,
        "ok": relative <= tolerance,
    }


def rounding(z: np.ndarray, scale: np.ndarray) -> float:
    """Return what rounding explains: float32's spacing, 2^-23, times 1 + √batch, times 1 + max |z|/s.

    Errors of a sum over the batch grow like √batch, and a few single operations follow. The last factor is for the
    digits that z - m loses where m is large, which the division by s lays bare.
    """
    return float(np.finfo(np.float32).eps * (1 + math.sqrt(len(z))) * (1 + (np.abs(z) / scale).max()))


def _loss_gradient(example: Example, y: np.ndarray) -> np.ndarray:
    """Return ∂L/∂y from JAX, through Keras's own ReLU and loss."""
    import jax
    import jax.numpy as jnp
    import keras

    head, targets = jnp.asarray(example.head, jnp.float32), jnp.asarray(example.targets)

    def loss(outputs: jax.Array) -> jax.Array:
        # Asked for the highest precision, because GPUs multiply float32 matrices with fewer digits by default.
        logits = jnp.matmul(keras.ops.relu(outputs), head, precision="highest")
        if example.task == "regression":
            per_sample: jax.Array = keras.losses.mean_squared_error(targets[:, None], logits) / 2
        else:
            per_sample = keras.losses.sparse_categorical_crossentropy(targets, logits, from_logits=True)
        return per_sample.mean()

    return _wide(jax.grad(loss)(jnp.asarray(y, jnp.float32)))


def _wide(values: Any) -> np.ndarray:
    return np.asarray(values, np.float64)
