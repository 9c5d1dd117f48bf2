"""The multilayer perceptron: per layer Dense, norm, activation, in the order that the placement asks for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from normlab.errors import require_known
from normlab.models.activations import ACTIVATIONS
from normlab.models.counts import require_widths
from normlab.models.initializers import INITIALIZERS
from normlab.models.placement import PLACEMENTS, activation_at, in_order, needs_bias, norm_layer
from normlab.norms import NORMS

if TYPE_CHECKING:
    import keras

    from normlab.norms import Norm

__all__ = ["ACTIVATIONS", "INITIALIZERS", "PLACEMENTS", "check_mlp", "mlp"]

# One layer of this width on another takes 37 GB: a larger one is a slip of the keyboard.
MAX_WIDTH = 100_000


def mlp(
    norm: Norm,
    input_shape: Sequence[int],
    num_outputs: int,
    *,
    widths: Sequence[int] = (300, 100),
    activation: str = "relu",
    initializer: str = "he_normal",
    input_norm: bool = False,
    hidden_norm: bool = True,
    placement: str = "before",
) -> keras.Model:
    """Build Flatten, then per width Dense → norm → activation, then Dense(num_outputs) that gives logits.

    A Dense layer directly before a norm that subtracts a mean has no bias: the norm would cancel it. A norm of weights
    acts on the hidden Dense layers themselves. A norm whose published form contains the activation takes its place
    where it stands before it: an identity of that name follows.

    Args:
        norm: The norm; called once per place.
        input_shape: Shape of one sample, without the batch axis.
        num_outputs: Classes, or 1 for regression.
        widths: Units of the hidden layers. Default 300 and 100: the notebook's network.
        activation: One of `ACTIVATIONS`; `leaky_relu` has slope 0.3.
        initializer: Of the hidden kernels, one of `INITIALIZERS`; biases start at zero. Default: He et al. 2015, for
            ReLU. The last layer keeps Keras's default, Glorot uniform.
        input_norm: Whether a norm also stands before the first Dense.
        hidden_norm: Whether norms stand in the hidden layers; without them and with `input_norm`, only inputs are
            normalized.
        placement: The norm stands `before` the activation (Ioffe and Szegedy 2015) or `after` it (the notebook).

    Raises:
        InputError: For an option that `check_mlp` refuses, or a norm that can't serve where it stands.
    """
    check_mlp(widths=widths, activation=activation, initializer=initializer, placement=placement)
    import keras

    layers: list[keras.layers.Layer] = [keras.Input(tuple(input_shape), name="input")]
    if len(input_shape) > 1:
        layers.append(keras.layers.Flatten(name="flatten"))
    if input_norm:
        layers.append(norm_layer(norm, (math.prod(input_shape),), "norm_input"))
    hidden = norm if hidden_norm else NORMS["none"]
    for depth, width in enumerate(widths):
        bias = needs_bias(hidden, placement)
        dense = keras.layers.Dense(width, use_bias=bias, kernel_initializer=initializer, name=f"hidden_{depth}")
        layers.append(hidden.wrap(dense))
        placed = norm_layer(hidden, (width,), f"norm_{depth}")
        layers += in_order(placed, activation_at(hidden, activation, f"activation_{depth}", placement), placement)
    layers.append(keras.layers.Dense(num_outputs, name="head"))
    return keras.Sequential(layers, name="mlp")


def check_mlp(
    *,
    widths: Sequence[int] = (300, 100),
    activation: str = "relu",
    initializer: str = "he_normal",
    placement: str = "before",
) -> None:
    """Raise `InputError` where an option of `mlp` can't be, without importing Keras."""
    require_widths(widths, MAX_WIDTH, "300,100")
    require_known("activation", activation, ACTIVATIONS)
    require_known("initializer", initializer, INITIALIZERS)
    require_known("placement", placement, PLACEMENTS)
