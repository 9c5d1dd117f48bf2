"""What a layer is to surgery: a norm, a linear map, an activation, a model with a graph of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from normlab.norms import NORMS

if TYPE_CHECKING:
    import keras

KERAS_NORMS = ("BatchNormalization", "LayerNormalization", "GroupNormalization", "RMSNormalization")
LINEAR_MAPS = (
    "Dense",
    "Conv1D",
    "Conv2D",
    "Conv3D",
    "Conv1DTranspose",
    "Conv2DTranspose",
    "Conv3DTranspose",
    "DepthwiseConv1D",
    "DepthwiseConv2D",
    "SeparableConv1D",
    "SeparableConv2D",
)
ACTIVATION_LAYERS = ("Activation", "ELU", "LeakyReLU", "PReLU", "ReLU")
# Class names of `keras.ops` functions in a graph. Softmax is none of them: it is a head or an attention.
ACTIVATION_OPS = (
    "Celu",
    "Elu",
    "Gelu",
    "Glu",
    "HardSigmoid",
    "HardSilu",
    "HardTanh",
    "LeakyRelu",
    "LogSigmoid",
    "Relu",
    "Relu6",
    "Selu",
    "Sigmoid",
    "Silu",
    "Softplus",
    "Softsign",
    "Tanh",
)
# Activations with ReLU's task, to cut off or damp negative values: names of layers, functions and of `keras.ops`. Gates
# such as tanh and sigmoid bound their output, which no norm does in their place.
RECTIFIER_LAYERS = ("ELU", "LeakyReLU", "ReLU")
RECTIFIER_FUNCTIONS = ("celu", "elu", "gelu", "hard_silu", "leaky_relu", "mish", "relu", "relu6", "selu", "silu")
RECTIFIER_OPS = ("Celu", "Elu", "Gelu", "HardSilu", "LeakyRelu", "Relu", "Relu6", "Selu", "Silu")


def norm_classes() -> tuple[type[keras.layers.Layer], ...]:
    """Return the classes of layers that are norms: Keras's four, and whatever `NORMS` builds besides identities.

    Building them also imports the modules that hold them, so that files with such layers can be opened.
    """
    import keras

    built = {type(norm()) for norm in NORMS.values()} - {keras.layers.Identity}
    return (*(getattr(keras.layers, name) for name in KERAS_NORMS), *sorted(built, key=lambda kind: kind.__name__))


def norms_of_weights() -> tuple[type[keras.layers.Layer], ...]:
    """Return the classes of layers that wrap a Dense or Conv and normalize its kernel."""
    from normlab.norms.kernel import KernelNorm

    return (KernelNorm,)


def norms_inside(layer: keras.Operation, kinds: tuple[type, ...]) -> list[keras.layers.Layer]:
    """Return the norms that a layer keeps within itself, as TimeDistributed(BatchNormalization()) does."""
    import keras

    if not isinstance(layer, keras.layers.Layer):
        return []
    # Keras has no public walk over the layers inside a layer.
    return [inner for inner in layer._flatten_layers(include_self=False) if isinstance(inner, kinds)]


def is_graph(layer: object) -> bool:
    """Return whether a layer is a Functional or Sequential model that leaves the calling of its layers to Keras."""
    import keras

    if not isinstance(layer, keras.Model) or not isinstance(layer, (keras.Sequential, keras.Function)):
        return False
    definer = next(kind for kind in type(layer).__mro__ if "call" in vars(kind))
    return definer.__module__.startswith("keras.")


def is_linear_map(layer: object) -> bool:
    """Return whether a layer is a Dense or a Conv of any kind; its fused activation aside, it is linear."""
    import keras

    return isinstance(layer, tuple(getattr(keras.layers, name) for name in LINEAR_MAPS))


def has_fused_activation(layer: keras.layers.Layer) -> bool:
    """Return whether a linear map applies an activation within itself, as Dense(8, activation="relu") does."""
    import keras

    return getattr(layer, "activation", None) not in (None, keras.activations.linear)


def is_activation(layer: keras.Operation) -> bool:
    """Return whether a layer or an operation of `keras.ops` is an activation; softmax and linear are none."""
    import keras

    if not isinstance(layer, keras.layers.Layer):
        return type(layer).__name__ in ACTIVATION_OPS
    if isinstance(layer, keras.layers.Activation):
        return layer.activation not in (keras.activations.linear, keras.activations.softmax)
    return isinstance(layer, tuple(getattr(keras.layers, name) for name in ACTIVATION_LAYERS))


def is_rectifier(layer: keras.Operation) -> bool:
    """Return whether a layer or an operation of `keras.ops` is a ReLU or its like, without weights or penalty."""
    import keras

    if not isinstance(layer, keras.layers.Layer):
        return type(layer).__name__ in RECTIFIER_OPS
    if layer.activity_regularizer is not None:
        return False
    if type(layer) is keras.layers.Activation:
        return is_rectifying(layer.activation)
    return any(type(layer) is getattr(keras.layers, name) for name in RECTIFIER_LAYERS)


def is_rectifying(activation: object) -> bool:
    """Return whether an activation, as a function or a layer, is a ReLU or its like."""
    import keras

    if isinstance(activation, keras.layers.Layer):
        return is_rectifier(activation)
    return any(activation is getattr(keras.activations, name) for name in RECTIFIER_FUNCTIONS)
