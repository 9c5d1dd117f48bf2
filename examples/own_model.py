"""Compare norms in a network of your own: a function that takes a norm and returns a Keras model."""

from __future__ import annotations

import os

os.environ.setdefault("KERAS_BACKEND", "jax")  # before the first import of keras

import keras

import normlab
from normlab.norms import Norm


def network(norm: Norm) -> keras.Model:
    """Return a network for digits; norm() is a new layer at every place, an identity for the arm none."""
    dense = keras.layers.Dense
    return keras.Sequential(
        [
            keras.Input((8, 8)),
            keras.layers.Flatten(),
            dense(64, use_bias=not norm.cancels_bias),
            norm(),
            keras.layers.Activation("tanh"),
            dense(10),
        ]
    )


if __name__ == "__main__":
    result = normlab.compare("digits", network, seeds=6, epochs=5)
    print(result.summary())
    print(result.verdict("test_accuracy"), result.folder / "report.html")
