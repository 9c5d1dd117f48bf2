"""How runs share a device: chosen by what the network is made of, and by a short measurement."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from normlab.train.convolutions import convolves_on_cpu

if TYPE_CHECKING:
    from normlab.train.population import Layout, Population

MEASURED: tuple[Layout, ...] = ("map", "vmap")
# Full batches per program call while layouts are compared, and calls of each (the fastest counts).
MEASURED_BATCHES = 24
MEASURED_CALLS = 3


def choose_layout(
    build: Callable[[Layout], Population], num_samples: int | None = None
) -> tuple[Population, dict[str, float]]:
    """Return the population with the faster layout, and the seconds per run of a short training in each.

    With one run per device there is nothing to choose, and nothing is measured. Nor with convolutions on a CPU, which
    are mapped: vectorized over runs they become grouped ones, four times slower per run. `num_samples`, by default all,
    is the length of the orders that the population is to train in.
    """
    first = build(MEASURED[0])
    if first.capacity <= first.data.mesh.size or convolves_on_cpu(first.trainer.model):
        return first, {}
    seconds: dict[str, float] = {}
    candidates = {layout: first if layout == first.layout else build(layout) for layout in MEASURED}
    num_samples = num_samples or len(first.data.train[1])
    orders = [np.arange(num_samples, dtype=np.int32)] * first.capacity
    images = first.trainer.augmentation is not None
    draws = [np.zeros((num_samples, 3), np.uint8)] * first.capacity if images else None
    batches = min(MEASURED_BATCHES, num_samples // first.trainer.batch_size)
    for layout, population in candidates.items():
        state = population.start([0] * first.capacity, [0.0] * first.capacity)
        state, _ = population.train(state, orders, batches, draws)  # compiles and warms up
        times: dict[int, list[float]] = {0: [], batches: []}
        for _ in range(MEASURED_CALLS):
            for count, measured in times.items():
                state, record = population.train(state, orders, count, draws)
                measured.append(record.seconds)
        # Without batches, a call only evaluates; what it takes is no reason to choose.
        seconds[layout] = max(min(times[batches]) - min(times[0]), 0.0)
    return candidates[min(MEASURED, key=seconds.__getitem__)], seconds
