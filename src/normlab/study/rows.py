"""What a study records: one row per run and epoch, one row per run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

from normlab.study.cells import Cell, Chunk, run_name
from normlab.study.design import Study

if TYPE_CHECKING:
    from normlab.data import Dataset
    from normlab.train.epochs import EpochRecord

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
    # The same with recomputed statistics; null where running ones are not what an arm is evaluated with.
    "val_loss_recomputed": pl.Float64,
    "val_accuracy_recomputed": pl.Float64,
    "test_loss_recomputed": pl.Float64,
    "test_accuracy_recomputed": pl.Float64,
    "seconds": pl.Float64,
    "diverged": pl.Boolean,
    "diverged_step": pl.Int64,
    "initial_hash": pl.String,
    "order_hash": pl.String,
    "final_hash": pl.String,
}


def epoch_rows(
    study: Study, dataset: Dataset, chunk: Chunk, records: Mapping[str, Sequence[EpochRecord]]
) -> list[dict[str, Any]]:
    """Return one row per run and epoch, epoch by epoch; see `frame`."""
    rows = []
    for epoch in range(1, study.epochs + 1):
        for arm, of_arm in records.items():
            rows += _epoch_rows(study, dataset, chunk, arm, epoch, of_arm[epoch - 1])
    return rows


def run_rows(
    epochs: Sequence[Mapping[str, Any]],
    tested: Mapping[str, Any],
    hashes: Mapping[str, Sequence[Mapping[str, str]]],
    has_accuracy: bool,
    recomputed: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[dict[str, Any]]:
    """Return one row per run: its last epoch, its test results, its total seconds, and its hashes; see `frame`.

    Args:
        epochs: Of `epoch_rows`.
        tested: By arm, loss and accuracy on the test part, (runs,) each.
        hashes: By arm, for each run, its `initial_hash`, `order_hash` and `final_hash`.
        has_accuracy: Whether the task has one.
        recomputed: By arm that has them, loss and accuracy with recomputed statistics, (runs,) each, on `val` and
            `test`.
    """
    num_epochs = epochs[-1]["epoch"]
    seconds: dict[str, float] = {}
    for row in epochs:
        seconds[row["run"]] = seconds.get(row["run"], 0.0) + row["seconds"]
    runs = []
    for arm, (losses, accuracies) in tested.items():
        last = [row for row in epochs if row["epoch"] == num_epochs and row["arm"] == arm]
        for index, row in enumerate(last):
            measured = {
                "epochs": num_epochs,
                "test_loss": float(losses[index]),
                "test_accuracy": float(accuracies[index]) if has_accuracy else None,
                "seconds": seconds[row["run"]],
            }
            second = _recomputed((recomputed or {}).get(arm), index, has_accuracy)
            runs.append({**row, **measured, **second, **hashes[arm][index]})
    return runs


def _recomputed(scores: Mapping[str, Any] | None, index: int, has_accuracy: bool) -> dict[str, float | None]:
    """Return the columns of one run's second evaluation."""
    columns: dict[str, float | None] = {}
    for part in ("val", "test"):
        loss, accuracy = (None, None) if scores is None else (float(values[index]) for values in scores[part])
        columns[f"{part}_loss_recomputed"] = loss
        columns[f"{part}_accuracy_recomputed"] = accuracy if has_accuracy else None
    return columns


def frame(rows: Sequence[Mapping[str, Any]], schema: Mapping[str, Any]) -> pl.DataFrame:
    """Return rows as a table with the columns of a schema."""
    return pl.DataFrame([{name: row[name] for name in schema} for row in rows], schema=schema)


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


def _key(chunk: Chunk, arm: str, cell: Cell) -> dict[str, Any]:
    rate = cell.rates[arm]
    run = run_name(chunk.stage, arm, cell.seed, rate)
    return {"run": run, "stage": chunk.stage, "chunk": chunk.start, "arm": arm, "seed": cell.seed, "rate": rate}
