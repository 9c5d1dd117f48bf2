"""Statistics for an evaluation, recomputed over the training part inside the program."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax

from normlab.norms.precise import PreciseStatistics
from normlab.train.loop import RunState, Trainer, scaled
from normlab.train.order import statistics_order

if TYPE_CHECKING:
    from normlab.norms.precise import Sums


def evaluation_state(trainer: Trainer, state: RunState, x: jax.Array) -> RunState:
    """Return the state to evaluate a run with: its own, or one with recomputed statistics where the trainer wants so.

    Training goes on from the state passed in, whose running statistics stay as they are.
    """
    return recomputed_state(trainer, state, x) if trainer.recomputes else state


def recomputed_state(trainer: Trainer, state: RunState, x: jax.Array) -> RunState:
    """Return the state of a run with precise statistics; see `normlab.norms.precise.PreciseStatistics`.

    The training part passes once, without augmentation, in batches of the size of training and in one order for all
    runs (`order.statistics_order`), whatever the order of their epochs. The last, short batch counts by its samples; of
    one sample alone it is left out, since that has no variance. One batch at a time is in memory.

    Args:
        trainer: What is fixed.
        state: After some epochs.
        x: Training inputs as stored, (n, ...).
    """
    statistics = PreciseStatistics(trainer.model)
    size, order = trainer.batch_size, statistics_order(len(x))
    whole, rest = divmod(len(order), size)
    batches = jax.numpy.asarray(order[: whole * size].reshape(whole, size))

    def add(sums: Sums, chosen: Any) -> Sums:
        batch = scaled(x[chosen], trainer.divisor)
        return statistics.add(sums, state.trainable, state.non_trainable, batch)

    def one(position: jax.Array, sums: Any) -> Sums:
        return add(sums, batches[position])

    sums = jax.lax.fori_loop(0, whole, one, statistics.start(state.non_trainable))
    if rest > 1 or not whole:
        sums = add(sums, order[whole * size :])
    return state._replace(non_trainable=statistics.replaced(sums, state.non_trainable))
