"""A study from start to finish: load, check, tune, train, record, sum up."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import polars as pl

from normlab.version import __version__
from normlab.errors import InputError
from normlab.study import store as names
from normlab.study.cells import Cell, Chunk, Stage, chunks, report_cells, tuning_cells
from normlab.study.design import Study
from normlab.study.example import first_batch_example
from normlab.study.laboratory import Laboratory, ModelBuilder, set_up
from normlab.study.metrics import with_outcomes
from normlab.study.provenance import code_sha256, machine, versions
from normlab.study.rates import RULE, Choice, choose_rates
from normlab.study.store import Store
from normlab.study.summary import Evidence, area_over_rates, by_arm, by_rate, comparisons
from normlab.study.target import set_target
from normlab.study.training import train_chunk

if TYPE_CHECKING:
    from normlab.data import Dataset


@dataclass(frozen=True)
class Progress:
    """How far a study has come: counts of runs, and of runs times epochs."""

    stage: Stage
    arm: str
    epoch: int
    runs_done: int
    runs_total: int
    run_epochs_done: int
    run_epochs_total: int


class Interrupted(KeyboardInterrupt):
    """Ctrl-C in a study: what was complete is in its folder."""

    def __init__(self, runs_done: int, runs_total: int) -> None:
        self.runs_done, self.runs_total = runs_done, runs_total
        super().__init__(f"{runs_done} of {runs_total} runs are complete")


def execute(
    study: Study,
    dataset: Dataset,
    build_model: ModelBuilder,
    store: Store,
    *,
    model_sha256: str = "",
    watch: Callable[[Progress], None] = lambda progress: None,
) -> dict[str, Any]:
    """Run a study in its folder and return its summary; a study already complete there is not run again.

    Args:
        study: What to do.
        dataset: The data.
        build_model: From an arm to its Keras model.
        store: The folder.
        model_sha256: Hash of the user's model function, where there is one.
        watch: Called after every epoch of every arm.

    Raises:
        InputError: If study, data, model or folder break a rule; before anything is trained.
        Interrupted: On Ctrl-C, after the records of complete chunks were written.
    """
    started = time.perf_counter()
    check(study, dataset)
    about_data = _about(dataset)
    settings = study.model_dump(mode="json", exclude={"data_dir"}) | {"model_sha256": model_sha256}
    identity = {"study": settings, "data": about_data, "code_sha256": code_sha256()}
    about = {"normlab": __version__, "versions": versions(), "machine": machine(), "started": _now()}
    store.open(identity, about)
    finished = store.read_json(names.SUMMARY)
    if finished:
        return finished
    recorded = store.read_json(names.ENGINE)
    laboratory = set_up(study, dataset, build_model, recorded)
    if not recorded:
        store.write_json(names.ENGINE, _engine(laboratory))
    steps = _Steps(study, dataset, laboratory, store, watch)
    try:
        summary = steps.all_stages()
    except KeyboardInterrupt:
        done = steps.write_records()
        raise Interrupted(done, steps.runs_total) from None
    summary["timing"] = {
        "total_seconds": time.perf_counter() - started,
        "compile_seconds": laboratory.compile_seconds,
        "layout": laboratory.layout,
        "devices": len(about["machine"]["devices"]),  # type: ignore[index]
        "runs": steps.runs_total,
    }
    store.write_json(names.EXAMPLE, first_batch_example(study, dataset))
    store.write_json(names.SUMMARY, summary)
    return summary


def check(study: Study, dataset: Dataset) -> None:
    """Raise `InputError` where a study can't be run on its data."""
    num_samples = len(dataset.train)
    if study.batch_size > num_samples:
        raise InputError(
            f"batch size must be at most the {num_samples} samples of the training part",
            study.batch_size,
            "choose a smaller --batch-size",
        )
    rest = num_samples % study.batch_size
    with_batch = [arm.name for arm in study.arms if arm.norm == "batch"]
    if with_batch and 1 in (rest, study.batch_size):
        what = "a batch of one" if study.batch_size == 1 else f"a last batch of one ({num_samples} samples)"
        raise InputError(
            f"batch norm (arm {with_batch[0]}) needs at least two samples in every training batch: over one it gives "
            "beta whatever the input",
            f"batch size {study.batch_size} with {what}",
            f"choose another --batch-size, such as {_batch_size_without_single(num_samples, study.batch_size)}",
        )
    if study.reach is not None and dataset.task == "classification" and study.reach > 1:
        raise InputError("reach must be an accuracy of at most 1", study.reach, "give a share such as 0.95")


