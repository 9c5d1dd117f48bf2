"""The notebook's network as a model of one's own: normlab run --model examples/notebook_model.py:network --data mnist.

The function takes nothing, so the arms are made from its model: `none` without its norms, any other arm with its own
norm in their places.
"""

from __future__ import annotations

import keras


def network() -> keras.Model:
    """Return the network with batch normalization that the notebook trains on MNIST."""
    LAYERS = [  # noqa: N806  # as the notebook has it
        keras.layers.Input((28, 28)),
        keras.layers.Flatten(),
        keras.layers.BatchNormalization(),
        keras.layers.Dense(300, activation="relu"),
        keras.layers.BatchNormalization(),
        keras.layers.Dense(100, activation="relu"),
        keras.layers.BatchNormalization(),
        keras.layers.Dense(10, activation="softmax"),
    ]
    return keras.models.Sequential(LAYERS)
