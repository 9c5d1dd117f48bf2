"""SGD whose momentum and weight decay are variables, as its learning rate is: one program trains any of them."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


class VariableSGD(keras.optimizers.Optimizer):  # type: ignore[misc]
    """Stochastic gradient descent with momentum and decoupled weight decay, none of them fixed when it is compiled.

    Per step, for a parameter w with gradient g and velocity v (zero at first), learning rate r, momentum m, decay d:

        w <- w - r d w
        v <- m v - r g
        w <- w + v

    as `keras.optimizers.SGD(r, momentum=m, weight_decay=d)` does. The optimizer's variables `learning_rate`, `momentum`
    and `weight_decay` (scalars) may differ from run to run.

    Source: Sutskever, Martens, Dahl, Hinton 2013, ICML (momentum); Loshchilov and Hutter 2019, arXiv:1711.05101
    (decoupled weight decay).

    Args:
        learning_rate: r, at first.
        momentum: m, at first, from 0 to below 1.
        weight_decay: d, at first.
    """

    def __init__(self, learning_rate: float = 0.01, momentum: float = 0.0, weight_decay: float = 0.0) -> None:
        super().__init__(learning_rate=learning_rate, name="variable_sgd")
        # The base class would apply a `weight_decay` that is a number; here it is a variable.
        self.momentum = self._scalar("momentum", momentum)
        self.decay = self._scalar("weight_decay", weight_decay)

    def build(self, variables: list[Any]) -> None:
        """Add a velocity per parameter."""
        if self.built:
            return
        super().build(variables)
        self.velocities = self.add_optimizer_variables(variables, "velocity")

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Take one step of one parameter."""
        rate, momentum, decay = (ops.cast(x, variable.dtype) for x in (learning_rate, self.momentum, self.decay))
        velocity = self.velocities[self._get_variable_index(variable)]
        self.assign(velocity, velocity * momentum - ops.cast(gradient, variable.dtype) * rate)
        self.assign(variable, variable - variable * decay * rate + velocity)

    def _scalar(self, name: str, value: float) -> Any:
        return self.add_variable((), initializer=keras.initializers.Constant(value), name=name)
