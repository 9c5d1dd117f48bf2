"""One chunk: arms take turns, each epoch in its own order, the same for every arm; every run its own rate."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pytest

from normlab.data import Dataset, Part
from normlab.study.cells import Cell, Chunk, Stage
from normlab.study.design import make_study
from normlab.study.laboratory import Laboratory
from normlab.study.rows import EPOCH_SCHEMA, RUN_SCHEMA
from normlab.study.training import train_chunk
from normlab.train.augment import epoch_draws
from normlab.train.epochs import EpochRecord, EpochUnderWay
from normlab.train.loop import Totals
from normlab.train.order import epoch_order
from normlab.train.turns import turn_order

PART = Part(np.zeros((10, 2), np.float32), np.zeros(10, np.int32))
DATASET = Dataset("d", "classification", PART, PART, PART, ("a", "b"), 1.0, ())
CELLS = (
    Cell(0, {"none": 0.1, "batch": 0.2}),
    Cell(1, {"none": 0.1, "batch": 0.2}),
    Cell(1, {"none": 0.3, "batch": 0.4}),
)


class _State(NamedTuple):
    epoch: int
    trainable: list[np.ndarray]
    non_trainable: tuple[np.ndarray, ...] = ()


class _Noting:
    """A population that trains nothing and notes what it is asked for; its scores are epoch + run / 10."""

    def __init__(self, arm: str, notes: list[tuple[Any, ...]]) -> None:
        self.arm, self.notes, self.capacity = arm, notes, 3
        kernel = object()
        self.plan = SimpleNamespace(paths={id(kernel): "kernel"}, model=SimpleNamespace(trainable_variables=[kernel]))

    def start(self, seeds: list[int], rates: list[float]) -> _State:
        self.notes.append((self.arm, "start", seeds, rates))
        return _State(0, [np.array(seeds, np.float32)])

    def begin(self, orders: list[np.ndarray], draws: list[np.ndarray] | None = None) -> EpochUnderWay:
        self.notes.append((self.arm, "begin", [order.tolist() for order in orders], draws))
        return EpochUnderWay([], 2, 0, Totals(0.0, 0.0), 0.1)

    def warm_up(self, state: _State, epoch: EpochUnderWay) -> _State:
        self.notes.append((self.arm, "warm up"))
        return state

    def advance(self, state: _State, epoch: EpochUnderWay, num_batches: int) -> _State:
        epoch.done += num_batches
        epoch.seconds += 0.2
        return state

    def finish(self, state: _State, epoch: EpochUnderWay, num_runs: int) -> tuple[_State, EpochRecord]:
        scores = state.epoch + 1 + np.arange(num_runs) / 10
        diverged = np.array([0, 0, 4 if state.epoch else 0])
        record = EpochRecord(scores, scores, scores, scores, diverged, epoch.seconds + 0.2)
        return state._replace(epoch=state.epoch + 1), record

    def test(self, state: _State, num_runs: int) -> tuple[np.ndarray, np.ndarray]:
        self.notes.append((self.arm, "test", num_runs))
        return np.full(num_runs, float(state.epoch)), np.arange(num_runs) / 10

    def recomputed(self, state: _State) -> _State:
        return state._replace(epoch=-state.epoch)

    def evaluate(self, state: _State, num_runs: int, part: str) -> tuple[np.ndarray, np.ndarray]:
        assert part == "validation"
        return np.full(num_runs, 10.0 * state.epoch), np.arange(num_runs) / 100


def _trained(
    augment: str = "none", dataset: Dataset = DATASET, stage: Stage = "report", running: Sequence[str] = ()
) -> tuple[list[tuple[Any, ...]], list[tuple[str, int]], pl.DataFrame, pl.DataFrame]:
    notes: list[tuple[Any, ...]] = []
    told: list[tuple[str, int]] = []
    populations: Any = {arm: _Noting(arm, notes) for arm in ("none", "batch")}
    study = make_study({"epochs": 2, "batch_size": 4, "rates": 0.1, "augment": augment})

    statistics: Any = dict.fromkeys(running)
    laboratory = Laboratory(populations, ["kernel"], 3, "map", {}, statistics=statistics)
    chunk = Chunk(stage, 5, CELLS)
    epochs, runs = train_chunk(laboratory, study, dataset, chunk, lambda arm, epoch: told.append((arm, epoch)))
    return notes, told, epochs, runs


def _begun(notes: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return [note for note in notes if note[1] == "begin"]


@pytest.mark.parametrize("number", [0, 1])
def test_turns_are_balanced_over_the_rounds_that_count(number: int) -> None:
    arms = ("a", "b", "c")
    cells = tuple(Cell(seed, dict.fromkeys(arms, 0.1)) for seed in (0, 1))
    study = make_study(
        {"epochs": 7, "batch_size": 4, "rates": 0.1, "arms": [{"norm": "none", "name": a} for a in arms]}
    )
    notes: list[tuple[Any, ...]] = []
    laboratory: Any = Laboratory({arm: _Noting(arm, notes) for arm in arms}, ["kernel"], 3, "map", {})  # type: ignore[dict-item]
    train_chunk(laboratory, study, DATASET, Chunk("report", 5, cells, number), lambda arm, epoch: None)
    turns = [note[0] for note in _begun(notes)]
    rounds = [turns[3 * i : 3 * i + 3] for i in range(1, 7)]  # the first warms up
    assert rounds == [turn_order(arms, 6 * number + i) for i in range(6)]
    for place in range(3):
        assert sorted(order[place] for order in rounds) == sorted([*arms] * 2)


def test_arms_take_turns_on_the_same_orders_and_every_epoch_has_its_own() -> None:
    notes, told, _, _ = _trained()
    assert [note[:2] for note in notes] == [
        ("none", "start"),
        ("batch", "start"),
        *[(arm, what) for arm in ("none", "batch") * 2 for what in ("begin", "warm up")],
        ("none", "test"),
        ("batch", "test"),
    ]
    assert told == [("none", 1), ("batch", 1), ("none", 2), ("batch", 2)]
    for epoch in (0, 1):
        expected = [epoch_order(cell.seed, epoch, 10).tolist() for cell in CELLS]
        for note in _begun(notes)[2 * epoch : 2 * epoch + 2]:
            assert note[2] == expected
            assert note[3] is None


def test_all_arms_see_the_same_augmented_images() -> None:
    images = Part(np.zeros((10, 8, 8), np.uint8), PART.y)
    dataset = dataclasses.replace(DATASET, train=images)
    notes, _, _, runs = _trained("flip-crop", dataset)
    for epoch in (0, 1):
        expected = [epoch_draws(cell.seed, epoch, 10, (8, 8)) for cell in CELLS]
        for note in _begun(notes)[2 * epoch : 2 * epoch + 2]:
            assert np.array_equal(note[3], expected)
    # The hash that proves the pairing covers them: equal in all arms, and another one than without augmentation.
    by_seed = runs.group_by("seed").agg(pl.col("order_hash").unique())
    assert by_seed["order_hash"].list.len().to_list() == [1, 1]
    plain = _trained()[3]
    assert not set(runs["order_hash"]) & set(plain["order_hash"])
    chain = hashlib.sha256()
    for e in (0, 1):
        seen = epoch_order(0, e, 10).tobytes() + epoch_draws(0, e, 10, (8, 8)).tobytes()
        chain = hashlib.sha256(chain.digest() + seen)
    assert runs.filter(pl.col("seed") == 0)["order_hash"][0] == chain.hexdigest()


def test_every_run_starts_from_its_seed_at_its_arms_rate() -> None:
    starts = {note[0]: (note[2], list(note[3:])) for note in _trained()[0] if note[1] == "start"}
    assert starts == {"none": ([0, 1, 1], [[0.1, 0.1, 0.3]]), "batch": ([0, 1, 1], [[0.2, 0.2, 0.4]])}


def test_records_hold_what_was_measured() -> None:
    _, _, epochs, runs = _trained()
    assert dict(epochs.schema) == EPOCH_SCHEMA
    assert dict(runs.schema) == RUN_SCHEMA
    third = epochs.filter(pl.col("run") == "report/batch/0.4/1")
    assert third["loss"].to_list() == [1.2, 2.2]
    assert third["step"].to_list() == [3, 6]  # ten samples in batches of four: three steps, the last one short
    assert third["diverged"].to_list() == [False, True]
    row = runs.filter(pl.col("run") == "report/batch/0.4/1").to_dicts()[0]
    assert (row["chunk"], row["seed"], row["rate"], row["val_loss"]) == (5, 1, 0.4, 2.2)
    assert (row["test_loss"], row["test_accuracy"], row["seconds"]) == (2.0, 0.2, pytest.approx(1.0))
    began = hashlib.sha256(b"kernel" + np.float32(1).tobytes()).hexdigest()
    assert (row["diverged"], row["diverged_step"], row["initial_hash"]) == (True, 4, began)
    assert runs.filter(pl.col("rate") < 0.3)["diverged_step"].null_count() == 4


RECOMPUTED_COLUMNS = [f"{part}_{score}_recomputed" for part in ("val", "test") for score in ("loss", "accuracy")]


def test_an_arm_with_running_statistics_is_evaluated_twice_where_it_is_reported_on() -> None:
    _, _, _, runs = _trained(running=["batch"])
    batch, none = (runs.filter(pl.col("arm") == arm) for arm in ("batch", "none"))
    assert batch["test_loss"].to_list() == [2.0] * 3
    assert batch["test_loss_recomputed"].to_list() == [-2.0] * 3  # of the state with recomputed statistics
    assert batch["test_accuracy_recomputed"].to_list() == [0.0, 0.1, 0.2]
    assert batch["val_loss_recomputed"].to_list() == [-20.0] * 3
    assert batch["val_accuracy_recomputed"].to_list() == [0.0, 0.01, 0.02]
    assert none.select(RECOMPUTED_COLUMNS).null_count().row(0) == (3,) * 4
    tuning = _trained(running=["batch"], stage="tuning")[3]
    assert tuning.select(RECOMPUTED_COLUMNS).null_count().row(0) == (6,) * 4


def test_a_second_evaluation_of_regression_has_no_accuracy() -> None:
    runs = _trained(dataset=dataclasses.replace(DATASET, task="regression"), running=["batch"])[3]
    batch = runs.filter(pl.col("arm") == "batch")
    assert batch["test_loss_recomputed"].to_list() == [-2.0] * 3
    assert batch["test_accuracy_recomputed"].null_count() == 3


def test_a_divergence_after_many_rows_is_recorded() -> None:
    """A hundred rows without one must not settle what type the column has."""
    notes: list[tuple[Any, ...]] = []
    study = make_study({"epochs": 60, "batch_size": 4, "rates": 0.1})
    laboratory = Laboratory({arm: _Late(arm, notes) for arm in ("none", "batch")}, ["kernel"], 3, "map", {})  # type: ignore[dict-item]
    _, runs = train_chunk(laboratory, study, DATASET, Chunk("report", 5, CELLS), lambda arm, epoch: None)
    assert runs["diverged_step"].to_list() == [None, None, 177] * 2


class _Late(_Noting):
    def finish(self, state: _State, epoch: EpochUnderWay, num_runs: int) -> tuple[_State, EpochRecord]:
        after, record = super().finish(state, epoch, num_runs)
        late = 177 if state.epoch == 59 else 0
        return after, dataclasses.replace(record, diverged_step=np.array([0, 0, late]))
