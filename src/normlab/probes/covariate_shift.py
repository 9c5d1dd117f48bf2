"""Internal covariate shift: how one step of the layers before a layer turns the gradient that this layer follows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from normlab.errors import InputError
from normlab.probes.inside import batch_loss, pass_through
from normlab.probes.parameters import chosen, inner, moved, norm, parameter_groups
from normlab.train.convolutions import fast_in_loops

if TYPE_CHECKING:
    from normlab.probes.probe import Layers, Measured
    from normlab.train.loop import RunState, Trainer

QUANTITIES = ("gradient_shift", "gradient_cosine", "gradient_norm")


def layers(trainer: Trainer, x: Any) -> Layers:
    """Return the layers with trainable variables but the first, which has none before it.

    Raises:
        InputError: If fewer than two layers have trainable variables.
    """
    names = tuple(parameter_groups(trainer, x))
    if len(names) < 2:
        having = ", ".join(names) or "none"
        raise InputError(
            "covariate-shift needs two layers with trainable variables, one after the other",
            f"the model {trainer.model.name} with {having}",
            "measure a deeper network",
        )
    return dict.fromkeys(QUANTITIES, names[1:])


def measure(trainer: Trainer, state: RunState, x: jax.Array, y: jax.Array) -> Measured:
    """Compare each layer's gradient before and after the layers before it take this batch's step.

    With W^t the parameters now and W^{t+1} those after one step of the run's own optimizer on this batch:

        G_i  = ∇_{W_i} L(W_1^t, ..., W_k^t)
        G'_i = ∇_{W_i} L(W_1^{t+1}, ..., W_{i-1}^{t+1}, W_i^t, ..., W_k^t)

        gradient_shift   ‖G_i - G'_i‖
        gradient_cosine  of the angle between G_i and G'_i; NaN where one of them is zero
        gradient_norm    ‖G_i‖

    each of shape (k - 1,), for i = 2..k in the order of the first calls; a norm's gamma and beta are a layer too. The
    state of the norms is that of t in both, and so are dropout's masks.

    Cost: one step and k - 1 gradients of the whole network, one after the other.

    Source: Santurkar, Tsipras, Ilyas, Madry 2018, arXiv:1805.11604, definition 2.1.

    Args:
        trainer: What is fixed while a run trains.
        state: Of one run; its optimizer's state and rate make the step.
        x: Inputs as stored, (batch, ...).
        y: Targets, (batch,).

    Raises:
        InputError: As `layers`.
    """
    layers(trainer, x)
    groups = list(parameter_groups(trainer, x).values())
    position = {index: number for number, indices in enumerate(groups) for index in indices}

    def loss(trainable: list[Any]) -> jax.Array:
        return batch_loss(trainer, pass_through(trainer, trainable, state.non_trainable, x), y)

    gradient = fast_in_loops(trainer.model, jax.grad(loss))
    before = gradient(state.trainable)
    stepped, _ = trainer.optimizer.stateless_apply(state.optimizer, before, state.trainable)

    def compared(number: jax.Array) -> tuple[jax.Array, ...]:
        mixed = [
            jnp.where(position[index] < number, new, old)
            for index, (new, old) in enumerate(zip(stepped, state.trainable, strict=True))
        ]
        after = gradient(mixed)
        pairs = [(chosen(before, indices), chosen(after, indices)) for indices in groups]
        compare = [(norm(moved(a, -1.0, b)), _cosine(a, b), norm(a)) for a, b in pairs]
        return tuple(jnp.stack(column)[number] for column in zip(*compare, strict=True))

    # One program for all layers: what differs between them is which parameters have moved.
    found = jax.lax.map(compared, jnp.arange(1, len(groups)))
    return dict(zip(QUANTITIES, found, strict=True))


def _cosine(a: list[Any], b: list[Any]) -> jax.Array:
    # One division after the other: the product of two small norms may underflow.
    return inner(a, b) / norm(a) / norm(b)
