"""A pool of real trainings for calibration: many studies of arms that are equal in distribution, or differ by a plant.

A study is another split of the data and seeds of its own. All runs of an arm, at all rates, are one program, and the
data are its arguments: so a few programs train hundreds of studies. Rates below the least one here never come out best
in so few steps, so they are left out. One file per study is kept; a pool that was interrupted goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from shifts import BASELINE, UNITS, shift

from normlab.study.cells import run_name
from normlab.study.seeds import FIRST_TUNING_SEED, MAX_SEEDS, TUNING_SEEDS

if TYPE_CHECKING:
    import keras

    from normlab.data import Dataset
    from normlab.train.population import Population

EPOCHS, BATCH_SIZE = 10, 32
GRID = (0.03, 0.1, 0.3, 1.0)
NUM_DIGITS = 600
CURVES = ("val_loss", "val_accuracy")
# Seeds of a study begin at its number times this, so that no two studies share a run.
SEEDS_APART = 1000


@dataclass(frozen=True)
class Setting:
    """A data set of the pool.

    Attributes:
        beyond: Rates tried beyond `GRID`, where a best rate may lie.
        fresh: Rates at which the seeds reported on are trained; no other has come out as possibly the best.
        units: Of the 16 hidden units, how many an arm keeps; "b" is equal to the baseline, the others are weaker.
    """

    beyond: tuple[float, ...]
    fresh: tuple[float, ...]
    units: Mapping[str, int]


SETTINGS = {
    "wine": Setting((3.0,), (0.1, 0.3, 1.0, 3.0), {BASELINE: 16, "b": 16, "weak": 3, "strong": 2}),
    "digits": Setting((3.0,), (0.1, 0.3, 1.0), {BASELINE: 16, "b": 16, "weak": 12, "strong": 9}),
}


def source(data: str) -> str | tuple[np.ndarray, np.ndarray]:
    """Return what a study is given as its data: wine by name, or the first 600 digits as arrays."""
    from normlab.data import load

    if data == "wine":
        return data
    whole = load("digits")
    x, y = (np.concatenate([getattr(part, axis) for part in whole.parts.values()])[:NUM_DIGITS] for axis in "xy")
    return (x.reshape(len(x), -1) / whole.divisor).astype(np.float32), y


def load_part(data: str, split_seed: int) -> Dataset:
    """Return the data, split anew."""
    from normlab.data import load

    return load(source(data), split_seed=split_seed)


def network(dataset: Dataset, norm: Callable[..., keras.layers.Layer]) -> keras.Model:
    """Return Dense 16, the arm's norm, ReLU, Dense."""
    import keras

    x = keras.Input(dataset.input_shape)
    hidden = norm(name="norm")(keras.layers.Dense(UNITS, name="hidden")(x))
    return keras.Model(x, keras.layers.Dense(dataset.num_outputs, name="head")(keras.layers.ReLU()(hidden)))


def cells_of(data: str) -> tuple[list[int], list[float]]:
    """Return the seeds and rates of all runs of an arm: the search, then the fresh seeds, rate by rate."""
    setting = SETTINGS[data]
    cells = [(FIRST_TUNING_SEED + seed, rate) for rate in (*GRID, *setting.beyond) for seed in range(TUNING_SEEDS)]
    cells += [(seed, rate) for rate in setting.fresh for seed in range(MAX_SEEDS)]
    return [seed for seed, _ in cells], [rate for _, rate in cells]


