"""Memory that an accelerator itself reports: what a training step holds there between forward and backward pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from normlab.train.loop import RunState, Trainer

# Reads bytes_in_use and more; None where a device, such as a CPU, counts nothing.
Stats = Callable[[], Mapping[str, int] | None]


def held_bytes(
    trainer: Trainer, state: RunState, x: Any, y: Any, run: int = 0, stats: Stats | None = None
) -> int | None:
    """Return the bytes that the device holds after the forward pass for the backward pass of one run and batch.

    The compiled forward pass returns what `jax.vjp` keeps, and the device is asked before and after how many bytes are
    in use. Unlike `probes.memory.saved_for_backward` this counts what is left once the compiler has fused and dropped
    what it can, in the device's own units of allocation. Parameters and the batch are there before and do not count.

    Args:
        trainer: What is fixed while a run trains.
        state: Of all runs.
        x: Inputs as stored, (batch, ...).
        y: Targets, (batch,).
        run: Which of the runs.
        stats: Reads the device's statistics; default: `memory_stats` of the first device.

    Returns:
        None where the device does not count its memory.
    """
    import jax

    from normlab.probes.inside import batch_loss, pass_through

    stats = stats or jax.local_devices()[0].memory_stats
    if "bytes_in_use" not in (stats() or {}):
        return None

    def forward(parameters: list[Any], others: list[Any], inputs: Any, targets: Any) -> Any:
        return jax.vjp(
            lambda own: batch_loss(trainer, pass_through(trainer, own, others, inputs), targets), parameters
        )[1]

    parameters, others = ([value[run] for value in part] for part in (state.trainable, state.non_trainable))
    arguments = jax.block_until_ready((parameters, others, jax.numpy.asarray(x), jax.numpy.asarray(y)))
    program = jax.jit(forward).lower(*arguments).compile()
    before = _in_use(stats)
    kept = jax.block_until_ready(program(*arguments))
    after = _in_use(stats)
    del kept
    return after - before


def _in_use(stats: Stats) -> int:
    return int((stats() or {})["bytes_in_use"])
