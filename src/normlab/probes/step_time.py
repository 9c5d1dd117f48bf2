"""Step time: several steps timed side by side, in turns, each warmed up, with what the first call costs kept apart."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from normlab.errors import InputError
from normlab.train.turns import turn_order


@dataclass(frozen=True)
class StepTime:
    """Times of one step.

    Attributes:
        first_seconds: Of the first call, which compiles.
        seconds: Of each later call, one per round; round r of all steps ran side by side.
    """

    first_seconds: float
    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """Seconds per call, the median over rounds: a pause of the machine moves it little."""
        return statistics.median(self.seconds)


def step_times(
    steps: Mapping[str, Callable[[], Any]],
    num_rounds: int = 20,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, StepTime]:
    """Time some callables in turns: in every round each is timed once, so what slows the machine slows all of them.

    The order is balanced over rounds, see `normlab.train.turns.turn_order`. A turn is two calls, of which the first
    warms up, untimed: it may find threads asleep and caches cold. A call ends when its result is there:
    `jax.block_until_ready` waits for it. The very first call of each is timed apart and is no round.

    Cost: 2 num_rounds + 1 calls of each. Call it outside `jit`.

    Args:
        steps: By name: calls one step and returns its arrays.
        num_rounds: Timed calls of each.
        clock: Returns seconds.

    Raises:
        InputError: For no steps, or fewer than one round.
    """
    if not steps:
        raise InputError("step-time needs at least one step to call", "none", "give a callable by name")
    if num_rounds < 1:
        raise InputError("num_rounds must be at least 1", num_rounds, "give a count such as 20")
    first = {name: _timed(step, clock) for name, step in steps.items()}
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(num_rounds):
        for name in turn_order(list(steps), number):
            _timed(steps[name], clock)
            seconds[name].append(_timed(steps[name], clock))
    return {name: StepTime(first[name], tuple(seconds[name])) for name in steps}


def _timed(step: Callable[[], Any], clock: Callable[[], float]) -> float:
    import jax

    start = clock()
    jax.block_until_ready(step())
    return clock() - start