def train(data: str, num_studies: int, folder: Path, arms: Sequence[str]) -> None:
    """Train the studies that the folder lacks, one file each, named after data and study."""
    from normlab.train.device_data import place
    from normlab.train.devices import run_mesh
    from normlab.train.order import epoch_order

    missing = [study for study in range(num_studies) if not path_of(folder, data, study).exists()]
    if not missing:
        return
    seeds, rates = cells_of(data)
    populations = _populations(data, arms, len(seeds))
    for study in missing:
        dataset = load_part(data, study)
        own = [seed + study * SEEDS_APART for seed in seeds]
        orders = [{s: epoch_order(s, epoch, len(dataset.train)) for s in set(own)} for epoch in range(EPOCHS)]
        found: dict[str, np.ndarray] = {"seeds": np.array(own), "rates": np.array(rates)}
        for arm, population in populations.items():
            population.data = place(dataset.train, dataset.validation, dataset.test, run_mesh())
            state, records = population.start(own, rates), []
            for order in orders:
                state, record = population.train(state, [order[seed] for seed in own])
                records.append(record)
            found |= {f"{arm}/{field}": np.stack([getattr(r, field) for r in records]) for field in CURVES}
            found[f"{arm}/diverged"] = records[-1].diverged_step > 0
            found[f"{arm}/test_loss"], found[f"{arm}/test_accuracy"] = population.test(state, len(own))
        folder.mkdir(parents=True, exist_ok=True)
        np.savez(path_of(folder, data, study), **found)  # type: ignore[arg-type]


def path_of(folder: Path, data: str, study: int) -> Path:
    """Return the file of a study."""
    return folder / f"{data}-{study:04d}.npz"


def tables(path: Path, arms: tuple[str, str]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return epochs and runs of two arms as a study records them; the stage is "tuning" or "report".

    Times are not measured here: every epoch takes a second.
    """
    epochs, runs = [], []
    with np.load(path) as stored:
        seeds, rates = stored["seeds"], stored["rates"]
        stages = np.where(seeds >= FIRST_TUNING_SEED, "tuning", "report")
        for arm in arms:
            key = pl.DataFrame({"arm": arm, "seed": seeds, "rate": rates})
            cells = zip(stages, seeds.tolist(), rates.tolist(), strict=True)
            names = [run_name(stage, arm, seed, rate) for stage, seed, rate in cells]
            key = key.with_columns(run=pl.Series(names), stage=pl.Series(stages), chunk=pl.lit(0, pl.Int32))
            curves = {field: stored[f"{arm}/{field}"].astype(float) for field in CURVES}
            epochs += [
                key.with_columns(
                    **{field: pl.Series(curve[epoch]) for field, curve in curves.items()},
                    epoch=pl.lit(epoch + 1, pl.Int32),
                    step=pl.lit(epoch + 1, pl.Int64),
                    seconds=pl.lit(1.0),
                )
                for epoch in range(EPOCHS)
            ]
            ends = {field: pl.Series(stored[f"{arm}/{field}"]) for field in ("diverged", "test_loss", "test_accuracy")}
            runs.append(epochs[-1].with_columns(**ends, epochs=pl.lit(EPOCHS, pl.Int32)))
    floats = pl.col("test_loss", "test_accuracy").cast(pl.Float64)
    return pl.concat(epochs), pl.concat(runs).with_columns(floats)


def _populations(data: str, arms: Sequence[str], num_runs: int) -> dict[str, Population]:
    from normlab.train.blueprint import blueprint
    from normlab.train.device_data import place
    from normlab.train.devices import run_mesh
    from normlab.train.initial import InitialValues
    from normlab.train.loop import Trainer
    from normlab.train.objective import objective_for
    from normlab.train.optimizers import new_optimizer
    from normlab.train.population import Population

    dataset, values, found = load_part(data, 0), InitialValues(), {}
    placed = place(dataset.train, dataset.validation, dataset.test, run_mesh())
    for arm in arms:
        norm = partial(shift, arm, SETTINGS[data].units[arm])
        plan = blueprint(partial(network, dataset, norm))
        optimizer = new_optimizer("sgd")
        optimizer.build(plan.model.trainable_variables)
        objective = objective_for(dataset.task, dataset.num_outputs, plan.model)
        trainer = Trainer(plan.model, optimizer, objective, BATCH_SIZE, dataset.divisor)
        found[arm] = Population(plan, trainer, placed, num_runs, values, "vmap")
    return found
