"""Probes in a study: what is measured inside every run reported on, before the first epoch and after each."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from normlab.errors import InputError
from normlab.probes.probe import Layers, Row, rows
from normlab.probes.table import PROBES
from normlab.seeding import generator
from normlab.study.cells import Chunk, run_name
from normlab.study.design import Study
from normlab.study.laboratory import Laboratory, trainer_of

if TYPE_CHECKING:
    from normlab.data import Dataset
    from normlab.train.blueprint import Blueprint
    from normlab.train.loop import RunState, Trainer

# Two batches are the fewest that every probe can work on: `companions` and `statistics-gap` compare batches.
PROBE_BATCHES = 2
PROBE_SCHEMA = {
    "run": pl.String,
    "epoch": pl.Int32,
    "probe": pl.String,
    "layer": pl.String,
    "quantity": pl.String,
    "value": pl.Float64,
}


def probe_batch(study: Study, dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Return the samples that probes measure on: inputs and targets, the same for all arms, seeds and epochs.

    Two batches of the training part, or all of it where it has fewer, drawn once: (split seed, "probe batch").
    """
    part = dataset.train
    number = min(PROBE_BATCHES * study.batch_size, len(part))
    chosen = np.sort(generator(study.split_seed, "probe batch").choice(len(part), number, replace=False))
    return part.x[chosen], part.y[chosen]


def require_measurable(study: Study, dataset: Dataset, plans: Mapping[str, Blueprint]) -> None:
    """Raise the probe's own `InputError`, with the arms, where it has nothing to measure in any arm of the study."""
    x, _ = probe_batch(study, dataset)
    for name in study.probes:
        trainers = (trainer_of(study, dataset, arm, plans[arm.name]) for arm in study.arms)
        refusals = [refusal for trainer in trainers if (refusal := _layers_of(name, trainer, x)[1]) is not None]
        if len(refusals) == len(study.arms):
            arms = ", ".join(arm.name for arm in study.arms)
            first = refusals[0]
            raise InputError(first.rule, f"{first.received} (in each of the arms {arms})", first.action)


def _layers_of(name: str, trainer: Trainer, x: np.ndarray) -> tuple[Layers | None, InputError | None]:
    """Return what a probe measures where in a model, or why it has nothing to measure."""
    try:
        return PROBES[name].load().layers(trainer, x), None
    except InputError as error:
        return None, error


class Probing:
    """The probes of a study, each compiled once per arm; what they take is kept apart from training.

    A probe that is the same for all runs of an arm is measured once, and stands at epoch 0 alone. An arm in which a
    probe has nothing to measure has no rows of it.

    Attributes:
        seconds: Wall time of measuring so far, without compiling.
        compile_seconds: Of compiling so far.
    """

    def __init__(self, study: Study, dataset: Dataset, laboratory: Laboratory) -> None:
        self.study, self.laboratory = study, laboratory
        self.x, self.y = probe_batch(study, dataset)
        self.seconds = self.compile_seconds = 0.0
        self._layers: dict[tuple[str, str], Layers | None] = {}
        self._programs: dict[tuple[str, str], Callable[[RunState], Any]] = {}
        self._of_arm: dict[tuple[str, str], Any] = {}
        self._rows: list[Row] = []

    def observer(self, chunk: Chunk) -> Callable[[str, int, RunState], None]:
        """Return what measures all runs of a chunk: called with the arm, the epoch and their state."""
        self._rows = []

        def observe(arm: str, epoch: int, state: RunState) -> None:
            for name in self.study.probes:
                self._observe(chunk, arm, name, epoch, state)

        return observe

    def resume(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Take up what was measured of a chunk before it was left; called after its observer was asked for."""
        self._rows = [Row(*row) for row in rows]

    def taken(self) -> pl.DataFrame:
        """Return what was measured since the last observer was asked for: a row per run, epoch, layer and quantity."""
        return pl.DataFrame(self._rows, schema=PROBE_SCHEMA, orient="row")

    def _observe(self, chunk: Chunk, arm: str, name: str, epoch: int, state: RunState) -> None:
        is_shared = PROBES[name].per == "arm"
        layers = self._layers_in(arm, name)
        if layers is None or (is_shared and epoch > 0):
            return
        measured = self._measured_once(arm, name, state) if is_shared else self._measured(arm, name, state)
        layer_names = self.laboratory.populations[arm].plan.names
        for index, cell in enumerate(chunk.cells):
            own = measured if is_shared else {quantity: values[index] for quantity, values in measured.items()}
            run = run_name(chunk.stage, arm, cell.seed, cell.rates[arm])
            self._rows += rows(run, epoch, name, layers, own, layer_names)

    def _layers_in(self, arm: str, name: str) -> Layers | None:
        if (arm, name) not in self._layers:
            self._layers[arm, name], _ = _layers_of(name, self.laboratory.populations[arm].trainer, self.x)
        return self._layers[arm, name]

    def _measured(self, arm: str, name: str, state: RunState) -> dict[str, np.ndarray]:
        """Measure all runs of an arm: arrays of shape (runs, ...)."""
        if (arm, name) not in self._programs:
            population, functions = self.laboratory.populations[arm], PROBES[name].load()
            trainer, before = population.trainer, population.compile_seconds
            self._programs[arm, name] = population.compile_measurement(
                lambda run, x, y: functions.measure(trainer, run, x, y), self.x, self.y, state
            )
            self.compile_seconds += population.compile_seconds - before
        start = time.perf_counter()
        measured = {quantity: np.asarray(values) for quantity, values in self._programs[arm, name](state).items()}
        self.seconds += time.perf_counter() - start
        return measured

    def _measured_once(self, arm: str, name: str, state: RunState) -> dict[str, Any]:
        """Measure an arm where all its runs are alike."""
        if (arm, name) not in self._of_arm:
            import jax

            trainer, functions = self.laboratory.populations[arm].trainer, PROBES[name].load()
            start = time.perf_counter()
            first = jax.tree.map(lambda leaf: leaf[0], state)
            self._of_arm[arm, name] = functions.measure(trainer, first, self.x, self.y)
            self.seconds += time.perf_counter() - start
        return self._of_arm[arm, name]


def seconds_spent(laboratory: Laboratory, probing: Probing | None) -> dict[str, float]:
    """Return the seconds that a study's summary keeps apart from training: compiling, probes."""
    seconds = {"compile_seconds": laboratory.compile_seconds}
    if probing is not None:
        seconds |= {"probe_seconds": probing.seconds, "probe_compile_seconds": probing.compile_seconds}
    return seconds
