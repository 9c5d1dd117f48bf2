"""What the tests of both networks for images share: every norm on digits, trained by the project's own program."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import keras
import numpy as np

from normlab.data import Part, load
from normlab.norms import NORMS, Norm, check_model
from normlab.train.blueprint import Blueprint, blueprint
from normlab.train.devices import run_mesh
from normlab.train.initial import InitialValues
from normlab.train.loop import Trainer
from normlab.train.objective import objective_for
from normlab.train.optimizers import OPTIMIZERS
from normlab.train.order import epoch_order
from normlab.train.population import Population, place

Builder = Callable[..., keras.Model]
DIGIT = (8, 8)
BATCH_SIZE = 32
NUM_BATCHES = 12


class Trained(NamedTuple):
    """One run: its accuracy on the validation part, and whether all its values are finite."""

    accuracy: float
    finite: bool


class Classroom:
    """Digits on one device, and what all norms of a network share."""

    def __init__(self) -> None:
        whole = load("digits")
        few = BATCH_SIZE * NUM_BATCHES
        self.train = Part(whole.train.x[:few], whole.train.y[:few])
        self.data = place(self.train, whole.validation, whole.validation, run_mesh(1))
        self.values = InitialValues()

    def trained(self, built: Blueprint, rate: float, epochs: int) -> Trained:
        """Train one run with SGD and momentum and return what came of it."""
        optimizer = OPTIMIZERS["momentum"].build()
        optimizer.build(built.model.trainable_variables)
        objective = objective_for("classification", 10, built.model)
        trainer = Trainer(built.model, optimizer, objective, BATCH_SIZE, 16.0)
        runs = Population(built, trainer, self.data, 1, self.values)
        state = runs.start([0], [rate])
        for epoch in range(epochs):
            state, record = runs.train(state, [epoch_order(0, epoch, len(self.train))])
        finite = all(np.isfinite(np.asarray(leaf)).all() for leaf in jax.tree.leaves(state))
        return Trained(float(record.val_accuracy[0]), finite)


def plan(builder: Builder, norm: Norm, **options: Any) -> Blueprint:
    """Return the blueprint of a network for digits, in which the norm can serve."""
    built = blueprint(lambda: builder(norm, DIGIT, 10, **options))
    check_model(norm, built.model, BATCH_SIZE)
    return built


def plans(builder: Builder, **options: Any) -> dict[str, Blueprint]:
    """Return the blueprints with every norm."""
    return {name: plan(builder, norm, **options) for name, norm in NORMS.items()}


def count(variables: list[Any]) -> int:
    """Return the number of values in some variables."""
    return sum(int(np.prod(variable.shape)) for variable in variables)
