"""Memory and arithmetic of one training step: what is kept for the backward pass, parameters, buffers, operations."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from jax.extend import core

from normlab.probes.inside import batch_loss, pass_through, shapes_of_variables
from normlab.train.blueprint import is_generator_state
from normlab.train.loop import scaled

if TYPE_CHECKING:
    from normlab.probes.probe import Layers, Measured
    from normlab.train.loop import RunState, Trainer

QUANTITIES = (
    "saved_bytes",
    "saved_bytes_per_sample",
    "temporary_bytes",
    "parameter_bytes",
    "running_bytes",
    "training_flops",
    "inference_flops",
)


def layers(trainer: Trainer, x: Any) -> Layers:  # noqa: ARG001
    """Return the quantities; each is one of the whole network."""
    return dict.fromkeys(QUANTITIES)


def measure(trainer: Trainer, state: RunState, x: jax.Array, y: jax.Array) -> Measured:  # noqa: ARG001
    """Return what one step on a batch takes, for one run; it depends on shapes alone, so measure an arm once.

        saved_bytes             that JAX hands from the forward to the backward pass; see `saved_for_backward`
        saved_bytes_per_sample  divided by the batch
        temporary_bytes         the compiled gradient's scratch memory at its peak, as XLA plans it on this machine
        parameter_bytes         of trainable variables
        running_bytes           of other variables, such as moving statistics; generators of random numbers left out
        training_flops          of the compiled gradient, as XLA counts: operations on floats, forward and backward
        inference_flops         of the compiled forward pass in evaluation mode

    each a scalar. XLA counts the body of a loop once, however often it runs: with recurrent layers the operations are
    too few. Whatever XLA fuses or computes anew is in `temporary_bytes`, not in `saved_bytes`.

    Cost: two compilations; nothing runs. Call it outside `jit`.

    Args:
        trainer: What is fixed while a run trains.
        state: Not used; the model says the shapes.
        x: Inputs as stored, (batch, ...); only shape and type matter.
        y: Targets, (batch,); likewise.
    """
    trainable, non_trainable = shapes_of_variables(trainer.model)
    batch = [jax.ShapeDtypeStruct(array.shape, array.dtype) for array in (x, y)]

    def loss(parameters: list[Any], others: list[Any], inputs: jax.Array, targets: jax.Array) -> jax.Array:
        return batch_loss(trainer, pass_through(trainer, parameters, others, inputs), targets)

    def infer(parameters: list[Any], others: list[Any], inputs: jax.Array) -> Any:
        scaled_inputs = scaled(inputs, trainer.divisor)
        return trainer.model.stateless_call(parameters, others, scaled_inputs, training=False)[0]

    training = jax.jit(jax.grad(loss)).lower(trainable, non_trainable, *batch).compile()
    inference = jax.jit(infer).lower(trainable, non_trainable, batch[0]).compile()
    saved = saved_for_backward(loss, trainable, non_trainable, *batch)
    buffers = [v for v in trainer.model.non_trainable_variables if not is_generator_state(v)]
    scratch: Any = training.memory_analysis()
    operations: list[Any] = [program.cost_analysis() for program in (training, inference)]
    values = (
        saved,
        saved / len(x),
        scratch.temp_size_in_bytes,
        _bytes(trainable),
        _bytes(jax.ShapeDtypeStruct(tuple(v.shape), v.dtype) for v in buffers),
        *(counted["flops"] for counted in operations),
    )
    return {name: np.float64(value) for name, value in zip(QUANTITIES, values, strict=True)}


def saved_for_backward(loss: Any, parameters: Any, *arguments: Any) -> int:
    """Return the bytes that `jax.vjp` keeps of loss(parameters, *arguments) for ∂loss/∂parameters.

    Counted are the arrays that the forward pass computes and the backward pass reads, before XLA optimizes either.
    Not counted are the arguments themselves (parameters, state, the batch as stored), which are there anyway, and
    arrays that depend on no argument (constants). Each array counts once.
    """

    def kept(own: Any, others: tuple[Any, ...]) -> Any:
        return jax.vjp(lambda at: loss(at, *others), own)[1]

    program = jax.make_jaxpr(kept)(parameters, arguments).jaxpr
    origins = _origins(program, list(program.invars))
    return _bytes(v.aval for v in {v for v in origins if v is not None} - set(program.invars))


def _origins(program: core.Jaxpr, arguments: list[Any]) -> list[Any]:
    """Return which variable each output of a program comes from, looking into functions that are compiled apart.

    Args:
        program: Of JAX.
        arguments: The origin of each of its arguments; None for a constant.

    Returns:
        Per output an argument's origin where it is passed on, the variable where it is computed from an argument, and
        None where it depends on none.
    """
    origin = dict(zip(program.invars, arguments, strict=True))
    for equation in program.eqns:
        inputs = [None if isinstance(v, core.Literal) else origin.get(v) for v in equation.invars]
        if equation.primitive.name in ("jit", "pjit"):  # its name has changed between versions of JAX
            found = _origins(equation.params["jaxpr"].jaxpr, inputs)
        else:
            found = [None if all(one is None for one in inputs) else v for v in equation.outvars]
        origin.update(zip(equation.outvars, found, strict=True))
    return [None if isinstance(v, core.Literal) else origin.get(v) for v in program.outvars]


def _bytes(shapes: Iterable[Any]) -> int:
    return sum(math.prod(one.shape) * np.dtype(one.dtype).itemsize for one in shapes)
