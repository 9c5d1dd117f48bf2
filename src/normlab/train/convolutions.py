"""Convolutional networks that a CPU computes fast inside loops: axes and sums in the order that its kernels take.

XLA's CPU compiler itself brings a convolution's images into the order (batch, ..., channels) and its kernels into
(..., in, out), but only outside of loops. The gradients of Keras's convolutions come with other orders; in a loop body
they are then compiled as scalar loops. Two 3x3 convolutions on 64 images of 32x32x32 with their gradients: 6.9 s a step
in a `fori_loop` as they come, 0.095 s with the axes in this order, as much as outside (one thread, jax 0.10.2).

Group norm cuts the channels into (groups, channels of a group) and sums over space and the last axis at once, which is
compiled as a scalar loop too. Space first, the few sums of a group after it: a step of ResNet-8 on 64 images of
32x32x3 takes 128 ms in place of 139, 112 without norm (CPU time, medians of 14 alternating calls of 3 steps).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from jax import lax
from jax.extend.core import ClosedJaxpr, Literal

if TYPE_CHECKING:
    import keras

CONVOLUTIONS = (
    *(f"Conv{n}D" for n in (1, 2, 3)),
    *(f"Conv{n}DTranspose" for n in (1, 2, 3)),
    *(f"{kind}Conv{n}D" for kind in ("Depthwise", "Separable") for n in (1, 2)),
)


def convolves_on_cpu(model: keras.Model) -> bool:
    """Return whether computations run on a CPU and a layer of the model, at any depth, convolves."""
    import keras

    kinds = tuple(getattr(keras.layers, name) for name in CONVOLUTIONS)
    layers = model._flatten_layers()
    return jax.default_backend() == "cpu" and any(isinstance(layer, kinds) for layer in layers)


def fast_in_loops(model: keras.Model, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that differentiates a pass through the model, rewritten by `with_plain_axes` where it pays."""
    return with_plain_axes(function) if convolves_on_cpu(model) else function


def with_plain_axes(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function with its convolutions' operands transposed into that order, and group sums in two steps.

    The values are the same up to rounding. What a function computes inside loops of its own stays as it is.
    """

    def rewritten(*arguments: Any) -> Any:
        closed, shape = jax.make_jaxpr(function, return_shape=True)(*arguments)
        outputs = _evaluated(closed, jax.tree.leaves(arguments))
        return jax.tree.unflatten(jax.tree.structure(shape), outputs)

    return rewritten


def _evaluated(closed: ClosedJaxpr, arguments: list[Any]) -> list[Any]:
    """Compute a jaxpr equation by equation."""
    values = dict(zip([*closed.jaxpr.constvars, *closed.jaxpr.invars], [*closed.consts, *arguments], strict=True))

    def value(atom: Any) -> Any:
        return atom.val if isinstance(atom, Literal) else values[atom]

    for equation in closed.jaxpr.eqns:
        inputs = [value(atom) for atom in equation.invars]
        if equation.primitive.name == "conv_general_dilated":
            outputs = [_plain(equation, *inputs)]
        elif equation.primitive.name == "reduce_sum" and _sums_over_groups(equation):
            outputs = [_in_two_steps(equation, *inputs)]
        elif equation.primitive.name in ("jit", "pjit"):
            outputs = _evaluated(equation.params["jaxpr"], inputs)
        else:
            bound = equation.primitive.get_bind_params(equation.params)
            functions, parameters = bound if isinstance(bound, tuple) else ((), bound)  # a tuple before jax 0.10
            found = equation.primitive.bind(*functions, *inputs, **parameters)
            outputs = found if equation.primitive.multiple_results else [found]
        values.update(zip(equation.outvars, outputs, strict=True))
    return [value(atom) for atom in closed.jaxpr.outvars]


def _plain(equation: Any, image: jax.Array, kernel: jax.Array) -> jax.Array:
    """Compute one convolution with images (batch, ..., channels), kernels (..., in, out)."""
    axes = equation.params["dimension_numbers"]
    last = image.ndim - 1
    space = tuple(range(1, last))
    plain = lax.ConvDimensionNumbers((0, last, *space), (last, last - 1, *range(last - 1)), (0, last, *space))
    output = equation.primitive.bind(
        lax.transpose(image, (axes.lhs_spec[0], *axes.lhs_spec[2:], axes.lhs_spec[1])),
        lax.transpose(kernel, (*axes.rhs_spec[2:], axes.rhs_spec[1], axes.rhs_spec[0])),
        **{**equation.params, "dimension_numbers": plain},
    )
    return lax.transpose(output, tuple(np.argsort((axes.out_spec[0], *axes.out_spec[2:], axes.out_spec[1]))))


def _sums_over_groups(equation: Any) -> bool:
    """Return whether a sum runs over the last axis and others, but not over the one before the last: the groups."""
    last = equation.invars[0].aval.ndim - 1
    summed = equation.params["axes"]
    return len(summed) > 1 and last in summed and last - 1 not in summed


def _in_two_steps(equation: Any, x: jax.Array) -> jax.Array:
    """Sum over the last axis after the others; without the barrier XLA would make one sum of the two again."""
    others = tuple(axis for axis in equation.params["axes"] if axis != x.ndim - 1)
    part = lax.optimization_barrier(equation.primitive.bind(x, **{**equation.params, "axes": others}))
    return equation.primitive.bind(part, **{**equation.params, "axes": (part.ndim - 1,)})
