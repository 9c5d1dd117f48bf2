"""Gradients: how large the loss's gradient is at each layer's parameters and at each layer's output."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from normlab.norms.moments import at_least_float32
from normlab.probes.inside import batch_loss, no_shifts, pass_through, survey
from normlab.probes.parameters import chosen, norm, parameter_groups
from normlab.train.convolutions import fast_in_loops

if TYPE_CHECKING:
    from normlab.probes.probe import Layers, Measured
    from normlab.train.loop import RunState, Trainer


def layers(trainer: Trainer, x: Any) -> Layers:
    """Return the layers of both quantities: those with trainable variables, and every output."""
    return {
        "parameter_gradient": tuple(parameter_groups(trainer, x)),
        "output_gradient": tuple(output.name for output in survey(trainer, x)),
    }


def measure(trainer: Trainer, state: RunState, x: jax.Array, y: jax.Array) -> Measured:
    """Return the norms of the gradient of L, the loss that a training step descends (see `batch_loss`).

        parameter_gradient  ‖∂L/∂θ_l‖ over all trainable variables of layer l, (layers with parameters,)
        output_gradient     ‖∂L/∂h_l‖ over the whole output h_l, (batch, ...), of layer l, (outputs,)

    L is a mean over the batch: ∂L/∂h_l has a row per sample, each of the order of 1/batch.

    Cost: one forward and one backward pass.

    Args:
        trainer: What is fixed while a run trains.
        state: Of one run.
        x: Inputs as stored, (batch, ...).
        y: Targets, (batch,).
    """
    by_parameters, by_outputs = gradients(trainer, state, x, y)
    groups = parameter_groups(trainer, x).values()
    return {
        "parameter_gradient": jnp.stack([norm(chosen(by_parameters, indices)) for indices in groups]),
        "output_gradient": jnp.stack([jnp.linalg.norm(at_least_float32(g).ravel()) for g in by_outputs]),
    }


def gradients(trainer: Trainer, state: RunState, x: jax.Array, y: jax.Array) -> tuple[list[Any], list[Any]]:
    """Return ∂L/∂θ, one array per trainable variable, and ∂L/∂h, one per output in the order of `survey`."""

    def loss(trainable: list[Any], shifts: list[jax.Array]) -> jax.Array:
        return batch_loss(trainer, pass_through(trainer, trainable, state.non_trainable, x, shifts), y)

    return fast_in_loops(trainer.model, jax.grad(loss, argnums=(0, 1)))(state.trainable, no_shifts(trainer, x))
