"""Training step by step from Python, one run per device: for convolutions on a CPU.

XLA on a CPU computes the gradient of a convolution on a slow path inside a loop body. On 64 images of 32x32x32, two
3x3 convolutions and their gradients took 16,700 ms a step in a `fori_loop` and 240 ms outside, one thread each
(jax 0.10.2; a second measurement of the same kind gave 7 times). A call from Python costs well below a millisecond.
"""

from __future__ import annotations

import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from normlab.train.loop import RunState, Totals, evaluate, train_batch
from normlab.train.population import EpochRecord, Population
from normlab.train.recompute import evaluation_state


class SteppedPopulation(Population):
    """As many runs as there are devices, each alone on its device, a program call per step.

    The numbers are those of a `Population`, up to rounding.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._step_programs: dict[int, Any] = {}
        self._validate_program: Any = None

    def train(
        self,
        state: RunState,
        orders: list[np.ndarray],
        num_batches: int | None = None,
        draws: list[np.ndarray] | None = None,
    ) -> tuple[RunState, EpochRecord]:
        """Train all runs for one epoch, as `Population.train` does."""
        size, order = self.trainer.batch_size, np.stack(self._padded(orders))
        whole = order.shape[1] // size * size
        last = whole if num_batches is None else num_batches * size
        starts = [*range(0, last, size), *([whole] if whole < order.shape[1] else [])]
        placed = [] if draws is None else [jax.device_put(np.stack(self._padded(draws)), self._each)]
        zeros = np.zeros(self.capacity, np.float32)
        totals = jax.device_put(Totals(zeros, zeros.copy()), self._each)
        self._prepare(state, totals, order, placed)
        start = time.perf_counter()
        for first in starts:
            chosen = jax.device_put(order[:, first : first + size], self._each)
            program = self._step_programs[chosen.shape[1]]
            state, totals = program(*self.data.train, state, totals, chosen, *placed)
        validated = self._validate_program(*self._validation(state, order))
        loss, hits, val_loss, val_hits, diverged = (
            np.asarray(m)[: len(orders)] for m in (*totals, *validated, state.diverged_step)
        )
        seconds = (time.perf_counter() - start) / self.capacity
        samples = order.shape[1]
        return state, EpochRecord(loss / samples, hits / samples, val_loss, val_hits, diverged, seconds)

    def _prepare(self, state: RunState, totals: Totals, order: np.ndarray, placed: list[Any]) -> None:
        """Compile at the first call, outside the seconds recorded: a step per length of batch, and the evaluation."""
        size = self.trainer.batch_size
        for length in {min(size, order.shape[1]), order.shape[1] % size or size}:
            if length not in self._step_programs:
                chosen = jax.device_put(order[:, :length], self._each)
                arguments = (*self.data.train, state, totals, chosen, *placed)
                self._step_programs[length] = self._compile(self._step, 2, (2, 3), arguments)
        if self._validate_program is None:
            self._validate_program = self._compile(self._validate, 3, (), self._validation(state, order))

    def _validation(self, state: RunState, order: np.ndarray) -> tuple[Any, ...]:
        return (self.data.train[0], *self.data.validation, state, jax.device_put(order, self._each))

    def _step(self, x: Any, y: Any, state: RunState, totals: Totals, chosen: Any, draws: Any = None) -> Any:
        return train_batch(self.trainer, (state, totals), x, y, chosen, draws)

    def _validate(self, x: Any, xv: Any, yv: Any, state: RunState, order: Any) -> Totals:
        found = evaluate(self.trainer, evaluation_state(self.trainer, state, x, order), xv, yv)
        return Totals(jnp.float32(found.loss), jnp.float32(found.hits))
