"""The arms of the calibration as norms of one's own: each adds a frozen random vector, and may drop units.

Arms that keep all units are equal in distribution, not in bits: the weight is named after the arm, so that arms draw
different vectors.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import keras

BASELINE, UNITS = "a", 16
# Standard deviation of the vector, per unit.
DEVIATION = 0.5


def a(name: str | None = None) -> keras.layers.Layer:
    """Return the baseline's layer."""
    return shift("a", UNITS, name)


def b(name: str | None = None) -> keras.layers.Layer:
    """Return the layer of an arm that is equal to the baseline in distribution."""
    return shift("b", UNITS, name)


def shift(arm: str, kept: int, name: str | None = None) -> keras.layers.Layer:
    """Return (x + v) m: v frozen, drawn from N(0, 0.5^2) per unit; m is 1 for the first `kept` units, else 0."""
    return _layer_class()(arm, kept, name=name)


@cache
def _layer_class() -> Any:
    import keras  # which wants to know its backend first

    class Shift(keras.layers.Layer):  # type: ignore[misc]
        def __init__(self, arm: str, kept: int, **options: Any) -> None:
            super().__init__(**options)
            self.arm, self.kept = arm, kept

        def build(self, _: Any) -> None:
            draw = keras.initializers.RandomNormal(0.0, DEVIATION)
            self.shift = self.add_weight(shape=(UNITS,), initializer=draw, trainable=False, name=f"shift_{self.arm}")

        def call(self, inputs: Any) -> Any:
            return (inputs + self.shift) * (np.arange(UNITS) < self.kept).astype(np.float32)

    return Shift
