"""Activations: the distribution of each layer's output over a batch, what is saturated or dead, and its rank."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import keras

from normlab.errors import InputError
from normlab.norms.moments import at_least_float32
from normlab.probes.inside import pass_through, survey

if TYPE_CHECKING:
    from normlab.probes.probe import Layers, Measured
    from normlab.train.loop import RunState, Trainer

# Ioffe and Szegedy 2015, figure 1, draw these.
PERCENTILES = (15, 50, 85)
# A value is saturated where the slope is below this share of the largest slope: |tanh| > 0.949 (the bound is ours).
SATURATED_SLOPE = 0.1
# The slope φ' of a bounded activation from its output h, divided by its largest slope.
SLOPES: dict[str, Callable[[jax.Array], jax.Array]] = {
    "tanh": lambda h: 1 - h**2,
    "sigmoid": lambda h: 4 * h * (1 - h),
    "softsign": lambda h: (1 - jnp.abs(h)) ** 2,
    "hard_sigmoid": lambda h: ((h > 0) & (h < 1)).astype(h.dtype),
    "hard_tanh": lambda h: (jnp.abs(h) < 1).astype(h.dtype),
}
RECTIFIERS = ("relu", "relu6")
# The same activations as operations of `keras.ops` in a graph, by class.
OPERATIONS = {
    "HardSigmoid": "hard_sigmoid",
    "HardTanh": "hard_tanh",
    "Relu": "relu",
    "Relu6": "relu6",
    "Sigmoid": "sigmoid",
    "Softsign": "softsign",
    "Tanh": "tanh",
}
EVERYWHERE = ("mean", "variance", *(f"percentile_{percent}" for percent in PERCENTILES), "effective_rank")


def layers(trainer: Trainer, x: Any) -> Layers:
    """Return the layers of every quantity of `measure`, in the order of the calls.

    Raises:
        InputError: If no layer has a floating output.
    """
    found = survey(trainer, x)
    if not found:
        raise InputError("activations needs a layer with a floating output", trainer.model.name, "choose another model")
    wanted: Layers = dict.fromkeys(EVERYWHERE, tuple(output.name for output in found))
    for quantity, activations in (("saturated", SLOPES), ("dead", RECTIFIERS)):
        ending = tuple(output.name for output in found if activation_of(output.layer) in activations)
        if ending:
            wanted[quantity] = ending
    return wanted


def measure(trainer: Trainer, state: RunState, x: jax.Array, y: jax.Array) -> Measured:  # noqa: ARG001
    """Describe every layer's output h, (batch, ..., units), in training mode.

    Each quantity has shape (layers of that quantity,):

        mean, variance          over all values of h
        percentile_15, _50, _85 of all values of h
        effective_rank          of h as a matrix with a column per unit; see `effective_rank`
        saturated               share of values with φ' < 0.1 max φ', where the layer ends in an activation of `SLOPES`
        dead                    share of units that are never > 0, where the layer ends in one of `RECTIFIERS`

    Cost: one forward pass, a sort and a singular value decomposition per output.

    Source: Ioffe and Szegedy 2015, arXiv:1502.03167, figure 1 (percentiles); Roy and Vetterli 2007 (rank).

    Args:
        trainer: What is fixed while a run trains.
        state: Of one run.
        x: Inputs as stored, (batch, ...).
        y: Not used.

    Raises:
        InputError: As `layers`.
    """
    wanted = layers(trainer, x)
    inside = pass_through(trainer, state.trainable, state.non_trainable, x).inside
    values = {output.name: at_least_float32(output.value) for output in inside}
    found = {name: _described(value) for name, value in values.items()}
    for output in inside:
        activation, value = activation_of(output.layer), values[output.name]
        if activation in SLOPES:
            found[output.name]["saturated"] = (SLOPES[activation](value) < SATURATED_SLOPE).astype(value.dtype).mean()
        elif activation in RECTIFIERS:
            found[output.name]["dead"] = dead_share(value)
    return {quantity: jnp.stack([found[name][quantity] for name in names or ()]) for quantity, names in wanted.items()}


def effective_rank(matrix: jax.Array) -> jax.Array:
    """Return exp(-Σ p_i ln p_i) with p_i = σ_i / Σ σ over the singular values of a (rows, columns) matrix.

    From 1 to min(rows, columns); k for k equal singular values; 0 for a matrix of zeros.

    Source: Roy and Vetterli 2007, "The effective rank: a measure of effective dimensionality".
    """
    if matrix.shape[0] > matrix.shape[1]:  # the triangular factor has the same singular values and is smaller
        matrix = jnp.linalg.qr(matrix, mode="r")
    values = jnp.linalg.svd(matrix, compute_uv=False)
    total = values.sum()
    shares = values / jnp.where(total == 0, 1, total)
    entropy = -jnp.where(shares == 0, 0, shares * jnp.log(jnp.where(shares == 0, 1, shares))).sum()
    return jnp.where(total == 0, 0, jnp.exp(entropy))


def dead_share(h: jax.Array) -> jax.Array:
    """Return the share of units (last axis) whose output is never above zero."""
    return (_as_matrix(h) <= 0).all(axis=0).astype(h.dtype).mean()


def activation_of(layer: keras.Operation) -> str | None:
    """Return the name of the activation that a Keras layer or operation ends in, or None.

    Recurrent layers have one too, but it is not the last thing they do. A user's layer says nothing about itself.
    """
    while isinstance(layer, keras.layers.Wrapper) and not isinstance(layer, keras.layers.Bidirectional):
        layer = layer.layer
    if isinstance(layer, keras.layers.ReLU):
        return "relu" if not layer.negative_slope else None
    if not isinstance(layer, keras.layers.Layer):
        return OPERATIONS.get(type(layer).__name__)
    if isinstance(layer, keras.layers.RNN) or not type(layer).__module__.startswith("keras."):
        return None
    return getattr(getattr(layer, "activation", None), "__name__", None)


def _described(h: jax.Array) -> dict[str, jax.Array]:
    percentiles = jnp.percentile(h, jnp.asarray(PERCENTILES))
    named = {f"percentile_{percent}": value for percent, value in zip(PERCENTILES, percentiles, strict=True)}
    return {"mean": h.mean(), "variance": h.var(), **named, "effective_rank": effective_rank(_as_matrix(h))}


def _as_matrix(h: jax.Array) -> jax.Array:
    """Return (batch and space, units)."""
    return h.reshape(-1, h.shape[-1] if h.ndim > 1 else 1)
