"""A small setting for the tests of training: digits, an mlp per norm, a population of any size."""

from __future__ import annotations

from typing import Any

import numpy as np

from normlab.data import Dataset, Part, load
from normlab.models import mlp
from normlab.norms import NORMS
from normlab.train.blueprint import Blueprint, blueprint
from normlab.train.device_data import DeviceData, place
from normlab.train.devices import run_mesh
from normlab.train.initial import InitialValues
from normlab.train.loop import RunState, Totals, Trainer, train_batches, train_rest
from normlab.train.objective import objective_for
from normlab.train.optimizers import OPTIMIZERS
from normlab.train.population import Layout, Population

BATCH_SIZE = 16


def small_digits(num_train: int = 16 * 12 + 5) -> Dataset:
    """Return digits with a short training part whose last batch is short too."""
    digits = load("digits")
    train = Part(digits.train.x[:num_train], digits.train.y[:num_train])
    return Dataset("digits", digits.task, train, digits.validation, digits.test, digits.classes, digits.divisor, ())


def plan(norm: str = "batch", **options: Any) -> Blueprint:
    """Return a small mlp's blueprint."""
    return blueprint(lambda: mlp(NORMS[norm], (8, 8), 10, **{"widths": (24, 12), **options}))


def population(
    blueprint_: Blueprint,
    dataset: Dataset,
    capacity: int,
    *,
    optimizer: str = "sgd",
    layout: Layout = "map",
    num_devices: int | None = None,
    data: DeviceData | None = None,
) -> Population:
    """Return a population of a plan on a data set."""
    built = OPTIMIZERS[optimizer].build()
    built.build(blueprint_.model.trainable_variables)
    objective = objective_for(dataset.task, dataset.num_outputs, blueprint_.model)
    trainer = Trainer(blueprint_.model, built, objective, BATCH_SIZE, dataset.divisor)
    data = data or place(dataset.train, dataset.validation, dataset.test, run_mesh(num_devices))
    return Population(blueprint_, trainer, data, capacity, InitialValues(), layout)


def leaves(state: Any, run: int) -> list[np.ndarray]:
    """Return all values of one run in a population's state."""
    import jax

    return [np.asarray(leaf)[run] for leaf in jax.tree.leaves(state)]


def train_epoch(trainer: Trainer, state: RunState, x: Any, y: Any, order: Any, num_batches: Any) -> Any:
    """Train one run for one epoch, in one program: the state after, and sums over its samples."""
    import jax.numpy as jnp

    carry = (state, Totals(jnp.float32(0), jnp.float32(0)))
    carry = train_batches(trainer, carry, x, y, order, jnp.int32(0), num_batches)
    return train_rest(trainer, carry, x, y, order)
