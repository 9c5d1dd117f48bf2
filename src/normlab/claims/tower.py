"""A deep network of equal layers whose depth and activation are data of a run: one program trains them all."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import keras
import numpy as np

from normlab.train.blueprint import Blueprint, blueprint

if TYPE_CHECKING:
    from normlab.claims.bench import Bench
    from normlab.norms import Norm
    from normlab.train.loop import RunState
    from normlab.train.population import Population

ACTIVATIONS = {"sigmoid": jax.nn.sigmoid, "tanh": jnp.tanh, "relu": jax.nn.relu}
# Variance of a weight times its layer's inputs: He et al. 2015 for ReLU, LeCun et al. 1998 for the others.
GAINS = {"sigmoid": 1.0, "tanh": 1.0, "relu": 2.0}
# The layer whose output is zero and is added to every hidden output: ∂L/∂(this) is ∂L/∂h_l, (batch, depth, width).
SHIFTS = "shifts"


def tower(bench: Bench, norm: Norm, depth: int, width: int) -> Blueprint:
    """Return the plan of Dense → norm → activation, up to `depth` times, with a head of logits.

    It computes what `models.mlp` of the same widths does, norms before activations. Equal layers run in a loop over
    stacked variables, so that fifty compile as fast as two. Variables `depth` and `activation` say what a run uses.

    Args:
        bench: Its data give input and output.
        norm: Stands in every layer; made for samples of shape (width,).
        depth: Most layers that a run may use.
        width: Units of each.
    """
    # Built here, since variables that a plan's building adds start at zero.
    template = norm(name="norm")
    template.build((None, width))
    has_bias = not norm.cancels_bias

    def build() -> keras.Model:
        inputs = keras.Input(bench.dataset.input_shape, name="input")
        flat = keras.layers.Flatten(name="flatten")(inputs) if len(bench.dataset.input_shape) > 1 else inputs
        first = keras.layers.Dense(width, use_bias=has_bias, kernel_initializer="lecun_normal", name="first")(flat)
        shifts = _Shifts(depth, width, name=SHIFTS)(flat)
        hidden = _Layers(template, depth, has_bias, name="hidden")([first, shifts])
        return keras.Model(inputs, keras.layers.Dense(bench.dataset.num_outputs, name="head")(hidden), name="tower")

    return blueprint(build)


class Runs:
    """Gives each run its depth, activation and scale of weights; groups of runs come in order. For `Bench.train`."""

    def __init__(
        self, depths: Sequence[int], activations: Sequence[str], scales: Sequence[float] | None = None
    ) -> None:
        self.left = list(zip(depths, activations, scales or [1.0] * len(depths), strict=True))

    def __call__(self, program: Population, state: RunState) -> RunState:
        """Return the state with these set, and hidden kernels multiplied by √gain of the activation and the scale."""
        own, self.left = self.left[: program.capacity], self.left[program.capacity :]
        own += [own[-1]] * (program.capacity - len(own))
        names = list(ACTIVATIONS)
        data = {
            "depth": np.array([depth for depth, *_ in own], np.int32),
            "activation": np.array([names.index(activation) for _, activation, _ in own], np.int32),
        }
        factors = np.array([scale * GAINS[activation] ** 0.5 for _, activation, scale in own], np.float32)
        model, paths = program.plan.model, program.plan.paths
        trainable = [
            value * factors.reshape(-1, *[1] * (value.ndim - 1)) if paths[id(v)] in KERNELS else value
            for v, value in zip(model.trainable_variables, state.trainable, strict=True)
        ]
        non_trainable = [
            jax.device_put(data.get(paths[id(v)].removeprefix("hidden/"), value), value.sharding)
            for v, value in zip(model.non_trainable_variables, state.non_trainable, strict=True)
        ]
        return state._replace(trainable=trainable, non_trainable=non_trainable)


KERNELS = ("first/kernel", "hidden/kernel")


class _Shifts(keras.layers.Layer):  # type: ignore[misc]
    """Zeros, (batch, count, width), for any input (batch, ...)."""

    def __init__(self, count: int, width: int, name: str) -> None:
        super().__init__(name=name)
        self.shape = (count, width)

    def call(self, inputs: Any) -> Any:
        return keras.ops.zeros((keras.ops.shape(inputs)[0], *self.shape))


class _Layers(keras.layers.Layer):  # type: ignore[misc]
    """norm → activation on the first Dense's output, then `depth` - 1 times Dense → norm → activation.

    With stacked variables: kernel (depth - 1, width, width), those of the norm (depth, ...).
    """

    def __init__(self, template: keras.layers.Layer, depth: int, has_bias: bool, name: str) -> None:
        super().__init__(name=name)
        # Behind a function, or Keras would take the template's own variables for the network's.
        self.template, self.count, self.has_bias = (lambda: template), depth, has_bias

    def build(self, shapes: Any) -> None:
        width, rest = shapes[0][-1], self.count - 1
        normal = keras.initializers.RandomNormal(stddev=width**-0.5)
        self.kernel = self.add_weight(name="kernel", shape=(rest, width, width), initializer=normal)
        self.bias = self.add_weight(name="bias", shape=(rest, width), initializer="zeros") if self.has_bias else None
        self.depth = self._number("depth")
        self.activation = self._number("activation")
        norm = self.template()
        self.norm_trainable = [self._stacked(v, True) for v in norm.trainable_variables]
        self.norm_state = [self._stacked(v, False) for v in norm.non_trainable_variables]

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Return the last used layer's output, (batch, width), from the first Dense's output and the shifts."""
        z, shifts = inputs
        shifts = jnp.moveaxis(shifts, 1, 0)
        depth, chosen = self.depth.value, self.activation.value
        norms = ([v.value for v in self.norm_trainable], [v.value for v in self.norm_state])
        mode = {"training": training} if "training" in inspect.signature(self.template().call).parameters else {}

        def normed(z: jax.Array, norm: Any, shift: jax.Array) -> tuple[jax.Array, list[jax.Array]]:
            z, after = self.template().stateless_call(*norm, z, **mode)
            values = [activation(z) for activation in ACTIVATIONS.values()]
            return jax.lax.select_n(chosen, *values) + shift, after

        def layer(h: jax.Array, own: Any) -> tuple[jax.Array, list[jax.Array]]:
            number, kernel, bias, norm, shift = own
            z, after = normed(h @ kernel + bias, norm, shift)
            return jnp.where(number < depth, z, h), after

        bias = self.bias.value if self.bias is not None else jnp.zeros(self.count - 1)
        h, first = normed(z, jax.tree.map(lambda value: value[0], norms), shifts[0])
        rest = jax.tree.map(lambda value: value[1:], norms)
        h, others = jax.lax.scan(layer, h, (jnp.arange(1, self.count), self.kernel.value, bias, rest, shifts[1:]))
        for variable, one, stacked in zip(self.norm_state, first, others, strict=True):
            variable.assign(jnp.concatenate([one[None], stacked]))
        return h

    def compute_output_shape(self, shapes: Any) -> Any:
        return shapes[0]

    def _number(self, name: str) -> Any:
        return self.add_weight(name=name, shape=(), initializer="zeros", dtype="int32", trainable=False)

    def _stacked(self, variable: Any, trainable: bool) -> Any:
        value = np.asarray(variable.value)

        def as_the_template(shape: Any, dtype: Any = None) -> Any:
            return np.broadcast_to(value, shape).astype(dtype or value.dtype)

        shape = (self.count, *value.shape)
        return self.add_weight(name=variable.name, shape=shape, initializer=as_the_template, trainable=trainable)
