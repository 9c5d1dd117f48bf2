"""Trains a network for images with Keras `model.fit` on TensorFlow, one epoch a turn; see `turns.py`.

`python benchmarks/keras_images.py --network convnet --data FILE.npz --threads all --rounds 3`, in an environment with
tensorflow. FILE.npz holds x_train, y_train, x_val, y_val (uint8) and the pixels' divisor. An epoch's time includes its
validation; the first epoch, which also compiles, is done before the first turn.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from images import BATCH_SIZE, LEARNING_RATE, MOMENTUM
from turns import await_turn, finish_turn, say

if TYPE_CHECKING:
    import keras


def main() -> None:
    """Read the command line, train once, an epoch a turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", choices=("convnet", "resnet"), required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--threads", choices=("all", "1"), required=True, help="threads of the process")
    parser.add_argument("--rounds", type=int, required=True)
    options = parser.parse_args()
    with np.load(options.data) as arrays:
        data = dict(arrays)
    train(options.network, data, options.threads, options.rounds)


def train(network: str, data: dict[str, np.ndarray], threads: str, num_rounds: int) -> None:
    """Train the network by one call of `fit`, whose epochs after the first wait for their turns."""
    # Keras reads both when it is first imported, so they are set before that.
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import keras
    import tensorflow

    if threads == "1":
        tensorflow.config.threading.set_intra_op_parallelism_threads(1)
        tensorflow.config.threading.set_inter_op_parallelism_threads(1)
    keras.utils.set_random_seed(0)
    x_train, x_val = (data[name].astype("float32") / np.float32(data["divisor"]) for name in ("x_train", "x_val"))
    model = {"convnet": convnet, "resnet": resnet}[network](x_train.shape[1:])
    model.compile(
        optimizer=keras.optimizers.SGD(LEARNING_RATE, MOMENTUM),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    start = time.perf_counter()
    begun = [0.0]

    def on_epoch_begin(epoch: int, _: Any) -> None:
        if epoch:
            begun.append(await_turn())

    def on_epoch_end(epoch: int, _: Any) -> None:
        if epoch:
            finish_turn(begun[-1])
            return
        version = {
            "python": platform.python_version(),
            "keras": keras.__version__,
            "tensorflow": tensorflow.__version__,
        }
        say(
            {
                "num_parameters": model.count_params(),
                "first_epoch_seconds": time.perf_counter() - start,
                "versions": version,
                "setting": f"model.fit, batch {BATCH_SIZE}, jit_compile={model.jit_compile}, threads: {threads}",
            }
        )

    model.fit(
        x_train,
        data["y_train"],
        batch_size=BATCH_SIZE,
        epochs=num_rounds + 1,
        validation_data=(x_val, data["y_val"]),
        callbacks=[keras.callbacks.LambdaCallback(on_epoch_begin=on_epoch_begin, on_epoch_end=on_epoch_end)],
        verbose=0,  # the progress bar would share stdout with the records
    )


def convnet(image_shape: tuple[int, ...]) -> keras.Model:
    """Build six convolutions with batch norm, as a user writes them; the network that normlab calls convnet."""
    from keras import Input, Sequential, layers

    stack: list[Any] = [Input(image_shape)]
    for channels in (32, 64, 128):
        if channels > 32:
            stack.append(layers.MaxPooling2D(2))
        for _ in range(2):
            stack += [conv(channels), layers.BatchNormalization(), layers.ReLU()]
    return Sequential([*stack, layers.GlobalAveragePooling2D(), layers.Dense(10)])


def resnet(image_shape: tuple[int, ...]) -> keras.Model:
    """Build the ResNet-8 of width 16 whose shortcuts take every second position and add channels of zeros."""
    from keras import Input, Model, layers

    inputs = Input(image_shape)
    x = layers.ReLU()(layers.BatchNormalization()(conv(16)(inputs)))
    for channels in (16, 32, 64):
        stride = channels // x.shape[-1]
        y = layers.ReLU()(layers.BatchNormalization()(conv(channels, stride)(x)))
        y = layers.BatchNormalization()(conv(channels)(y))
        if stride > 1:
            zeros = channels - x.shape[-1]
            x = layers.AveragePooling2D(1, stride)(x)
            x = layers.ZeroPadding2D(((0, 0), (0, zeros)), data_format="channels_first")(x)
        x = layers.ReLU()(layers.Add()([x, y]))
    return Model(inputs, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))


def conv(channels: int, stride: int = 1) -> keras.layers.Layer:
    """Build a 3x3 convolution without a bias, which the batch norm after it would cancel."""
    from keras import layers

    return layers.Conv2D(channels, 3, stride, padding="same", use_bias=False, kernel_initializer="he_normal")


if __name__ == "__main__":
    main()
