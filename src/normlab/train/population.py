"""Many runs of one arm as one program: runs spread over devices, mapped or vectorized inside each.

This is the one place that adds the axis of runs. Programs are compiled once per shape; learning rates, seeds and
initial values are arguments.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import jax
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from normlab.train.blueprint import Blueprint
from normlab.train.initial import InitialValues
from normlab.train.loop import RunState, Totals, Trainer, evaluate, train_epoch
from normlab.train.optimizers import initial_state
from normlab.train.recompute import evaluation_state

if TYPE_CHECKING:
    from jax.sharding import Mesh

Layout = Literal["map", "vmap"]
PartName = Literal["train", "validation", "test"]

Arrays = tuple[jax.Array, jax.Array]


@dataclass(frozen=True)
class DeviceData:
    """The parts of a data set, as stored, on every device; all arms use the same copy."""

    train: Arrays
    validation: Arrays
    test: Arrays
    mesh: Mesh


def place(train: Any, validation: Any, test: Any, mesh: Mesh) -> DeviceData:
    """Copy three parts (each with `x` and `y`) to all devices of the mesh."""
    everywhere = NamedSharding(mesh, PartitionSpec())
    parts = jax.device_put([(part.x, part.y) for part in (train, validation, test)], everywhere)
    return DeviceData(parts[0], parts[1], parts[2], mesh)


@dataclass(frozen=True)
class EpochRecord:
    """One epoch of all runs: arrays of shape (num_runs,), and the wall time per run trained, padding included."""

    loss: np.ndarray
    accuracy: np.ndarray
    val_loss: np.ndarray
    val_accuracy: np.ndarray
    diverged_step: np.ndarray
    seconds: float


class Population:
    """Up to `capacity` runs of one arm, trained side by side.

    Args:
        plan: The model and its initializers.
        trainer: What is fixed while a run trains; its model is the plan's.
        data: On the devices.
        capacity: Runs side by side, rounded up to a multiple of the number of devices. Fewer runs are padded: what
            the padding computes is dropped.
        values: Draws initial values; one for all arms of a study.
        layout: How runs share a device: one after the other in one program (`map`; best while a network's weights
            fill a core's cache) or vectorized (`vmap`; best for small networks and on GPUs). See `layouts.py`.
    """

    def __init__(
        self,
        plan: Blueprint,
        trainer: Trainer,
        data: DeviceData,
        capacity: int,
        values: InitialValues,
        layout: Layout = "map",
    ) -> None:
        self.plan, self.trainer, self.data, self.layout = plan, trainer, data, layout
        self.capacity = -(-capacity // data.mesh.size) * data.mesh.size
        self.compile_seconds = 0.0
        self.values = values
        self._each = NamedSharding(data.mesh, PartitionSpec("run"))
        self._epoch_program: Callable[..., Any] | None = None
        self._evaluation_programs: dict[str, Callable[..., Any]] = {}

    def start(self, seeds: list[int], rates: list[float]) -> RunState:
        """Return the state of all runs before the first step; run i has `seeds[i]` and `rates[i]`."""
        seeds, rates = self._padded(seeds), self._padded(rates)
        model = self.plan.model
        zeros = np.zeros(len(seeds), np.int32)
        state = RunState(
            self.values.stacked(self.plan, model.trainable_variables, seeds),
            self.values.stacked(self.plan, model.non_trainable_variables, seeds),
            initial_state(self.trainer.optimizer, rates),
            zeros,
            zeros.copy(),
        )
        return jax.device_put(state, self._each)

    def train(
        self,
        state: RunState,
        orders: list[np.ndarray],
        num_batches: int | None = None,
        draws: list[np.ndarray] | None = None,
    ) -> tuple[RunState, EpochRecord]:
        """Train all runs for one epoch; run i sees the training samples in `orders[i]`. The state passed in is used up.

        `draws[i]` is what chance decides about run i's images in this epoch, see `augment`; None without augmentation.
        Compiles at the first call, outside the seconds recorded.
        """
        start = time.perf_counter()
        given = [orders] if draws is None else [orders, draws]
        placed = jax.block_until_ready([jax.device_put(np.stack(self._padded(runs)), self._each) for runs in given])
        placing = time.perf_counter() - start
        count = np.int32(len(orders[0]) // self.trainer.batch_size if num_batches is None else num_batches)
        arguments = (*self.data.train, *self.data.validation, count, state, *placed)
        if self._epoch_program is None:
            self._epoch_program = self._compile(self._epoch, 5, (5,), arguments)
        start = time.perf_counter()
        state, measured = self._epoch_program(*arguments)
        loss, accuracy, val_loss, val_accuracy, diverged = (np.asarray(m)[: len(orders)] for m in measured)
        seconds = (time.perf_counter() - start + placing) / self.capacity
        return state, EpochRecord(loss, accuracy, val_loss, val_accuracy, diverged, seconds)

    def test(
        self, state: RunState, num_runs: int, orders: list[np.ndarray] | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the test loss and accuracy of the first `num_runs` runs; see `evaluate`."""
        return self.evaluate(state, num_runs, "test", orders)

    def evaluate(
        self, state: RunState, num_runs: int, part: PartName, orders: list[np.ndarray] | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the loss and accuracy of the first `num_runs` runs on a part of the data, in evaluation mode.

        Compiles at the first call for the part. `orders` are those of the last epoch; needed only where the trainer
        recomputes statistics, in those batches.
        """
        arguments: tuple[Any, ...] = (self.data.train[0], *getattr(self.data, part), state)
        if self.trainer.recomputes and orders is not None:
            arguments = (*arguments, jax.device_put(np.stack(self._padded(orders)), self._each))
        if part not in self._evaluation_programs:
            self._evaluation_programs[part] = self._compile(self._evaluate, 3, (), arguments)
        loss, accuracy = (np.asarray(m)[:num_runs] for m in self._evaluation_programs[part](*arguments))
        return loss, accuracy

    def compile_measurement(
        self, measure: Callable[[RunState, Any, Any], Any], x: np.ndarray, y: np.ndarray, state: RunState
    ) -> Callable[[RunState], Any]:
        """Compile what is measured of one run on samples that all runs share; returns the function of all runs' states.

        Args:
            measure: From one run's state, inputs and targets to arrays; pure. Each gets an axis of runs, padding too.
            x: Inputs as stored.
            y: Targets.
            state: Of all runs; read only.
        """
        shared = jax.device_put((x, y), NamedSharding(self.data.mesh, PartitionSpec()))
        program = self._compile(lambda x, y, run: measure(run, x, y), 2, (), (*shared, state))
        return lambda now: program(*shared, now)

    def _epoch(
        self, x: Any, y: Any, xv: Any, yv: Any, count: Any, state: RunState, order: Any, draws: Any = None
    ) -> Any:
        state, totals = train_epoch(self.trainer, state, x, y, order, count, draws)
        valid = evaluate(self.trainer, evaluation_state(self.trainer, state, x, order), xv, yv)
        n = len(order)
        return state, (totals.loss / n, totals.hits / n, valid.loss, valid.hits, state.diverged_step)

    def _evaluate(self, x: Any, xe: Any, ye: Any, state: RunState, order: Any = None) -> Totals:
        return evaluate(self.trainer, evaluation_state(self.trainer, state, x, order), xe, ye)

    def _compile(self, one: Callable[..., Any], num_shared: int, donated: tuple[int, ...], arguments: Any) -> Any:
        """Compile `one` run's function for all runs; its first `num_shared` arguments are common to the runs."""

        def on_device(*args: Any) -> Any:
            shared, own = args[:num_shared], args[num_shared:]
            if self.layout == "map":
                return jax.lax.map(lambda run: one(*shared, *run), own)
            return jax.vmap(lambda *run: one(*shared, *run))(*own)

        num_own = len(arguments) - num_shared
        program = jax.shard_map(
            on_device,
            mesh=self.data.mesh,
            in_specs=(PartitionSpec(),) * num_shared + (PartitionSpec("run"),) * num_own,
            out_specs=PartitionSpec("run"),
            check_vma=False,
        )
        start = time.perf_counter()
        compiled = jax.jit(program, donate_argnums=donated).lower(*arguments).compile()
        self.compile_seconds += time.perf_counter() - start
        return compiled

    def _padded(self, items: list[Any]) -> list[Any]:
        """Repeat the last item until the capacity is full."""
        return [*items, *[items[-1]] * (self.capacity - len(items))]
