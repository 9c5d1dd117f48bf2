"""Curvature: the Hessian's eigenvalue of largest magnitude, by power iteration on Hessian-vector products."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from normlab import seeding
from normlab.probes.inside import batch_loss, pass_through
from normlab.probes.parameters import inner, moved, norm

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

    def loss(trainable: list[Any]) -> jax.Array:
        return batch_loss(trainer, pass_through(trainer, trainable, state.non_trainable, x), y)

    def is_unfinished(carry: tuple[Any, ...]) -> jax.Array:
        count, _, eigenvalue, residual = carry
        return (count < MAX_PRODUCTS) & (residual > TOLERANCE * jnp.abs(eigenvalue))

    def iterate(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        count, v, *_ = carry
        product = jax.jvp(jax.grad(loss), (state.trainable,), (v,))[1]
        eigenvalue = inner(v, product)
        return count + 1, _unit(product, v), eigenvalue, norm(moved(product, -eigenvalue, v))

    first = _drawn(state.trainable, seed)
    zero = jnp.zeros_like(inner(first, first))
    _, _, eigenvalue, residual = jax.lax.while_loop(
        is_unfinished, iterate, (jnp.int32(0), _unit(first, first), zero, jnp.full_like(zero, jnp.inf))
    )
    return {"eigenvalue": eigenvalue, "residual": residual / jnp.abs(eigenvalue)}


def _drawn(shapes: list[Any], seed: int) -> list[jax.Array]:
    keys = jax.random.split(seeding.key(seed, "probe", "curvature"), len(shapes))
    return [jax.random.normal(key, value.shape, value.dtype) for key, value in zip(keys, shapes, strict=True)]


def _unit(v: list[Any], otherwise: list[Any]) -> list[Any]:
    """Return v / ‖v‖, or the other where v is zero."""
    size = norm(v)
    return [jnp.where(size == 0, other, one / size) for one, other in zip(v, otherwise, strict=True)]
