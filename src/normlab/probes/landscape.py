"""The landscape along the gradient: how far the loss and its gradient change over steps of several sizes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from normlab.probes.inside import batch_loss, pass_through
from normlab.probes.parameters import moved, norm
from normlab.train.convolutions import fast_in_loops

if TYPE_CHECKING:
    from normlab.probes.probe import Layers, Measured
    from normlab.train.loop import RunState, Trainer

# Ours: from a small to a large rate for plain SGD. They are absolute, so that arms and rates can be compared.
STEPS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32)
QUANTITIES = ("loss_lowest", "loss_highest", "loss_range", "gradient_change", "smoothness")


def layers(trainer: Trainer, x: Any) -> Layers:  # noqa: ARG001
    """Return the quantities; each is one of the whole network."""
    return dict.fromkeys(QUANTITIES)


def measure(trainer: Trainer, state: RunState, x: jax.Array, y: jax.Array) -> Measured:
    """Summarize `along_gradient` over `STEPS`, in scalars.

        loss_lowest, loss_highest  min and max over α of L(θ - α∇L)
        loss_range                 their difference
        gradient_change            max over α of ‖∇L(θ) - ∇L(θ - α∇L)‖ (small: the gradient is predictive)
        smoothness                 effective β = max over α of that over α‖∇L‖

    Cost: 7 gradients.

    Source: Santurkar, Tsipras, Ilyas, Madry 2018, arXiv:1805.11604, section 3.1 and figure 4.

    Args:
        trainer: What is fixed while a run trains.
        state: Of one run.
        x: Inputs as stored, (batch, ...).
        y: Targets, (batch,).
    """
    found = along_gradient(trainer, state, x, y, STEPS)
    lowest, highest = found["loss"].min(), found["loss"].max()
    values = (lowest, highest, highest - lowest, found["gradient_change"].max(), found["smoothness"].max())
    return dict(zip(QUANTITIES, values, strict=True))


def along_gradient(
    trainer: Trainer, state: RunState, x: jax.Array, y: jax.Array, steps: Sequence[float]
) -> dict[str, jax.Array]:
    """Return `loss` L(θ - α∇L), `gradient_change` ‖∇L(θ) - ∇L(θ - α∇L)‖ and `smoothness`, that over α‖∇L‖.

    Each has shape (len(steps),), for α in `steps`. L is the loss of this batch in training mode, penalties included.
    Smoothness is NaN where the gradient is zero.

    Cost: 1 + len(steps) gradients, one after the other.
    """

    def loss(trainable: list[Any]) -> jax.Array:
        return batch_loss(trainer, pass_through(trainer, trainable, state.non_trainable, x), y)

    gradient = fast_in_loops(trainer.model, jax.grad(loss))(state.trainable)

    def at(step: jax.Array) -> tuple[jax.Array, jax.Array]:
        value, there = fast_in_loops(trainer.model, jax.value_and_grad(loss))(moved(state.trainable, -step, gradient))
        return value, norm(moved(gradient, -1.0, there))

    sizes = jnp.asarray(steps, jnp.float32)
    losses, changes = jax.lax.map(at, sizes)
    return {
        "loss": losses,
        "gradient_change": changes,
        "smoothness": changes / (sizes * norm(gradient)),
    }
