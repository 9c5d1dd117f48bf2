"""Curvature: the largest and the smallest eigenvalue of the loss's Hessian, by Lanczos on Hessian-vector products."""

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

# Ours. Power iteration, the simpler method, was still 2 % off after 100 products where two eigenvalues lay 2 % apart.
NUM_PRODUCTS = 30
QUANTITIES = ("largest_eigenvalue", "smallest_eigenvalue", "residual")


def layers(trainer: Trainer, x: Any) -> Layers:  # noqa: ARG001
    """Return the quantities; each is one of the whole network."""
    return dict.fromkeys(QUANTITIES)


def measure(trainer: Trainer, state: RunState, x: jax.Array, y: jax.Array, *, seed: int = 0) -> Measured:
    """Return the extreme eigenvalues of the Hessian H over all trainable parameters, as scalars.

        largest_eigenvalue   max of v·Hv over the unit vectors v of the Krylov space: λ_max, approached from below
        smallest_eigenvalue  min of it: λ_min, approached from above; negative where the loss curves downwards
        residual             ‖Hv - λv‖ / |λ| of the largest: some eigenvalue lies within residual · |λ| of it

    H is that of this batch's loss in training mode, penalties included. It is never formed: Hv is the derivative of the
    gradient along v. Lanczos's recurrence writes H, on the space of v, Hv, H²v, ..., as a tridiagonal matrix.

    Cost: 30 Hessian-vector products, each about two gradients; memory for three more sets of parameters.

    Source: Lanczos 1950. Nothing is orthogonalized again: rounding then only repeats eigenvalues that are found already
    (Paige 1980, "Accuracy and effectiveness of the Lanczos algorithm for the symmetric eigenproblem").

    Args:
        trainer: What is fixed while a run trains.
        state: Of one run.
        x: Inputs as stored, (batch, ...).
        y: Targets, (batch,).
        seed: Of the first v, the same for all runs.
    """

    def loss(trainable: list[Any]) -> jax.Array:
        return batch_loss(trainer, pass_through(trainer, trainable, state.non_trainable, x), y)

    def product(v: list[Any]) -> list[Any]:
        return jax.jvp(jax.grad(loss), (state.trainable,), (v,))[1]

    diagonal, beside = _tridiagonal(product, _drawn(state.trainable, seed))
    matrix = jnp.diag(diagonal) + jnp.diag(beside[:-1], 1) + jnp.diag(beside[:-1], -1)
    values, vectors = jnp.linalg.eigh(matrix)
    residual = beside[-1] * jnp.abs(vectors[-1, -1]) / jnp.abs(values[-1])
    return dict(zip(QUANTITIES, (values[-1], values[0], residual), strict=True))


def _tridiagonal(product: Any, first: list[Any]) -> tuple[jax.Array, jax.Array]:
    """Return diagonal and next diagonal, (NUM_PRODUCTS,) each; the last of the latter couples to what is left out."""

    def step(number: jax.Array, carry: tuple[Any, ...]) -> tuple[Any, ...]:
        before, v, coupling, diagonal, beside = carry
        w = moved(product(v), -coupling, before)
        here = inner(w, v)
        w = moved(w, -here, v)
        size = norm(w)
        # Where the space is used up, v is zero from then on: a value that stands there already adds no new extreme.
        is_over = (number > 0) & (coupling == 0)
        diagonal = diagonal.at[number].set(jnp.where(is_over, diagonal[0], here))
        return v, _unit(w), size, diagonal, beside.at[number].set(size)

    start = _unit(first)
    zeros = jnp.zeros(NUM_PRODUCTS, inner(first, first).dtype)
    carry = ([jnp.zeros_like(one) for one in first], start, zeros[0], zeros, zeros)
    *_, diagonal, beside = jax.lax.fori_loop(0, NUM_PRODUCTS, step, carry)
    return diagonal, beside


def _drawn(shapes: list[Any], seed: int) -> list[jax.Array]:
    keys = jax.random.split(seeding.key(seed, "probe", "curvature"), len(shapes))
    return [jax.random.normal(key, value.shape, value.dtype) for key, value in zip(keys, shapes, strict=True)]


def _unit(v: list[Any]) -> list[Any]:
    """Return v / ‖v‖, or zero where v is zero."""
    size = norm(v)
    return [one / jnp.where(size == 0, 1, size) for one in v]
