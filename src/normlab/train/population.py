"""Many runs of one arm as one program: runs spread over devices, mapped or vectorized inside each.

This is the one place that adds the axis of runs. Programs are compiled once per shape; learning rates, seeds and
initial values are arguments.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Literal

import jax
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from normlab.train.blueprint import Blueprint
from normlab.train.device_data import DeviceData
from normlab.train.devices import narrowing_integers
from normlab.train.epochs import EpochRecord, EpochUnderWay
from normlab.train.initial import InitialValues
from normlab.train.loop import RunState, Totals, Trainer, evaluate, train_batches, train_rest
from normlab.train.optimizers import initial_state
from normlab.train.recompute import evaluation_state, recomputed_state
from normlab.train.turns import WARM_BATCHES

Layout = Literal["map", "vmap"]
PartName = Literal["train", "validation", "test"]


def admit_all(program_bytes: int) -> None:
    """Let every program run."""


class Population:
    """Up to `capacity` runs of one arm, trained side by side.

    Args:
        plan: The model and its initializers.
        trainer: What is fixed while a run trains; its model is the plan's.
        data: On the devices.
        capacity: Runs side by side, rounded up to a multiple of the number of devices. Fewer runs are padded: what
            the padding computes is dropped.
        values: Draws initial values; one for all arms of a study.
        admit: Called with what a new program needs besides its arguments, in bytes on one device, before it first runs;
            what it raises goes to the caller.
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
        admit: Callable[[int], None] = admit_all,
    ) -> None:
        self.plan, self.trainer, self.data, self.layout = plan, trainer, data, layout
        self.capacity = -(-capacity // data.mesh.size) * data.mesh.size
        self.compile_seconds = 0.0
        self.values, self.admit = values, admit
        self._each = NamedSharding(data.mesh, PartitionSpec("run"))
        self._batches_program: Callable[..., Any] | None = None
        # With validation and without: a program of a study is of one kind, so that neither is compiled for nothing.
        self._end_programs: dict[bool, Callable[..., Any]] = {}
        self._evaluation_programs: dict[str, Callable[..., Any]] = {}
        self._recomputation_program: Callable[..., Any] | None = None

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
        return self.place(state)

    def place(self, values: Any) -> Any:
        """Put values of all runs, arrays of shape (capacity, ...), on the devices that train them."""
        return jax.device_put(values, self._each)

    def train(
        self,
        state: RunState,
        orders: list[np.ndarray],
        num_batches: int | None = None,
        draws: list[np.ndarray] | None = None,
        *,
        validate: bool = True,
    ) -> tuple[RunState, EpochRecord]:
        """Train all runs for one epoch, without a pause; see `begin` and `finish`. The state passed in is used up.

        Compiles at the first call, outside the seconds recorded.
        """
        epoch = self.begin(orders, draws, num_batches)
        state = self.advance(state, epoch, epoch.num_batches)
        return self.finish(state, epoch, len(orders), validate=validate)

    def begin(
        self, orders: list[np.ndarray], draws: list[np.ndarray] | None = None, num_batches: int | None = None
    ) -> EpochUnderWay:
        """Return an epoch of which nothing is trained yet.

        Args:
            orders: Run i sees the training samples in `orders[i]`.
            draws: What chance decides about run i's images in this epoch, see `augment`; None without augmentation.
            num_batches: Full batches; default: all.
        """
        given = [orders] if draws is None else [orders, draws]
        placed = jax.block_until_ready([jax.device_put(np.stack(self._padded(runs)), self._each) for runs in given])
        zeros = np.zeros(self.capacity, np.float32)
        totals = self.place(Totals(zeros, zeros.copy()))
        count = len(orders[0]) // self.trainer.batch_size if num_batches is None else num_batches
        return EpochUnderWay(placed, count, 0, jax.block_until_ready(totals))

    def warm_up(self, state: RunState, epoch: EpochUnderWay) -> RunState:
        """Train on the first batches of a turn outside the clock, and leave at least one to be timed; see `advance`."""
        left = epoch.num_batches - epoch.done
        return self.advance(state, epoch, min(WARM_BATCHES, left - 1), is_timed=False) if left else state

    def advance(self, state: RunState, epoch: EpochUnderWay, num_batches: int, *, is_timed: bool = True) -> RunState:
        """Train all runs on the next full batches of an epoch. The state passed in, and the epoch's sums, are used up.

        However an epoch is cut into calls, timed or not, the results are the same to the bit.
        """
        end = min(epoch.done + num_batches, epoch.num_batches)
        arguments = (*self.data.train, np.int32(epoch.done), np.int32(end), (state, epoch.totals), *epoch.placed)
        if self._batches_program is None:
            self._batches_program = self._compile(self._batches, 4, (4,), arguments)
        start = time.perf_counter()
        state, totals = jax.block_until_ready(self._batches_program(*arguments))
        seconds = time.perf_counter() - start
        if is_timed:
            epoch.seconds += seconds / self.capacity
            epoch.timed += end - epoch.done
        epoch.totals, epoch.done = totals, end
        return state

    def finish(
        self, state: RunState, epoch: EpochUnderWay, num_runs: int, *, validate: bool = True
    ) -> tuple[RunState, EpochRecord]:
        """Train all runs on an epoch's last, short batch, and evaluate them on the validation part.

        The state passed in, and the epoch's sums, are used up. The record is of the first `num_runs` runs. Where nobody
        reads their validation, `validate=False` leaves it out: it is NaN then. The runs are the same to the bit, or
        where there is a short last batch, whose step is then compiled apart, to rounding.
        """
        validation = self.data.validation if validate else ()
        arguments = (*self.data.train, *validation, (state, epoch.totals), *epoch.placed)
        if validate not in self._end_programs:
            end = self._end if validate else self._end_without_validation
            shared = len(arguments) - 1 - len(epoch.placed)
            self._end_programs[validate] = self._compile(end, shared, (shared,), arguments)
        start = time.perf_counter()
        state, measured = jax.block_until_ready(self._end_programs[validate](*arguments))
        seconds = epoch.estimated_seconds + (time.perf_counter() - start) / self.capacity
        loss, accuracy, val_loss, val_accuracy, diverged = (np.asarray(m)[:num_runs] for m in measured)
        return state, EpochRecord(loss, accuracy, val_loss, val_accuracy, diverged, seconds)

    def test(self, state: RunState, num_runs: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the test loss and accuracy of the first `num_runs` runs; see `evaluate`."""
        return self.evaluate(state, num_runs, "test")

    def evaluate(self, state: RunState, num_runs: int, part: PartName) -> tuple[np.ndarray, np.ndarray]:
        """Return the loss and accuracy of the first `num_runs` runs on a part of the data, in evaluation mode.

        Compiles at the first call for the part.
        """
        arguments = (self.data.train[0], *getattr(self.data, part), state)
        if part not in self._evaluation_programs:
            self._evaluation_programs[part] = self._compile(self._evaluate, 3, (), arguments)
        loss, accuracy = (np.asarray(m)[:num_runs] for m in self._evaluation_programs[part](*arguments))
        return loss, accuracy

    def recomputed(self, state: RunState) -> RunState:
        """Return the state of all runs with statistics recomputed over the training part; see `recompute`.

        Compiles at the first call.

        Raises:
            InputError: If no layer of the model keeps running statistics.
        """
        arguments = (self.data.train[0], state)
        if self._recomputation_program is None:
            self._recomputation_program = self._compile(self._recomputed, 1, (), arguments)
        return state._replace(non_trainable=self._recomputation_program(*arguments))

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

    def _batches(self, x: Any, y: Any, first: Any, end: Any, carry: Any, order: Any, draws: Any = None) -> Any:
        return train_batches(self.trainer, carry, x, y, order, first, end, draws)

    def _end(self, x: Any, y: Any, xv: Any, yv: Any, carry: Any, order: Any, draws: Any = None) -> Any:
        state, totals = train_rest(self.trainer, carry, x, y, order, draws)
        valid = evaluate(self.trainer, evaluation_state(self.trainer, state, x), xv, yv)
        n = len(order)
        return state, (totals.loss / n, totals.hits / n, valid.loss, valid.hits, state.diverged_step)

    def _end_without_validation(self, x: Any, y: Any, carry: Any, order: Any, draws: Any = None) -> Any:
        state, totals = train_rest(self.trainer, carry, x, y, order, draws)
        n, unknown = len(order), np.float32(np.nan)
        return state, (totals.loss / n, totals.hits / n, unknown, unknown, state.diverged_step)

    def _evaluate(self, x: Any, xe: Any, ye: Any, state: RunState) -> Totals:
        return evaluate(self.trainer, evaluation_state(self.trainer, state, x), xe, ye)

    def _recomputed(self, x: Any, state: RunState) -> list[Any]:
        return recomputed_state(self.trainer, state, x).non_trainable

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
        with narrowing_integers():
            compiled = jax.jit(program, donate_argnums=donated).lower(*arguments).compile()
        self.compile_seconds += time.perf_counter() - start
        memory = compiled.memory_analysis()
        if memory is not None:  # not every kind of device tells
            taken = memory.temp_size_in_bytes + memory.output_size_in_bytes - memory.alias_size_in_bytes
            self.admit(max(taken, 0))
        return compiled

    def _padded(self, items: list[Any]) -> list[Any]:
        """Repeat the last item until the capacity is full."""
        return [*items, *[items[-1]] * (self.capacity - len(items))]
