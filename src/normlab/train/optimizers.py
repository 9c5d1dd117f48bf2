"""Keras's optimizers by name, each with the grid of learning rates that `tuned` searches."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class OptimizerChoice:
    """An optimizer and its grid.

    Attributes:
        build: Returns a new Keras optimizer; its learning rate is set per run afterwards.
        grid: Learning rates that `tuned` searches, ascending, in steps of about a factor of three. Every arm gets the
            same grid.
    """

    build: Callable[[], keras.optimizers.Optimizer]
    grid: tuple[float, ...]


def _sgd() -> keras.optimizers.Optimizer:
    import keras

    return keras.optimizers.SGD()


def _momentum() -> keras.optimizers.Optimizer:
    import keras

    return keras.optimizers.SGD(momentum=0.9)  # Sutskever et al. 2013 use 0.9 to 0.99; 0.9 is the common choice


def _adam() -> keras.optimizers.Optimizer:
    import keras

    return keras.optimizers.Adam()


def _adamw() -> keras.optimizers.Optimizer:
    import keras

    return keras.optimizers.AdamW()


# Plain SGD is searched up to 1, where nets without a norm diverge; momentum 0.9 multiplies the step by 1/(1 - 0.9).
OPTIMIZERS = {
    "sgd": OptimizerChoice(_sgd, (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)),
    "momentum": OptimizerChoice(_momentum, (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1)),
    "adam": OptimizerChoice(_adam, (0.00003, 0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03)),
    "adamw": OptimizerChoice(_adamw, (0.00003, 0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03)),
}


# Keras's name of the variable that each optimizer reads its rate from.
RATE = "learning_rate"


def rate_position(optimizer: keras.optimizers.Optimizer) -> int:
    """Return the place of the learning rate among the optimizer's variables."""
    return [variable.name for variable in optimizer.variables].index(RATE)


VARIABLE_SGD = "variable_sgd"


def new_optimizer(name: str) -> keras.optimizers.Optimizer:
    """Return a new optimizer: of `OPTIMIZERS`, or `VARIABLE_SGD`, whose every setting may differ from run to run."""
    if name == VARIABLE_SGD:
        from normlab.train.variable_sgd import VariableSGD

        return VariableSGD()
    return OPTIMIZERS[name].build()


def with_settings(
    optimizer: keras.optimizers.Optimizer, state: Sequence[Any], settings: Mapping[str, Sequence[float]]
) -> list[Any]:
    """Return the optimizer's variables for all runs with some scalars replaced.

    Args:
        optimizer: Whose variables they are.
        state: Their values on the devices, (num_runs, ...) each, in its order.
        settings: By the variable's name, a value per run, (num_runs,).

    Raises:
        KeyError: If the optimizer has no variable of that name.
    """
    import jax

    replaced, index_of = list(state), {v.name: index for index, v in enumerate(optimizer.variables)}
    for name, values in settings.items():
        old = state[index_of[name]]
        replaced[index_of[name]] = jax.device_put(np.asarray(values, dtype=old.dtype), old.sharding)
    return replaced


def initial_state(optimizer: keras.optimizers.Optimizer, rates: list[float]) -> list[np.ndarray]:
    """Return the optimizer's variables for all runs, each of shape (num_runs, ...), with the rate of each run."""
    stacked = []
    for variable in optimizer.variables:
        value = np.asarray(variable.value)
        if variable.name == RATE:
            stacked.append(np.asarray(rates, dtype=value.dtype))
        else:
            stacked.append(np.broadcast_to(value, (len(rates), *value.shape)).copy())
    return stacked
