"""The multilayer perceptron: per layer Dense, norm, activation, in the order that the placement asks for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from normlab.errors import InputError, require_known
from normlab.norms import NORMS

if TYPE_CHECKING:
    import keras

    from normlab.norms import Norm

# The slope 0.3 is the default of keras.layers.LeakyReLU, which the notebook uses; the others have no parameter.
ACTIVATIONS = ("relu", "leaky_relu", "elu", "gelu", "silu", "tanh", "sigmoid", "linear")
LEAKY_RELU_SLOPE = 0.3
INITIALIZERS = (
    "he_normal",
    "he_uniform",
    "glorot_normal",
    "glorot_uniform",
    "lecun_normal",
    "lecun_uniform",
    "orthogonal",
)
PLACEMENTS = ("before", "after")
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
    acts on the hidden Dense layers themselves.

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
        InputError: For a width out of bounds or an unknown activation, initializer or placement.
    """
    check_mlp(widths=widths, activation=activation, initializer=initializer, placement=placement)
    import keras

    layers: list[keras.layers.Layer] = [keras.Input(tuple(input_shape), name="input")]
    if len(input_shape) > 1:
        layers.append(keras.layers.Flatten(name="flatten"))
    if input_norm:
        layers.append(norm(name="norm_input"))
    hidden = norm if hidden_norm else NORMS["none"]
    for depth, width in enumerate(widths):
        use_bias = placement == "after" or not hidden.cancels_bias
        dense = keras.layers.Dense(width, use_bias=use_bias, kernel_initializer=initializer, name=f"hidden_{depth}")
        layers.append(hidden.wrap(dense))
        pair = [hidden(name=f"norm_{depth}"), _activation(activation, depth)]
        layers.extend(pair if placement == "before" else reversed(pair))
    layers.append(keras.layers.Dense(num_outputs, name="head"))
    return keras.Sequential(layers, name="mlp")


def check_mlp(*, widths: Sequence[int], activation: str, initializer: str, placement: str) -> None:
    """Raise `InputError` where an option of `mlp` can't be."""
    if not widths or any(not 1 <= width <= MAX_WIDTH for width in widths):
        rule = f"widths must hold at least one width, each from 1 to {MAX_WIDTH:,}"
        raise InputError(rule, list(widths), "give counts such as 300,100")
    require_known("activation", activation, ACTIVATIONS)
    require_known("initializer", initializer, INITIALIZERS)
    require_known("placement", placement, PLACEMENTS)


def _activation(activation: str, depth: int) -> keras.layers.Layer:
    import keras

    if activation == "leaky_relu":
        return keras.layers.LeakyReLU(negative_slope=LEAKY_RELU_SLOPE, name=f"activation_{depth}")
    return keras.layers.Activation(activation, name=f"activation_{depth}")
