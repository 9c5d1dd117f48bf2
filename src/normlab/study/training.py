"""Training of one chunk: all arms take turns, epoch by epoch, on the same seeds and orders; records come out."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from normlab.study.cells import Cell, Chunk, run_name
from normlab.study.design import Study
from normlab.study.laboratory import Laboratory

if TYPE_CHECKING:
    from normlab.data import Dataset
    from normlab.train.loop import RunState
    from normlab.train.population import EpochRecord

KEY_COLUMNS = {"run": pl.String, "stage": pl.String, "chunk": pl.Int32, "arm": pl.String, "seed": pl.Int64}
EPOCH_SCHEMA = {
    **KEY_COLUMNS,
    "rate": pl.Float64,
    "batch_size": pl.Int32,
    "epoch": pl.Int32,
    "step": pl.Int64,
    "loss": pl.Float64,
    "accuracy": pl.Float64,
    "val_loss": pl.Float64,
    "val_accuracy": pl.Float64,
    "seconds": pl.Float64,
    "diverged": pl.Boolean,
}
RUN_SCHEMA = {
    **KEY_COLUMNS,
    "rate": pl.Float64,
    "batch_size": pl.Int32,
    "epochs": pl.Int32,
    "step": pl.Int64,
    "loss": pl.Float64,
    "accuracy": pl.Float64,
    "val_loss": pl.Float64,
    "val_accuracy": pl.Float64,
    "test_loss": pl.Float64,
    "test_accuracy": pl.Float64,
    "seconds": pl.Float64,
    "diverged": pl.Boolean,
    "diverged_step": pl.Int64,
    "initial_hash": pl.String,
    "order_hash": pl.String,
}


def ignore_state(arm: str, epoch: int, state: RunState) -> None:
    """Look at no state."""


def train_chunk(
    laboratory: Laboratory,
    study: Study,
    dataset: Dataset,
    chunk: Chunk,
    after_epoch: Callable[[str, int], None],
    observe: Callable[[str, int, RunState], None] = ignore_state,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Train every cell of a chunk in every arm and return the records of its epochs and of its runs.

    Arms take turns epoch by epoch, so that whatever slows the machine for a while slows all of them, and times can be
    compared round by round.

    Args:
        laboratory: The programs.
        study: The study.
        dataset: Its data.
        chunk: The cells.
        after_epoch: Called with the arm's name and the epoch, from 1, when all runs of that arm have finished it.
        observe: Called with the arm's name, the epoch and the state of all its runs, at epoch 0 before the first step
            and after every epoch; no time that it takes is recorded.
    """
    seeds = [cell.seed for cell in chunk.cells]
    orders: list[np.ndarray] = []
    states = {
        arm: population.start(seeds, [cell.rates[arm] for cell in chunk.cells])
        for arm, population in laboratory.populations.items()
    }
    initial = _initial_digests(laboratory, states, seeds)
    seen = {(arm, seed): hashlib.sha256() for arm in states for seed in seeds}
    rows: list[dict[str, Any]] = []
    for arm, state in states.items():
        observe(arm, 0, state)
    for epoch in range(1, study.epochs + 1):
        drawn = {seed: _drawn(study, dataset, seed, epoch - 1) for seed in dict.fromkeys(seeds)}
        orders, *draws = ([drawn[seed][kind] for seed in seeds] for kind in range(len(drawn[seeds[0]])))
        for arm, population in laboratory.populations.items():
            states[arm], record = population.train(states[arm], orders, draws=draws[0] if draws else None)
            for seed, arrays in drawn.items():
                seen[arm, seed].update(b"".join(array.tobytes() for array in arrays))
            rows += _epoch_rows(study, dataset, chunk, arm, epoch, record)
            after_epoch(arm, epoch)
            observe(arm, epoch, states[arm])
    tested = {
        arm: population.test(states[arm], len(seeds), orders) for arm, population in laboratory.populations.items()
    }
    epochs = pl.DataFrame([{k: row[k] for k in EPOCH_SCHEMA} for row in rows], schema=EPOCH_SCHEMA)
    hashes = {key: {"initial_hash": initial[key], "order_hash": sha.hexdigest()} for key, sha in seen.items()}
    return epochs, _run_frame(study, dataset, chunk, rows, tested, hashes)


