"""How much gradient is left at every time step of a recurrent network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import keras

from normlab.models.normalized_rnn import NormalizedRNN
from normlab.train.loop import scaled

if TYPE_CHECKING:
    from normlab.train.loop import RunState, Trainer


def state_gradients(trainer: Trainer, state: RunState, x: jax.Array, y: jax.Array) -> jax.Array:
    """Return ‖∂L/∂h_t‖ for every time step t, (num_steps,), in training mode, as Cooijmans et al. 2017 plot it.

    L is the mean loss over the batch, and h_t, (batch, units), the hidden state, through which all later steps see
    this one (an LSTM's other way, its cell state, is not counted).

    Source: arXiv:1603.09025.

    Args:
        trainer: Of a network that is a row of layers with one `NormalizedRNN` among them.
        state: Of one run.
        x: Inputs as stored, (batch, num_steps, ...).
        y: Targets, (batch,).
    """
    model = trainer.model
    rnn = next(layer for layer in model.layers if isinstance(layer, NormalizedRNN))
    values = [
        *zip(model.trainable_variables, state.trainable, strict=True),
        *zip(model.non_trainable_variables, state.non_trainable, strict=True),
    ]

    def loss(shifts: jax.Array) -> jax.Array:
        with keras.StatelessScope(values):
            out = scaled(x, trainer.divisor)
            for layer in model.layers:
                out = layer(out, training=True, **({"shifts": shifts} if layer is rnn else {}))
        return trainer.objective.per_sample(out, y)[0].mean()

    gradients = jax.grad(loss)(jnp.zeros((x.shape[1], len(x), rnn.units)))
    return jnp.linalg.norm(gradients.reshape(len(gradients), -1), axis=1)
