"""Small networks for the tests of probes: one of every kind of nesting, and a slow reference for the plainest."""

from __future__ import annotations

from typing import Any

import jax
import keras
import numpy as np

from normlab.probes.alone import alone

BATCH = 8


def samples(*shape: int, num_classes: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return normal inputs of the given shape, float32, and class numbers."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=shape).astype(np.float32), rng.integers(0, num_classes, shape[0]).astype(np.int32)


def measured(functions: Any, model: keras.Model, x: np.ndarray, y: np.ndarray, **options: Any) -> dict[str, np.ndarray]:
    """Return what a probe measures in a model alone, compiled."""
    trainer, state = alone(model, **{"batch_size": BATCH, **options})
    found = jax.jit(lambda state, x, y: functions.measure(trainer, state, x, y))(state, x, y)
    return {quantity: np.asarray(value) for quantity, value in found.items()}


def plain(activation: str = "tanh", epsilon: float = 1e-3) -> keras.Model:
    """Return Dense, batch norm, activation, Dense: 4 inputs, 5 units, 3 classes, biases and gammas drawn."""
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(5, name="first"),
            layers.BatchNormalization(epsilon=epsilon, name="norm"),
            layers.Activation(activation, name="activation"),
            layers.Dense(3, name="head"),
        ]
    )
    return drawn(model)


def drawn(model: keras.Model, seed: int = 1) -> keras.Model:
    """Give every trainable variable values drawn about its own, so that biases and betas are not zero."""
    rng = np.random.default_rng(seed)
    for variable in model.trainable_variables:
        variable.assign(np.asarray(variable.value) + 0.3 * rng.normal(size=variable.shape))
    return model


def plain_loss(
    parameters: list[np.ndarray], x: np.ndarray, y: np.ndarray, shifts: dict[str, np.ndarray] | None = None
) -> float:
    """Return the mean cross-entropy of `plain`, in training, in NumPy's float64; outputs can be shifted by name."""
    kernel, bias, gamma, beta, head, head_bias = parameters
    move = shifts or {}
    h = x @ kernel + bias + move.get("first", 0.0)
    h = (h - h.mean(axis=0)) / np.sqrt(h.var(axis=0) + 1e-3) * gamma + beta + move.get("norm", 0.0)
    h = np.tanh(h) + move.get("activation", 0.0)
    logits = h @ head + head_bias + move.get("head", 0.0)
    log_sum = np.log(np.exp(logits).sum(axis=1))
    return float((log_sum - logits[np.arange(len(y)), y]).mean())


def slope(function: Any, point: np.ndarray, step: float = 1e-6) -> np.ndarray:
    """Return central differences of a scalar function at a point, one coordinate after the other."""
    found = np.empty(point.shape)
    for place in np.ndindex(point.shape):
        move = np.zeros(point.shape)
        move[place] = step
        found[place] = (function(point + move) - function(point - move)) / (2 * step)
    return found


def values(model: keras.Model) -> list[np.ndarray]:
    """Return the trainable values in float64."""
    return [np.asarray(v.value, np.float64) for v in model.trainable_variables]


def branches() -> keras.Model:
    """Return two branches that meet in an operation of `keras.ops`."""
    layers = keras.layers
    inputs = keras.Input((4,))
    stem = layers.Dense(6, activation="tanh", name="stem")(inputs)
    left, right = layers.Dense(6, name="left")(stem), layers.Dense(6, name="right")(stem)
    joined = keras.ops.tanh(layers.Add(name="join")([left, right]))
    return drawn(keras.Model(inputs, layers.Dense(3, name="head")(joined)))


def shared() -> keras.Model:
    """Return a network that calls one layer twice."""
    twice = keras.layers.Dense(4, name="twice")
    inputs = keras.Input((4,))
    hidden = twice(keras.layers.Activation("tanh", name="between")(twice(inputs)))
    return drawn(keras.Model(inputs, keras.layers.Dense(3, name="head")(hidden)))


def nested() -> keras.Model:
    """Return a functional model in a sequential one, twice nested, with a layer of the user's own inside."""
    layers = keras.layers
    inputs = keras.Input((4,))
    block = keras.Model(inputs, Residual(name="residual")(layers.Dense(4, name="dense")(inputs)), name="block")
    inner = keras.Sequential([keras.Input((4,)), block, layers.ReLU(name="relu")], name="inner")
    return drawn(keras.Sequential([keras.Input((4,)), inner, layers.Dense(3, name="head")]))


def recurrent() -> keras.Model:
    """Return an LSTM that gives its state, after a wrapped Dense: what is inside them runs in a compiled loop."""
    layers = keras.layers
    inputs = keras.Input((5, 4))
    steps = layers.TimeDistributed(layers.Dense(3, activation="sigmoid", name="each"), name="distributed")(inputs)
    sequence, last, _ = layers.LSTM(4, return_sequences=True, return_state=True, name="lstm")(steps)
    pooled = layers.Concatenate(name="both")([layers.GlobalAveragePooling1D(name="pool")(sequence), last])
    return drawn(keras.Model(inputs, layers.Dense(3, name="head")(pooled)))


def subclassed() -> keras.Model:
    """Return a model whose graph Keras does not know."""
    model = Subclassed(name="subclassed")
    model(np.zeros((2, 4), np.float32))
    return drawn(model)


class Residual(keras.layers.Layer):
    """x + Dense(tanh(x)), a user's layer made of layers."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.inner = keras.layers.Dense(4, name="inner")

    def build(self, input_shape: Any) -> None:
        self.inner.build(input_shape)

    def call(self, x: Any) -> Any:
        return x + self.inner(keras.ops.tanh(x))


class Subclassed(keras.Model):
    """Two layers and a scale of the model's own, called by hand."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.first = keras.layers.Dense(4, activation="relu", name="first")
        self.second = keras.layers.Dense(3, name="second")
        self.factor = self.add_weight(shape=(), initializer="ones", name="factor")

    def call(self, x: Any, training: bool | None = None) -> Any:
        return self.second(self.first(x)) * self.factor

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (input_shape[0], 3)


# By name: the network, the shape of one sample, its outputs in order, the layers with parameters in order.
NETWORKS = {
    "plain": (plain, (4,), ["first", "norm", "activation", "head"], ["first", "norm", "head"]),
    "branches": (
        branches,
        (4,),
        ["stem", "left", "right", "join", "tanh", "head"],
        ["stem", "left", "right", "head"],
    ),
    "shared": (shared, (4,), ["twice", "between", "twice#2", "head"], ["twice", "head"]),
    "nested": (
        nested,
        (4,),
        ["inner/block/dense", "inner/block/residual/inner", "inner/block/residual", "inner/relu", "head"],
        ["inner/block/dense", "inner/block/residual/inner", "head"],
    ),
    "recurrent": (
        recurrent,
        (5, 4),
        ["distributed", "lstm", "lstm[1]", "lstm[2]", "pool", "both", "head"],
        ["distributed", "lstm", "head"],
    ),
    "subclassed": (subclassed, (4,), ["first", "second"], ["first", "second", "subclassed"]),
}