def _drawn(study: Study, dataset: Dataset, seed: int, epoch: int) -> list[np.ndarray]:
    """Return the order of one seed's samples in an epoch, from 0, and the draws of augmentation where there is one."""
    from normlab.train.augment import epoch_draws
    from normlab.train.order import epoch_order

    num_samples = len(dataset.train)
    order = epoch_order(seed, epoch, num_samples)
    return [order] if study.augment == "none" else [order, epoch_draws(seed, epoch, num_samples, dataset.input_shape)]


def _epoch_rows(
    study: Study, dataset: Dataset, chunk: Chunk, arm: str, epoch: int, record: EpochRecord
) -> list[dict[str, Any]]:
    steps = epoch * math.ceil(len(dataset.train) / study.batch_size)
    has_accuracy = dataset.task == "classification"

    def row(index: int, cell: Cell) -> dict[str, Any]:
        diverged_step = int(record.diverged_step[index])
        return {
            **_key(chunk, arm, cell),
            "batch_size": study.batch_size,
            "epoch": epoch,
            "step": steps,
            "loss": float(record.loss[index]),
            "accuracy": float(record.accuracy[index]) if has_accuracy else None,
            "val_loss": float(record.val_loss[index]),
            "val_accuracy": float(record.val_accuracy[index]) if has_accuracy else None,
            "seconds": record.seconds,
            "diverged": diverged_step > 0,
            "diverged_step": diverged_step or None,
        }

    return [row(index, cell) for index, cell in enumerate(chunk.cells)]


def _initial_digests(laboratory: Laboratory, states: dict[str, Any], seeds: list[int]) -> dict[tuple[str, int], str]:
    """Return, by arm and seed, the hash of the values on the devices that all arms share, before the first step."""
    from normlab.train.initial import run_digest

    digests = {}
    for arm, population in laboratory.populations.items():
        trainable = [np.asarray(values) for values in states[arm].trainable]
        for run, seed in enumerate(seeds):
            digests[arm, seed] = run_digest(population.plan, laboratory.shared_paths, trainable, run)
    return digests


def _run_frame(
    study: Study,
    dataset: Dataset,
    chunk: Chunk,
    rows: list[dict[str, Any]],
    tested: dict[str, Any],
    hashes: dict[tuple[str, int], dict[str, str]],
) -> pl.DataFrame:
    """Return one row per run: its last epoch, its test results, its total seconds, and what proves the pairing."""
    seconds_of: dict[str, float] = {}
    for row in rows:
        seconds_of[row["run"]] = seconds_of.get(row["run"], 0.0) + row["seconds"]
    last = {row["run"]: row for row in rows if row["epoch"] == study.epochs}
    runs = []
    for arm, (losses, accuracies) in tested.items():
        for index, cell in enumerate(chunk.cells):
            row = last[_key(chunk, arm, cell)["run"]]
            runs.append(
                {
                    **row,
                    "epochs": study.epochs,
                    "test_loss": float(losses[index]),
                    "test_accuracy": float(accuracies[index]) if dataset.task == "classification" else None,
                    "seconds": seconds_of[row["run"]],
                    **hashes[arm, cell.seed],
                }
            )
    return pl.DataFrame([{k: run[k] for k in RUN_SCHEMA} for run in runs], schema=RUN_SCHEMA)


def _key(chunk: Chunk, arm: str, cell: Cell) -> dict[str, Any]:
    rate = cell.rates[arm]
    run = run_name(chunk.stage, arm, cell.seed, rate)
    return {"run": run, "stage": chunk.stage, "chunk": chunk.index, "arm": arm, "seed": cell.seed, "rate": rate}
