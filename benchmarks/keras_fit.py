"""Times Keras `model.fit` on TensorFlow, written as a user writes it, and prints one line of JSON.

`python benchmarks/keras_fit.py --network notebook-none --epochs 3 --data FILE.npz`, in an environment with
tensorflow. FILE.npz holds x_train, y_train, x_val, y_val (uint8) and the pixels' divisor. An epoch's seconds
include its validation; the first epoch, which also compiles, is listed apart.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from networks import BATCH_SIZE, LEARNING_RATE, NETWORKS, BatchNorm, Dense, Layer, LeakyRelu, Network, Relu

if TYPE_CHECKING:
    import keras


def main() -> None:
    """Read the command line, train once, print the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", choices=NETWORKS, required=True)
    parser.add_argument("--epochs", type=int, required=True, help="the first, untimed epoch counts among them")
    parser.add_argument("--data", type=Path, required=True)
    options = parser.parse_args()
    if options.epochs < 2:
        parser.error(f"--epochs must be at least 2, got {options.epochs}; the first epoch is not timed.")
    if not options.data.is_file():
        parser.error(f"--data must name an .npz file, got {options.data}; write it first.")
    with np.load(options.data) as arrays:
        data = dict(arrays)
    num_features, wanted = data["x_train"][0].size, NETWORKS[options.network].num_features
    if num_features != wanted:
        parser.error(f"{options.network} must get {wanted} pixels an image, got {num_features}; give other data.")
    print(json.dumps(measure(options.network, data, options.epochs)))


def measure(name: str, data: dict[str, np.ndarray], epochs: int) -> dict[str, Any]:
    """Train the named network once with `fit`; return seconds per epoch, versions, setting, final metrics."""
    # Keras reads both when it is first imported, so they are set before that.
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import keras
    import tensorflow

    keras.utils.set_random_seed(0)
    x_train = data["x_train"].astype("float32") / np.float32(data["divisor"])
    x_val = data["x_val"].astype("float32") / np.float32(data["divisor"])
    model = build(NETWORKS[name], x_train.shape[1:])
    model.compile(
        optimizer=keras.optimizers.SGD(learning_rate=LEARNING_RATE),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    begins: list[float] = []
    ends: list[float] = []
    clock = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda *_: begins.append(time.perf_counter()),
        on_epoch_end=lambda *_: ends.append(time.perf_counter()),
    )
    history = model.fit(
        x_train,
        data["y_train"],
        batch_size=BATCH_SIZE,
        epochs=epochs,
        validation_data=(x_val, data["y_val"]),
        callbacks=[clock],
        verbose=0,  # the progress bar would share stdout with the record
    ).history
    first, *rest = [end - begin for begin, end in zip(begins, ends, strict=True)]
    return {
        "engine": "keras-fit",
        "network": name,
        "first_epoch_seconds": first,
        "seconds_per_epoch_and_run": rest,
        "versions": {
            "python": platform.python_version(),
            "keras": keras.__version__,
            "tensorflow": tensorflow.__version__,
        },
        "setting": f"model.fit on {keras.backend.backend()}, batch {BATCH_SIZE}, SGD {LEARNING_RATE:g}, "
        f"jit_compile={model.jit_compile}, {len(os.sched_getaffinity(0))} cores, verbose=0",
        "final": {key: history[key][-1] for key in ("loss", "accuracy", "val_loss", "val_accuracy")},
    }


def build(network: Network, image_shape: tuple[int, ...]) -> keras.Sequential:
    """Build the described network on images of the given shape."""
    import keras

    layers = [_layer(layer) for layer in network.layers]
    return keras.Sequential([keras.Input(image_shape), keras.layers.Flatten(), *layers])


def _layer(layer: Layer) -> keras.layers.Layer:
    import keras

    match layer:
        case Dense(units, activation, initializer, use_bias):
            return keras.layers.Dense(units, activation=activation, kernel_initializer=initializer, use_bias=use_bias)
        case BatchNorm(momentum, epsilon):
            return keras.layers.BatchNormalization(momentum=momentum, epsilon=epsilon)
        case Relu():
            return keras.layers.ReLU()
        case LeakyRelu(negative_slope):
            return keras.layers.LeakyReLU(negative_slope=negative_slope)


if __name__ == "__main__":
    main()