def _batch_size_without_single(num_samples: int, near: int) -> int:
    sizes = [size for size in range(2, num_samples + 1) if num_samples % size != 1]
    return min(sizes, key=lambda size: abs(size - near), default=num_samples)


class _Steps:
    """The stages of one study in order; holds what they share."""

    def __init__(
        self,
        study: Study,
        dataset: Dataset,
        laboratory: Laboratory,
        store: Store,
        watch: Callable[[Progress], None],
    ) -> None:
        self.study, self.dataset, self.laboratory, self.store, self.watch = study, dataset, laboratory, store, watch
        self.num_arms = len(study.arms)
        num_report = len(report_cells(study, {} if study.tuned else None))
        self.runs_total = self.num_arms * (len(tuning_cells(study)) + num_report)
        self.runs_done = 0

    def all_stages(self) -> dict[str, Any]:
        """Tune where asked, train the runs reported on, and sum up."""
        chosen: dict[str, Choice] | None = None
        if self.study.tuned:
            tuning = self._stage("tuning", tuning_cells(self.study))
            chosen = choose_rates(tuning, self.dataset.task)
        rates = {arm: choice.rate for arm, choice in chosen.items()} if chosen else None
        self._stage("report", report_cells(self.study, rates))
        return self._sum_up(chosen)

    def write_records(self) -> int:
        """Write the records of all complete chunks; return how many runs they hold."""
        epochs, runs = self.store.read_parts()
        if len(runs):
            self.store.write_frame(names.EPOCHS, epochs)
            self.store.write_frame(names.RUNS, runs)
        return len(runs)

    def _stage(self, stage: Stage, cells: list[Cell]) -> pl.DataFrame:
        for chunk in chunks(stage, cells, self.laboratory.chunk_runs):
            if not self.store.has(chunk):
                epochs, runs = train_chunk(self.laboratory, self.study, self.dataset, chunk, self._after_epoch(chunk))
                self.store.write_chunk(chunk, epochs, runs)
            self.runs_done += len(chunk.cells) * self.num_arms
        _, runs = self.store.read_parts()
        return runs.filter(pl.col("stage") == stage)

    def _after_epoch(self, chunk: Chunk) -> Callable[[str, int], None]:
        num_epochs = self.study.epochs
        done = self.runs_done * num_epochs

        def tell(arm: str, epoch: int) -> None:
            nonlocal done
            done += len(chunk.cells)
            total = self.runs_total
            self.watch(Progress(chunk.stage, arm, epoch, self.runs_done, total, done, total * num_epochs))

        return tell

    def _sum_up(self, chosen: dict[str, Choice] | None) -> dict[str, Any]:
        study, dataset = self.study, self.dataset
        epochs, runs = self.store.read_parts()
        pooled = _runs_that_set_the_target(runs, chosen)
        target = set_target(pooled, dataset.task, study.reach)
        uninformed = next(iter(self.laboratory.populations.values())).trainer.objective.uninformed_loss
        runs = with_outcomes(runs, epochs, target.value, uninformed)
        arms = [arm.name for arm in study.arms]
        steps_per_epoch = math.ceil(len(dataset.train) / study.batch_size)
        evidence = Evidence(epochs, runs, arms, dataset.task, study.margin, steps_per_epoch, chosen)
        self.store.write_frame(names.EPOCHS, epochs)
        self.store.write_frame(names.RUNS, runs.drop("capped_test_loss", "watched_epochs"))
        return {
            "normlab": __version__,
            "complete": True,
            "task": dataset.task,
            "baseline": arms[0],
            "arms": arms,
            "primary": {
                "metric": evidence.primary_metric,
                "arm": arms[1],
                "rate": "tuned" if study.tuned else study.rates[0],
            },
            "rates": _rates(study, dataset.task, chosen),
            "target": {"metric": target.metric, "value": target.value, "rule": target.rule},
            "pairing": pairing(runs, self.laboratory.shared_paths),
            "comparisons": comparisons(evidence),
            "area_over_rates": area_over_rates(evidence),
            "by_rate": by_rate(runs),
            "by_arm": by_arm(evidence, {arm: _sizes(p.plan.model) for arm, p in self.laboratory.populations.items()}),
        }


