"""Curvature: the Hessian's eigenvalue of largest magnitude, by power iteration on Hessian-vector products."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from normlab import seeding
from normlab.probes.inside import batch_loss, pass_through

if TYPE_CHECKING:
    from normlab.probes.probe import Layers, Measured
    from normlab.train.loop import RunState, Trainer

# Products at most, and the residual at which the iteration stops. Ours: the eigenvalue's error is of the order of the
# residual's square, divided by the gap to the next eigenvalue.
MAX_PRODUCTS = 100
TOLERANCE = 1e-2
QUANTITIES = ("eigenvalue", "residual")


def layers(trainer: Trainer, x: Any) -> Layers:  # noqa: ARG001
    """Return the quantities; each is one of the whole network."""
    return dict.fromkeys(QUANTITIES)


def measure(trainer: Trainer, state: RunState, x: jax.Array, y: jax.Array, *, seed: int = 0) -> Measured:
    """Return the Hessian's eigenvalue λ of largest magnitude, signed, over all trainable parameters, as scalars.

        eigenvalue  λ = v·Hv, with H the Hessian of this batch's loss in training mode, penalties included
        residual    ‖Hv - λv‖ / |λ|: how far v is from an eigenvector; above 0.01 it did not converge

    Each iteration replaces v by Hv/‖Hv‖. Hv is the derivative of the gradient along v; H is never formed.

    Cost: up to 100 Hessian-vector products, each about two gradients; they stop where the residual is below 0.01.

    Args:
        trainer: What is fixed while a run trains.
        state: Of one run.
        x: Inputs as stored, (batch, ...).
        y: Targets, (batch,).
        seed: Of the first v, the same for all runs.
    """
    start, unravel = ravel_pytree(state.trainable)

    def loss(parameters: jax.Array) -> jax.Array:
        return batch_loss(trainer, pass_through(trainer, unravel(parameters), state.non_trainable, x), y)

    def rayleigh(v: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        product = jax.jvp(jax.grad(loss), (start,), (v,))[1]
        eigenvalue = jnp.vdot(v, product)
        return product, eigenvalue, jnp.linalg.norm(product - eigenvalue * v)

    def is_unfinished(carry: tuple[Any, ...]) -> jax.Array:
        count, _, eigenvalue, residual = carry
        return (count < MAX_PRODUCTS) & (residual > TOLERANCE * jnp.abs(eigenvalue))

    def iterate(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        count, v, *_ = carry
        product, eigenvalue, residual = rayleigh(v)
        size = jnp.linalg.norm(product)
        return count + 1, jnp.where(size == 0, v, product / size), eigenvalue, residual

    first = jax.random.normal(seeding.key(seed, "probe", "curvature"), start.shape, start.dtype)
    carry = (jnp.int32(0), first / jnp.linalg.norm(first), jnp.zeros_like(start[0]), jnp.full_like(start[0], jnp.inf))
    _, _, eigenvalue, residual = jax.lax.while_loop(is_unfinished, iterate, carry)
    return {"eigenvalue": eigenvalue, "residual": residual / jnp.abs(eigenvalue)}
