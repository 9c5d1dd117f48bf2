"""The benchmarked networks, described without any framework so that every engine builds the same ones.

Names and defaults are those of Keras: `momentum` is the share of the moving statistics that is kept.
Every network is trained by plain SGD on the sparse categorical cross-entropy of a softmax over ten classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

BATCH_SIZE = 32
LEARNING_RATE = 1e-3


@dataclass(frozen=True)
class Dense:
    """Fully connected layer, activation(x · kernel + bias); the bias starts at zero."""

    units: int
    activation: Literal["linear", "relu", "softmax"] = "linear"
    initializer: Literal["glorot_uniform", "he_normal"] = "glorot_uniform"
    use_bias: bool = True


@dataclass(frozen=True)
class BatchNorm:
    """Batch normalization of each unit; gamma starts at one, beta at zero."""

    momentum: float = 0.99
    epsilon: float = 1e-3


@dataclass(frozen=True)
class Relu:
    """max(x, 0) as a layer of its own."""


@dataclass(frozen=True)
class LeakyRelu:
    """Identity for x > 0, negative_slope · x otherwise."""

    negative_slope: float = 0.3


Layer = Dense | BatchNorm | Relu | LeakyRelu


@dataclass(frozen=True)
class Network:
    """Layers in order, applied to images flattened to `num_features` values."""

    num_features: int
    layers: tuple[Layer, ...]


NETWORKS: dict[str, Network] = {
    "notebook-none": Network(
        784,
        (
            Dense(300, initializer="he_normal"),
            LeakyRelu(),
            Dense(100, initializer="he_normal"),
            LeakyRelu(),
            Dense(10, "softmax"),
        ),
    ),
    "notebook-batch": Network(
        784,
        (BatchNorm(), Dense(300, "relu"), BatchNorm(), Dense(100, "relu"), BatchNorm(), Dense(10, "softmax")),
    ),
    "small-none": Network(64, (Dense(64), Relu(), Dense(32), Relu(), Dense(10, "softmax"))),
    # The mean that batch norm subtracts cancels the bias of the layer before it.
    "small-batch": Network(
        64,
        (
            Dense(64, use_bias=False),
            BatchNorm(),
            Relu(),
            Dense(32, use_bias=False),
            BatchNorm(),
            Relu(),
            Dense(10, "softmax"),
        ),
    ),
}
