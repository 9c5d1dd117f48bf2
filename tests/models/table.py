"""What the tests of both networks for images share: digits for them, and a run by the project's own program."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import keras
import numpy as np

from normlab.data import Part, load
from normlab.norms import Norm, check_model
from normlab.train.blueprint import Blueprint, blueprint
from normlab.train.devices import run_mesh
from normlab.train.initial import InitialValues
from normlab.train.loop import Trainer
from normlab.train.objective import objective_for
from normlab.train.optimizers import OPTIMIZERS
from normlab.train.order import epoch_order
from normlab.train.population import Population, place

BATCH_SIZE = 32
NUM_BATCHES = 12


class Trained(NamedTuple):
    """One run: its accuracy on the validation part, and whether all its values are finite."""

    accuracy: float
    finite: bool


class Classroom:
    """A few hundred digits on one device, and what all norms of a network share."""

    def __init__(self) -> None:
        digits = load("digits")
        few = BATCH_SIZE * NUM_BATCHES
        self.train = Part(digits.train.x[:few], digits.train.y[:few])
        self.divisor = digits.divisor
        self.data = place(self.train, digits.validation, digits.test, run_mesh(1))
        self.values = InitialValues()

    def trained(self, built: Blueprint, rate: float, epochs: int) -> Trained:
        """Train one run with Adam and return what came of it."""
        optimizer = OPTIMIZERS["adam"].build()
        optimizer.build(built.model.trainable_variables)
        objective = objective_for("classification", 10, built.model)
        trainer = Trainer(built.model, optimizer, objective, BATCH_SIZE, self.divisor)
        runs = Population(built, trainer, self.data, 1, self.values)
        state = runs.start([0], [rate])
        for epoch in range(epochs):
            state, record = runs.train(state, [epoch_order(0, epoch, len(self.train))])
        finite = all(np.isfinite(np.asarray(leaf)).all() for leaf in jax.tree.leaves(state))
        return Trained(float(record.val_accuracy[0]), finite)


def plan(builder: Callable[..., keras.Model], norm: Norm, **options: Any) -> Blueprint:
    """Return the blueprint of a network for digits, in which the norm can serve.

    Moving statistics follow faster than by default: a hundred steps must do.
    """
    if "momentum" in norm.options:
        norm = norm.with_options(momentum=0.9)
    built = blueprint(lambda: builder(norm, (8, 8), 10, **options))
    check_model(norm, built.model, BATCH_SIZE)
    return built


def unfilled(builder: Callable[..., keras.Model], *arguments: Any, **options: Any) -> keras.Model:
    """Return a network whose values are all zero: to draw them compiles a program for every shape."""
    return blueprint(lambda: builder(*arguments, **options)).model


def count(variables: list[Any]) -> int:
    """Return the number of values in some variables."""
    return sum(int(np.prod(variable.shape)) for variable in variables)
