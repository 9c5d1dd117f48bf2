"""A Keras model alone, as the probes take it: what is fixed while it trains, and its state."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from normlab.errors import InputError, require_known
from normlab.train.loop import RunState, Trainer
from normlab.train.objective import Objective, objective_for

if TYPE_CHECKING:
    import keras

TASKS = ("classification", "regression")


def alone(
    model: keras.Model,
    task: str = "classification",
    *,
    objective: Objective | None = None,
    optimizer: keras.optimizers.Optimizer | None = None,
    batch_size: int = 32,
    divisor: float | None = 1.0,
) -> tuple[Trainer, RunState]:
    """Return (trainer, state) of a model as it stands, for the probes: `measure(trainer, state, x, y)`.

    Neither the model nor a given optimizer is changed, but the optimizer is built where it is not yet.

    Args:
        model: A built model with one output, (batch, outputs): logits or probabilities, or (batch, 1) for regression.
        task: `classification`, on class numbers, or `regression`.
        objective: In place of the task's own. Whether outputs are logits or probabilities is told by the model's last
            layer; where a subclassed model makes its layers in another order than it calls them, give it.
        optimizer: For the probe that takes a step; by default the compiled model's own, or else Keras's SGD.
        batch_size: For the probes that cut samples into batches.
        divisor: Inputs are divided by it; None for integers, which stay as they are.

    Raises:
        InputError: For a model that is not built, or an unknown task.
    """
    import keras

    require_known("task", task, TASKS)
    if not model.built:
        raise InputError("a model must be built to be measured", model.name, "call it on a batch first")
    optimizer = optimizer or getattr(model, "optimizer", None) or keras.optimizers.SGD()
    if not optimizer.built:
        optimizer.build(model.trainable_variables)
    # The number of outputs sets the bound of divergence, which no probe reads.
    objective = objective or objective_for(task, 2, model)
    state = RunState(
        [variable.value for variable in model.trainable_variables],
        [variable.value for variable in model.non_trainable_variables],
        [variable.value for variable in optimizer.variables],
        np.int32(0),
        np.int32(0),
    )
    return Trainer(model, optimizer, objective, batch_size, divisor), state
