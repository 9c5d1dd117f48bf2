"""What the tests of both networks for images share: digits for them, and a run with the project's own step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import keras
import numpy as np

from normlab.data import load
from normlab.norms import Norm, check_model
from normlab.train.blueprint import Blueprint, blueprint
from normlab.train.initial import InitialValues
from normlab.train.loop import RunState, Totals, Trainer, evaluate, train_batch
from normlab.train.objective import objective_for
from normlab.train.optimizers import OPTIMIZERS, initial_state
from normlab.train.order import epoch_order
from tests.models.learning import MOMENTUM

BATCH_SIZE = 32
NUM_TRAIN = 12 * BATCH_SIZE


class Trained(NamedTuple):
    """One run: its accuracy on the validation part in evaluation mode, and whether all its values are finite."""

    accuracy: float
    finite: bool


class Classroom:
    """A few hundred digits, and what all norms of a network share."""

    def __init__(self) -> None:
        self.digits = load("digits")
        self.values = InitialValues()

    def trained(self, built: Blueprint, rate: float, epochs: int) -> Trained:
        """Train one run with Adam, step by step, and return what came of it."""
        model, train = built.model, self.digits.train
        optimizer = OPTIMIZERS["adam"].build()
        optimizer.build(model.trainable_variables)
        objective = objective_for("classification", 10, model)
        trainer = Trainer(model, optimizer, objective, BATCH_SIZE, self.digits.divisor)
        parts = (model.trainable_variables, model.non_trainable_variables)
        drawn = [self.values.stacked(built, part, [0]) for part in parts]
        start = RunState(
            *([a[0] for a in part] for part in (*drawn, initial_state(optimizer, [rate]))), *np.int32([0, 0])
        )
        zero = np.float32(0)

        def step(state: RunState, x: Any, y: Any, chosen: Any) -> RunState:
            return train_batch(trainer, (state, Totals(zero, zero)), x, y, chosen)[0]

        orders = [epoch_order(0, epoch, NUM_TRAIN).reshape(-1, BATCH_SIZE) for epoch in range(epochs)]
        state, images = start, (jax.numpy.asarray(train.x), jax.numpy.asarray(train.y))
        program = jax.jit(step)
        for chosen in np.concatenate(orders):
            state = program(state, *images, chosen)
        test = (self.digits.validation.x, self.digits.validation.y)
        judge = jax.jit(lambda *of: evaluate(trainer, *of))
        finite = all(np.isfinite(np.asarray(leaf)).all() for leaf in jax.tree.leaves(state))
        return Trained(float(judge(state, *test).hits), finite)


def plan(builder: Callable[..., keras.Model], norm: Norm, **options: Any) -> Blueprint:
    """Return the blueprint of a network for digits, in which the norm can serve.

    Moving statistics follow faster than by default: a hundred steps must do.
    """
    if "momentum" in norm.options:
        norm = norm.with_options(momentum=MOMENTUM)
    built = blueprint(lambda: builder(norm, (8, 8), 10, **options))
    check_model(norm, built.model, BATCH_SIZE)
    return built


def unfilled(builder: Callable[..., keras.Model], *arguments: Any, **options: Any) -> keras.Model:
    """Return a network whose values are all zero: to draw them compiles a program for every shape."""
    return blueprint(lambda: builder(*arguments, **options)).model


def count(variables: list[Any]) -> int:
    """Return the number of values in some variables."""
    return sum(int(np.prod(variable.shape)) for variable in variables)
