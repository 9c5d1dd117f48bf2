"""How runs share a device: chosen by what the network is made of, and by a short measurement."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import jax
import numpy as np

from normlab.train.population import DeviceData, Layout, Population
from normlab.train.stepwise import SteppedPopulation

if TYPE_CHECKING:
    import keras

    from normlab.train.blueprint import Blueprint
    from normlab.train.initial import InitialValues
    from normlab.train.loop import Trainer

MEASURED: tuple[Layout, ...] = ("map", "vmap")
# Full batches per program call while layouts are compared, and calls of each (the fastest counts).
MEASURED_BATCHES = 24
MEASURED_CALLS = 3
CONVOLUTIONS = (
    *(f"Conv{n}D" for n in (1, 2, 3)),
    *(f"Conv{n}DTranspose" for n in (1, 2, 3)),
    *(f"{kind}Conv{n}D" for kind in ("Depthwise", "Separable") for n in (1, 2)),
)


def new_population(
    plan: Blueprint, trainer: Trainer, data: DeviceData, capacity: int, values: InitialValues, layout: Layout
) -> Population:
    """Return a population with this layout; with `steps` its capacity is the number of devices."""
    if layout == "steps":
        return SteppedPopulation(plan, trainer, data, data.mesh.size, values, layout)
    return Population(plan, trainer, data, capacity, values, layout)


def has_convolution(model: keras.Model) -> bool:
    """Return whether a layer of the model, at any depth, convolves."""
    import keras

    kinds = tuple(getattr(keras.layers, name) for name in CONVOLUTIONS)
    return any(isinstance(layer, kinds) for layer in model._flatten_layers())


def choose_layout(
    build: Callable[[Layout], Population], num_samples: int | None = None
) -> tuple[Population, dict[str, float]]:
    """Return the population with the faster layout, and the seconds per run of a short training in each.

    With one run per device there is nothing to choose, and nothing is measured; nor with convolutions on a CPU, which
    train in `steps`, see `normlab.train.stepwise`. `num_samples`, by default all, is the
    length of the orders that the population is to train in.
    """
    first = build(MEASURED[0])
    if jax.default_backend() == "cpu" and has_convolution(first.trainer.model):
        return build("steps"), {}
    if first.capacity <= first.data.mesh.size:
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
