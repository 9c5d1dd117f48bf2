"""The table of networks that surgery is tested on, with every norm's numbers drawn at random."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import keras
import numpy as np

L = keras.layers


def _plain(layer: type[keras.layers.Layer], *weights: str) -> Callable[..., keras.layers.Layer]:
    """Return a layer's constructor with ones as initial weights: random ones cost a second of compiling per shape."""
    return partial(layer, **{f"{name}_initializer": "ones" for name in weights})


Dense = _plain(L.Dense, "kernel")
Conv1D = _plain(L.Conv1D, "kernel")
Conv2D = _plain(L.Conv2D, "kernel")
Conv3D = _plain(L.Conv3D, "kernel")
Conv2DTranspose = _plain(L.Conv2DTranspose, "kernel")
DepthwiseConv2D = _plain(L.DepthwiseConv2D, "depthwise")
SeparableConv2D = _plain(L.SeparableConv2D, "depthwise", "pointwise")
Embedding = _plain(L.Embedding, "embeddings")
GRU = _plain(L.GRU, "kernel", "recurrent")


def trained(model: keras.Model, seed: int = 0) -> keras.Model:
    """Give every weight, moving statistics included, a random value, as training would; variances stay positive."""
    rng = np.random.default_rng(seed)
    for variable in model.variables:
        if variable.name in ("gamma", "moving_variance"):
            variable.assign(rng.uniform(0.3, 2.5, variable.shape))
        elif "kernel" in variable.name or variable.name in ("bias", "beta", "moving_mean", "embeddings"):
            variable.assign(rng.normal(0.1, 0.6, variable.shape))
    return model


def residual() -> keras.Model:
    """A convnet with a shortcut, two branches and norms where they can and cannot be folded."""
    inputs = keras.Input((6, 6, 3))
    x = Conv2D(4, 3, padding="same", use_bias=False, name="stem")(inputs)
    x = L.BatchNormalization(momentum=0.8, epsilon=0.05, name="stem_norm")(x)
    x = L.ReLU(name="stem_relu")(x)
    y = Conv2D(4, 3, padding="same", name="conv")(x)
    y = L.BatchNormalization(scale=False, name="conv_norm")(y)
    x = L.Add(name="add")([x, y])
    x = L.BatchNormalization(name="pre_norm")(x)
    x = keras.ops.relu(x)
    x = L.Concatenate()([L.GlobalAveragePooling2D()(x), L.GlobalMaxPooling2D()(x)])
    x = L.BatchNormalization(center=False, name="head_norm")(x)
    return keras.Model(inputs, Dense(3, name="head")(x))


def sequential() -> keras.Model:
    """Dense layers one after the other, with and without bias."""
    return keras.Sequential(
        [
            keras.Input((5,)),
            Dense(8, use_bias=False, name="first"),
            L.BatchNormalization(epsilon=0.5, name="first_norm"),
            L.Activation("tanh"),
            Dense(8, name="second"),
            L.BatchNormalization(center=False, scale=False, name="second_norm"),
            L.LeakyReLU(),
            L.Dropout(0.5),
            Dense(2, name="head"),
        ]
    )


def convolutions() -> keras.Model:
    """Every kind of convolution that can take a norm in behind itself."""
    inputs = keras.Input((8, 8, 4))
    x = inputs
    kinds = [
        Conv2D(6, 3, groups=2, name="grouped"),
        DepthwiseConv2D(3, depth_multiplier=2, padding="same", name="depthwise"),
        SeparableConv2D(5, 3, depth_multiplier=2, padding="same", use_bias=False, name="separable"),
        Conv2DTranspose(3, 2, strides=2, name="transposed"),
    ]
    for layer in kinds:
        x = L.ReLU()(L.BatchNormalization(name=f"{layer.name}_norm")(layer(x)))
    x = L.Reshape((144, 3))(x)
    x = L.ReLU()(L.BatchNormalization(name="line_norm")(Conv1D(4, 5, padding="causal", name="line")(x)))
    x = L.Reshape((4, 6, 6, 4))(x)
    x = L.BatchNormalization(name="volume_norm")(Conv3D(3, 2, name="volume")(x))
    return keras.Model(inputs, L.GlobalAveragePooling3D()(x))


def norms_before() -> keras.Model:
    """Norms that only the layer behind them can take in: pre-activation order."""
    inputs = keras.Input((8, 8, 3))
    x = L.BatchNormalization(name="input_norm")(inputs)
    x = Conv2D(4, 3, strides=2, activation="relu", name="valid")(x)
    x = L.BatchNormalization(name="depthwise_norm")(x)
    x = DepthwiseConv2D(2, depth_multiplier=2, activation="relu", use_bias=False, name="depthwise")(x)
    x = L.BatchNormalization(name="point_norm")(x)
    x = Conv2D(4, 1, padding="same", activation="relu", name="point")(x)
    x = L.BatchNormalization(name="padded_norm")(x)
    x = Conv2D(4, 3, padding="same", activation="relu", name="padded")(x)
    x = L.Flatten()(x)
    x = L.BatchNormalization(name="dense_norm")(x)
    x = Dense(5, name="dense")(x)
    x = L.BatchNormalization(name="both_norm")(x)
    return keras.Model(inputs, L.BatchNormalization(name="last_norm")(x))


