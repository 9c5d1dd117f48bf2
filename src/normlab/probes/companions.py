"""Companions: how much a sample's output depends on the other samples of its batch, in training mode."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from normlab import seeding
from normlab.errors import InputError
from normlab.norms.moments import at_least_float32
from normlab.train.loop import scaled

if TYPE_CHECKING:
    from normlab.probes.probe import Layers, Measured
    from normlab.train.loop import RunState, Trainer

# Random companies per sample: a standard deviation from 8 draws is known to a quarter, and the mean over samples helps.
NUM_COMPANIES = 8
# Samples whose leak is measured; one alone may have all its rectifiers off.
NUM_LEAKING = 4
QUANTITIES = ("spread", "relative_spread", "leak", "own")


def layers(trainer: Trainer, x: Any) -> Layers:
    """Return the quantities; each is one of the whole network. Integer inputs have no `leak` and `own`.

    Raises:
        InputError: If there are fewer than two batches of samples: then a sample meets no others.
    """
    if len(x) < 2 * trainer.batch_size:
        raise InputError(
            f"companions needs at least two batches, {2 * trainer.batch_size} samples",
            f"{len(x)} samples",
            "give more samples or a smaller batch size",
        )
    return dict.fromkeys(QUANTITIES if _has_derivatives(trainer) else QUANTITIES[:2])


def measure(trainer: Trainer, state: RunState, x: jax.Array, y: jax.Array, *, seed: int = 0) -> Measured:  # noqa: ARG001
    """Return how companions move a sample's output f(x_i), as scalars.

        spread           √ of the mean, over samples and outputs, of the variance of f(x_i) over random companions
        relative_spread  spread / √(mean over outputs of the variance, over samples, of their mean output)
        leak             ‖∂f_i/∂x_j, all j ≠ i‖, Frobenius norm, in the first batch
        own              ‖∂f_i/∂x_i‖

    with x as the network sees it, after division; leak and own are root mean squares over the first 4 samples i. The
    leak is exactly 0 for a norm of single samples. Dropout and noise count as companions: what they draw depends on a
    sample's place in the batch. Of integer inputs there is no derivative: leak and own are NaN.

    Cost: 8 forward passes over x; one more over one batch, and 4 backward passes for each of the network's outputs.

    Args:
        trainer: What is fixed while a run trains; its batch size is that of a company.
        state: Of one run.
        x: Inputs as stored, (samples, ...); what does not fill a batch is not used.
        y: Not used.
        seed: Of the companies, the same for all runs and arms.

    Raises:
        InputError: As `layers`.
    """
    layers(trainer, x)
    inputs = scaled(jnp.asarray(x), trainer.divisor)[: len(x) // trainer.batch_size * trainer.batch_size]
    key = seeding.key(seed, "probe", "companions")
    orders = jax.vmap(lambda one: jax.random.permutation(one, len(inputs)))(jax.random.split(key, NUM_COMPANIES))
    outputs = jax.lax.map(lambda order: outputs_in(trainer, state, inputs, order), orders)
    spread = jnp.sqrt(outputs.var(axis=0, ddof=1).mean())
    between = jnp.sqrt(outputs.mean(axis=0).var(axis=0).mean())
    leak, own = _leak(trainer, state, inputs[: trainer.batch_size])
    return {"spread": spread, "relative_spread": spread / between, "leak": leak, "own": own}


def outputs_in(trainer: Trainer, state: RunState, inputs: jax.Array, order: jax.Array) -> jax.Array:
    """Return every sample's outputs, (samples, outputs), where batches are filled in the given order."""
    batches = inputs[order].reshape(-1, trainer.batch_size, *inputs.shape[1:])
    outputs = jax.lax.map(lambda batch: _outputs(trainer, state, batch), batches)
    return outputs.reshape(len(inputs), -1)[jnp.argsort(order)]


def _leak(trainer: Trainer, state: RunState, batch: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return ‖∂f_i/∂x_j, j ≠ i‖ and ‖∂f_i/∂x_i‖, one output after the other: their Jacobian may not fit."""
    if not _has_derivatives(trainer):
        return jnp.full((), jnp.nan), jnp.full((), jnp.nan)
    outputs, back = jax.vjp(lambda inputs: _outputs(trainer, state, inputs), batch)
    num_leaking, num_outputs = min(NUM_LEAKING, len(batch)), outputs.shape[1]

    def squares(place: jax.Array) -> jax.Array:
        sample, output = place // num_outputs, place % num_outputs
        (by_inputs,) = back(jnp.zeros_like(outputs).at[sample, output].set(1.0))
        each = jnp.square(by_inputs).reshape(len(batch), -1).sum(axis=1)
        is_own = jnp.arange(len(batch)) == sample
        return jnp.stack([jnp.where(is_own, 0, each).sum(), jnp.where(is_own, each, 0).sum()])

    found = jax.lax.map(squares, jnp.arange(num_leaking * num_outputs)).sum(axis=0)
    leak, own = jnp.sqrt(found / num_leaking)
    return leak, own


def _has_derivatives(trainer: Trainer) -> bool:
    """Return whether the network takes floats; without a divisor, integers are handed over as they are."""
    return trainer.divisor is not None


def _outputs(trainer: Trainer, state: RunState, inputs: jax.Array) -> jax.Array:
    outputs, _ = trainer.model.stateless_call(state.trainable, state.non_trainable, inputs, training=True)
    return at_least_float32(outputs).reshape(len(inputs), -1)
