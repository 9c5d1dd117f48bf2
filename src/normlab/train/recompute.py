"""Statistics for an evaluation, recomputed over the training part inside the program."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax

from normlab.norms.precise import PreciseStatistics
from normlab.train.loop import RunState, Trainer, scaled

if TYPE_CHECKING:
    from normlab.norms.precise import Sums


def evaluation_state(trainer: Trainer, state: RunState, x: jax.Array, order: jax.Array) -> RunState:
    """Return the state to evaluate a run with: its own, or one with precise statistics where the trainer recomputes.

    The training part passes once, in batches as one epoch took them, the last, short one too, without augmentation;
    one batch at a time is in memory. Training goes on from the state passed in, whose running statistics stay as they
    are.

    Args:
        trainer: What is fixed.
        state: After some epochs.
        x: Training inputs as stored, (n, ...).
        order: Order of the samples, (n,), int32.
    """
    if not trainer.recomputes:
        return state
    statistics = PreciseStatistics(trainer.model)
    size = trainer.batch_size
    whole, rest = divmod(len(order), size)
    batches = order[: whole * size].reshape(whole, size)

    def add(sums: Sums, chosen: jax.Array) -> Sums:
        batch = scaled(x[chosen], trainer.divisor)
        return statistics.add(sums, state.trainable, state.non_trainable, batch)

    def one(position: jax.Array, sums: Any) -> Sums:
        return add(sums, batches[position])

    sums = jax.lax.fori_loop(0, whole, one, statistics.start(state.non_trainable))
    if rest:
        sums = add(sums, order[whole * size :])
    return state._replace(non_trainable=statistics.replaced(sums, state.non_trainable))
