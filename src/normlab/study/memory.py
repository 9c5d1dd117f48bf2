"""How many runs fit into memory: estimated from shapes before anything is compiled, then checked."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from normlab.errors import InputError
from normlab.study.design import Study

if TYPE_CHECKING:
    from normlab.train.blueprint import Blueprint

FLOAT_BYTES = 4
_RULE = "--max-memory must hold the parameters of the network"
# Moments that an optimizer keeps of every parameter.
MOMENTS = {"sgd": 0, "momentum": 1, "adam": 2, "adamw": 2}


class OutOfMemoryError(Exception):
    """A chunk does not fit; half of it may.

    Args:
        needed: What needs too much, in words, with the bytes where they are known.
    """

    def __init__(self, needed: str) -> None:
        self.needed = needed
        super().__init__(needed)


def parameter_bytes(plan: Blueprint) -> int:
    """Return the bytes of one run's variables; its gradients need about as many."""
    return FLOAT_BYTES * _num_values(plan)


def state_bytes(study: Study, plan: Blueprint) -> int:
    """Return the bytes of one run's variables and the optimizer's moments, all float32."""
    return (1 + MOMENTS[study.optimizer]) * parameter_bytes(plan)


def working_bytes(study: Study, plan: Blueprint) -> int:
    """Estimate the bytes that one run needs while it trains or is evaluated, besides its state.

    Training keeps the gradients, and every layer's output for the backward pass and its gradient; an evaluation keeps
    the largest layer's input and output, of more samples.
    """
    from normlab.train.loop import EVALUATION_BATCH

    outputs = [_num_outputs(layer) for layer in plan.model._flatten_layers()]
    training = 2 * study.batch_size * sum(outputs)
    evaluation = 2 * EVALUATION_BATCH * max(outputs, default=0)
    return FLOAT_BYTES * (_num_values(plan) + max(training, evaluation))


def largest_chunk(study: Study, plans: Mapping[str, Blueprint], budget_bytes: int, side_by_side: int | None) -> int:
    """Return how many runs of every arm fit into a budget, by the estimate; 0 if not even one does.

    All arms keep their states, one trains at a time.

    Args:
        study: The study.
        plans: Every arm's model.
        budget_bytes: For the runs, without the data and the programs.
        side_by_side: How many runs train at the same moment where they are mapped; None where all do.
    """
    states = sum(state_bytes(study, plan) for plan in plans.values())
    working = max(working_bytes(study, plan) for plan in plans.values())
    if side_by_side is None:
        return budget_bytes // (states + working)
    return max(0, budget_bytes - side_by_side * working) // states


def halved(chunk_runs: int, num_devices: int, needed: str) -> int:
    """Return half a chunk's runs, a multiple of the devices; raise `InputError` where that is less than one each."""
    if chunk_runs <= num_devices:
        action = "give more memory, or choose a smaller network or batch size"
        raise InputError("memory must hold one run of every arm per device", needed, action)
    return max(num_devices, chunk_runs // 2 // num_devices * num_devices)


@contextmanager
def bounded_parameters(memory_bytes: int | None) -> Iterator[None]:
    """Refuse models whose parameters do not fit into memory, before their values are created.

    Counts what the layers built inside the block add, in float32.

    Args:
        memory_bytes: The most that may be used; None for all that the machine has.

    Raises:
        InputError: As soon as the parameters, together, need more.
    """
    import keras
    import psutil

    most = psutil.virtual_memory().total if memory_bytes is None else memory_bytes
    original, count = keras.layers.Layer.add_weight, 0

    def add_weight(self: Any, shape: Any = None, *positional: Any, **options: Any) -> Any:
        nonlocal count
        count += math.prod(shape or ())
        if FLOAT_BYTES * count > most:
            rule = "memory must hold the parameters of the network" if memory_bytes is None else _RULE
            received = (
                f"at least {count:,} parameters ({FLOAT_BYTES * count / 2**30:,.1f} GiB) for {most / 2**30:,.1f} GiB"
            )
            raise InputError(rule, received, "choose a smaller network, or give more memory")
        return original(self, shape, *positional, **options)

    keras.layers.Layer.add_weight = add_weight
    try:
        yield
    finally:
        keras.layers.Layer.add_weight = original


def process_bytes() -> int:
    """Return the memory that this process occupies now."""
    import psutil

    return int(psutil.Process().memory_info().rss)


@contextmanager
def noticing_lack() -> Iterator[None]:
    """Turn what Python, NumPy or JAX raise when memory is used up into `OutOfMemoryError`."""
    import jax

    try:
        yield
    except (MemoryError, jax.errors.JaxRuntimeError) as error:
        if not isinstance(error, MemoryError) and "RESOURCE_EXHAUSTED" not in str(error):
            raise
        raise OutOfMemoryError(str(error).splitlines()[0] if str(error) else "training") from error


def require_room(limit_bytes: int, program_bytes: int, what: str) -> None:
    """Raise `OutOfMemoryError` if what is in use and a program's own memory exceed the limit together.

    On a CPU the process is counted; elsewhere the device that uses most.

    Args:
        limit_bytes: The limit.
        program_bytes: What a program needs besides its arguments, on one device.
        what: The program, in words.
    """
    import jax

    devices = jax.local_devices()
    if devices[0].platform == "cpu":
        needed = process_bytes() + len(devices) * program_bytes
    else:
        in_use = [(device.memory_stats() or {}).get("bytes_in_use", 0) for device in devices]
        needed = max(in_use) + program_bytes
    if needed > limit_bytes:
        raise OutOfMemoryError(f"{what} needs {needed:,} bytes with all that is in memory, of {limit_bytes:,}")


def _num_values(plan: Blueprint) -> int:
    return sum(math.prod(variable.shape) for variable in plan.model.variables)


def _num_outputs(layer: object) -> int:
    """Return the numbers in a layer's output for one sample; 0 where that is not known."""
    try:
        shape = layer.output.shape  # type: ignore[attr-defined]
    except (AttributeError, ValueError):  # a layer that was called several times, or never by itself
        return 0
    return math.prod(size for size in shape[1:] if size is not None)
