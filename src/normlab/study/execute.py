"""A study from start to finish: load, check, tune, train, record, sum up."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import polars as pl

from normlab.study import store as names
from normlab.study.cells import Cell, Chunk, Stage, chunks, report_cells, tuning_cells
from normlab.study.checks import check
from normlab.study.conclusion import conclude
from normlab.study.design import Study
from normlab.study.example import first_batch_example
from normlab.study.laboratory import Laboratory, PlanBuilder, build_plans, set_up
from normlab.study.looks import Looks
from normlab.study.metrics import primary_metric
from normlab.study.probing import Probing, require_measurable
from normlab.study.progress import Interrupted, Progress, ignore_progress
from normlab.study.provenance import code_sha256, machine, versions
from normlab.study.rates import Choice, choose_rates
from normlab.study.store import Store
from normlab.study.training import ignore_state, train_chunk
from normlab.version import __version__

if TYPE_CHECKING:
    from normlab.data import Dataset


def execute(
    study: Study,
    dataset: Dataset,
    build_plan: PlanBuilder,
    store: Store,
    *,
    watch: Callable[[Progress], None] = ignore_progress,
) -> dict[str, Any]:
    """Run a study in its folder and return its summary; a study already complete there is not run again.

    Args:
        study: What to do.
        dataset: The data.
        build_plan: From an arm to its model and what starts it anew.
        store: The folder.
        watch: Called after every epoch of every arm.

    Raises:
        InputError: If study, data, model or folder break a rule; before anything is trained.
        Interrupted: On Ctrl-C, after the records of complete chunks were written.
    """
    started = time.perf_counter()
    check(study, dataset)
    about_data = _about(dataset)
    plans = build_plans(study, dataset, build_plan)
    require_measurable(study, dataset, plans)
    about = machine()
    identity = {
        "study": study.model_dump(mode="json", exclude={"data_dir"}),
        "data": about_data,
        "models": {arm: plan.digest() for arm, plan in plans.items()},
        "code_sha256": code_sha256(),
        "versions": versions(),
        "devices": about["devices"],
    }
    notes = {arm: list(plan.notes) for arm, plan in plans.items()}
    store.open(identity, {"normlab": __version__, "machine": about, "started": _now(), "model_notes": notes})
    finished = store.read_json(names.SUMMARY)
    if finished and store.is_complete(with_probes=bool(study.probes)):
        return finished
    try:
        recorded = store.read_json(names.ENGINE)
        laboratory = set_up(study, dataset, plans, recorded)
        if not recorded:
            store.write_json(names.ENGINE, _engine(laboratory))
        steps = _Steps(study, dataset, laboratory, store, watch)
        summary = steps.all_stages()
    except KeyboardInterrupt:
        raise Interrupted(_write_complete(store), num_runs(study), study.seeds == "auto") from None
    summary["timing"] = {
        "total_seconds": time.perf_counter() - started,
        "compile_seconds": laboratory.compile_seconds,
        "layout": laboratory.layout,
        "devices": len(about["devices"]),
        "runs": steps.runs_done,
    }
    if steps.probing is not None:
        seconds = {"probe_seconds": steps.probing.seconds, "probe_compile_seconds": steps.probing.compile_seconds}
        summary["timing"] |= seconds
    example = first_batch_example(study, dataset)
    if example is not None:
        store.write_json(names.EXAMPLE, example)
    store.write_json(names.SUMMARY, summary)
    return summary


def num_runs(study: Study) -> int:
    """Return how many runs a study trains, in all arms and stages; at most, where its seeds are "auto"."""
    num_report = len(report_cells(study, {} if study.tuned else None))
    return len(study.arms) * (len(tuning_cells(study)) + num_report)


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
        self.runs_total = num_runs(study)
        self.runs_done = 0
        self.probing = Probing(study, dataset, laboratory) if study.probes else None

    def all_stages(self) -> dict[str, Any]:
        """Tune where asked, train the runs reported on, and sum up."""
        chosen: dict[str, Choice] | None = None
        if self.study.tuned:
            tuning = self._stage("tuning", tuning_cells(self.study))
            chosen = choose_rates(tuning, self.dataset.task)
        rates = {arm: choice.rate for arm, choice in chosen.items()} if chosen else None
        looks = self._looks() if self.study.seeds == "auto" else None
        self._stage("report", report_cells(self.study, rates), looks)
        epochs, runs = self.store.read_parts()
        runs, summary = conclude(self.study, self.dataset, self.laboratory, epochs, runs, chosen, looks)
        if self.probing is not None:
            self.store.write_frame(names.PROBES, self.store.read_probes())
        self.store.write_frame(names.EPOCHS, epochs)
        self.store.write_frame(names.RUNS, runs)
        return summary

    def _stage(self, stage: Stage, cells: list[Cell], looks: Looks | None = None) -> pl.DataFrame:
        """Train the cells chunk by chunk, those that are not yet on record; looks may end the stage before the last."""
        for chunk in chunks(stage, cells, self.laboratory.chunk_runs):
            if not self.store.has(chunk):
                self._train(chunk)
            self.runs_done += len(chunk.cells) * self.num_arms
            if looks is not None and not looks.after(chunk.index, self.store.read_parts()[1]):
                break
        _, runs = self.store.read_parts()
        return runs.filter(pl.col("stage") == stage)

    def _train(self, chunk: Chunk) -> None:
        probing = self.probing if chunk.stage == "report" else None
        observe = ignore_state if probing is None else probing.observer(chunk)
        after_epoch = self._after_epoch(chunk)
        epochs, runs = train_chunk(self.laboratory, self.study, self.dataset, chunk, after_epoch, observe)
        self.store.write_chunk(chunk, epochs, runs, None if probing is None else probing.taken())

    def _looks(self) -> Looks:
        return Looks(
            [arm.name for arm in self.study.arms],
            primary_metric(self.dataset.task),
            self.study.margin,
            self.study.most_seeds,
            self.laboratory.chunk_runs,
            self.laboratory.uninformed_loss,
        )

    def _after_epoch(self, chunk: Chunk) -> Callable[[str, int], None]:
        num_epochs = self.study.epochs
        done = self.runs_done * num_epochs

        def tell(arm: str, epoch: int) -> None:
            nonlocal done
            done += len(chunk.cells)
            total, at_most = self.runs_total, self.study.seeds == "auto"
            self.watch(Progress(chunk.stage, arm, epoch, self.runs_done, total, done, total * num_epochs, at_most))

        return tell


def _write_complete(store: Store) -> int:
    """Write the records of all complete chunks, the times to a target unknown; return how many runs they hold."""
    epochs, runs = store.read_parts()
    if len(runs):
        unknown = pl.lit(None, pl.Float64)
        store.write_frame(names.EPOCHS, epochs)
        store.write_frame(names.RUNS, runs.with_columns(epochs_to_target=unknown, steps_to_target=unknown))
        probes = store.read_probes()
        if len(probes):
            store.write_frame(names.PROBES, probes)
    return len(runs)


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