def shared() -> keras.Model:
    """Two inputs through the same layers: shared norms, and a shared model whose inner norm can be folded."""
    tower = keras.Sequential(
        [keras.Input((4,)), Dense(6, name="deep"), L.BatchNormalization(name="deep_norm"), L.ReLU()], name="tower"
    )
    dense, norm = Dense(4, name="dense"), L.BatchNormalization(name="dense_norm")
    left, right = keras.Input((4,), name="left"), keras.Input((4,), name="right")
    common = L.BatchNormalization(name="common_norm")  # shared behind layers that are not
    ends = [common(Dense(5, name=f"own_{n}")(tower(L.ReLU()(norm(dense(x)))))) for n, x in enumerate((left, right))]
    return keras.Model({"left": left, "right": right}, Dense(2, name="head")(L.Concatenate()(ends)))


def nested() -> keras.Model:
    """Models within models; a norm next to a nested model; two outputs, of which one is a norm."""
    image = keras.Input((6, 6, 2))
    x = L.ReLU()(L.BatchNormalization(name="inner_norm")(Conv2D(4, 3, name="inner")(image)))
    block = keras.Model(image, Conv2D(4, 3, name="last")(x), name="block")
    outer_image = keras.Input((6, 6, 2))
    trunk = keras.Model(outer_image, L.ReLU()(L.BatchNormalization(name="edge_norm")(block(outer_image))), name="trunk")
    inputs = keras.Input((6, 6, 2))
    features = L.Flatten(name="features")(trunk(inputs))
    embedding = L.BatchNormalization(name="embedding")(Dense(3, name="project")(features))
    return keras.Model(inputs, {"scores": Dense(2, name="head")(features), "embedding": embedding})


def consumers() -> keras.Model:
    """Norms whose neighbour has other consumers, a batch's own moments, a norm inside a wrapper, layer norm."""
    inputs = keras.Input((4, 3))
    x = Dense(3, name="forked")(inputs)
    x = L.Add()([x, L.BatchNormalization(name="forked_norm")(x)])
    x = L.TimeDistributed(L.BatchNormalization(name="hidden_norm"), name="wrapper")(x)
    x = L.LayerNormalization(name="layer_norm")(Dense(3, activation="gelu", name="fused")(x))
    x = L.BatchNormalization(axis=1, name="axis_norm")(Dense(3, name="other_axis")(x))
    return keras.Model(inputs, Dense(2, name="head")(L.Flatten()(x)))


def tokens() -> keras.Model:
    """Indices through an embedding with a mask, then a recurrent layer."""
    inputs = keras.Input((7,), dtype="int32")
    x = Embedding(11, 6, mask_zero=True)(inputs)
    x = L.BatchNormalization(name="token_norm")(Dense(6, name="token")(x))
    x = L.BatchNormalization(name="state_norm")(GRU(5)(x))
    return keras.Model(inputs, Dense(2, name="head")(x))


def half() -> keras.Model:
    """Layers that compute in float16 and keep float32 weights."""
    policy = "mixed_float16"
    inputs = keras.Input((6,))
    x = Dense(8, dtype=policy, name="dense")(inputs)
    x = L.ReLU(dtype=policy)(L.BatchNormalization(dtype=policy, name="dense_norm")(x))
    return keras.Model(inputs, Dense(2, dtype="float32", name="head")(x))


@dataclass(frozen=True)
class Network:
    """A network, and what folding must do: norm to layer; norms that stay, with a word of the reason."""

    build: Callable[[], keras.Model]
    folded: dict[str, str]
    stays: dict[str, str]


NETWORKS = {
    "residual": Network(
        residual, {"stem_norm": "stem", "conv_norm": "conv", "head_norm": "head"}, {"pre_norm": "add before it"}
    ),
    "sequential": Network(sequential, {"first_norm": "first", "second_norm": "second"}, {}),
    "convolutions": Network(
        convolutions,
        {f"{name}_norm": name for name in ("grouped", "depthwise", "separable", "transposed", "line", "volume")},
        {},
    ),
    "norms_before": Network(
        norms_before,
        {
            "input_norm": "valid",
            "depthwise_norm": "depthwise",
            "point_norm": "point",
            "dense_norm": "dense",
            "both_norm": "dense",
            "last_norm": "dense",
        },
        {"padded_norm": "pads"},
    ),
    "shared": Network(
        shared, {"tower/deep_norm": "tower/deep"}, {"dense_norm": "shared layer", "common_norm": "shared layer"}
    ),
    "nested": Network(
        nested, {"trunk/block/inner_norm": "trunk/block/inner", "embedding": "project"}, {"trunk/edge_norm": "nested"}
    ),
    "consumers": Network(
        consumers,
        {},
        {
            "forked_norm": "2 consumers",
            "wrapper/hidden_norm": "inside wrapper",
            "layer_norm": "LayerNormalization",
            "axis_norm": "axis 1",
        },
    ),
    "tokens": Network(tokens, {"token_norm": "token", "state_norm": "head"}, {}),
    "half": Network(half, {"dense_norm": "dense"}, {}),
}


def samples(model: keras.Model, seed: int = 3) -> list[np.ndarray]:
    """Return sixteen random samples for a network of the table."""
    rng = np.random.default_rng(seed)
    shapes = [(16, *tensor.shape[1:]) for tensor in model.inputs]
    if model.inputs[0].dtype == "int32":
        return [rng.integers(0, 11, shape) for shape in shapes]
    return [rng.normal(0.5, 1.5, shape).astype("float32") for shape in shapes]


def outputs(model: keras.Model, inputs: list[np.ndarray]) -> list[np.ndarray]:
    """Return a model's outputs in evaluation mode, flat."""
    arrays = inputs[0] if len(inputs) == 1 else dict(zip(sorted(("left", "right")), inputs, strict=True))
    return [np.asarray(tensor) for tensor in keras.tree.flatten(model(arrays, training=False))]