def pairing(runs: pl.DataFrame, shared_paths: list[str]) -> dict[str, Any]:
    """Return what the hashes say: whether all arms of every seed began with the same values and saw the same order."""
    distinct = runs.group_by("seed").agg(pl.col("initial_hash").n_unique(), pl.col("order_hash").n_unique())
    same_start, same_order = ((distinct[column] == 1).all() for column in ("initial_hash", "order_hash"))
    said = {True: "equal", False: "NOT equal"}
    return {
        "shared_parameters": shared_paths,
        "initial_values_equal": same_start,
        "orders_equal": same_order,
        "seeds": sorted(distinct["seed"].to_list()),
        "statement": f"For each of the {len(distinct)} seeds, the initial values of the {len(shared_paths)} parameters "
        f"that all arms share were {said[same_start]} by hash, and the order of samples in every epoch was "
        f"{said[same_order]}.",
    }


def _runs_that_set_the_target(runs: pl.DataFrame, chosen: Mapping[str, Choice] | None) -> pl.DataFrame:
    if chosen is None:
        return runs
    at_chosen = [(pl.col("arm") == arm) & (pl.col("rate") == choice.rate) for arm, choice in chosen.items()]
    return runs.filter((pl.col("stage") == "tuning") & pl.any_horizontal(at_chosen))


def _rates(study: Study, task: str, chosen: Mapping[str, Choice] | None) -> dict[str, Any]:
    if chosen is None:
        return {"mode": "fixed", "grid": study.grid, "report_seeds": study.report_seeds}
    return {
        "mode": "tuned",
        "grid": study.grid,
        "chosen": {arm: choice.rate for arm, choice in chosen.items()},
        "at_edge": {arm: choice.at_edge for arm, choice in chosen.items()},
        "rule": RULE[task],
        "tuning_seeds": study.tuning_seed_list,
        "report_seeds": study.report_seeds,
    }


def _sizes(model: Any) -> dict[str, int]:
    trainable = sum(math.prod(variable.shape) for variable in model.trainable_variables)
    buffers = sum(math.prod(variable.shape) for variable in model.non_trainable_variables)
    return {"num_parameters": trainable, "num_buffers": buffers, "bytes_per_run": 4 * (trainable + buffers)}


def _engine(laboratory: Laboratory) -> dict[str, Any]:
    return {
        "layout": laboratory.layout,
        "layout_seconds": dict(laboratory.layout_seconds),
        "chunk_runs": laboratory.chunk_runs,
    }


def _about(dataset: Dataset) -> dict[str, Any]:
    return {
        "name": dataset.name,
        "task": dataset.task,
        "input_shape": list(dataset.input_shape),
        "classes": list(dataset.classes),
        "description": list(dataset.description),
        "counts": {name: len(part) for name, part in dataset.parts.items()},
        "hashes": dataset.hashes,
    }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
