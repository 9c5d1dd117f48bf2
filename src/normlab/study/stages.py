"""The stages of a study in order, tuning and report: cells to chunks, chunks to an engine, records to the folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import polars as pl

from normlab.errors import InputError
from normlab.store.files import writing_to
from normlab.study import names
from normlab.study.cells import Cell, Chunk, Stage, alternative_cells, chunks, report_cells, tuning_cells
from normlab.study.conclusion import conclude
from normlab.study.design import Study
from normlab.study.engine import EngineMaker, Finished, Work, engine_record
from normlab.study.interruption import never
from normlab.study.laboratory import set_up
from normlab.study.limits import Limits
from normlab.study.looks import Looks
from normlab.study.memory import OutOfMemoryError, halved
from normlab.study.metrics import primary_metric
from normlab.study.progress import Progress
from normlab.study.rates import Choice, best_rates, choose_rates, possible_rates, rates_beyond
from normlab.study.store import Store

if TYPE_CHECKING:
    from normlab.data import Dataset
    from normlab.train.blueprint import Blueprint


class Stages:
    """Trains what a study's folder lacks, and sums up.

    Attributes:
        laboratory: The programs in use.
        runs_done: Runs on record.
        timing: Seconds that the summary keeps, by name.
    """

    def __init__(
        self,
        study: Study,
        dataset: Dataset,
        plans: Mapping[str, Blueprint],
        store: Store,
        limits: Limits,
        deadline: float | None,
        make_engine: EngineMaker,
        watch: Callable[[Progress], None],
        digest: str,
        is_asked_to_stop: Callable[[], bool] = never,
    ) -> None:
        self.study, self.dataset, self.plans, self.store, self.limits = study, dataset, plans, store, limits
        self.make_engine, self.watch, self.digest = make_engine, watch, digest
        self.is_asked_to_stop = is_asked_to_stop
        self.deadline = deadline
        self.runs_done = 0
        self.timing: dict[str, float] = {}
        self._seen: set[str] = set()  # chunks that were counted, and looked at
        self._told: dict[str, int] = {}  # runs times epochs of chunks under way
        self._runs_total = num_runs(study)
        recorded = store.engine()
        self._halvings: list[dict[str, Any]] = list(recorded["halvings"]) if recorded else []
        self._set_up(recorded)
        if is_asked_to_stop():
            raise KeyboardInterrupt

    def train(self) -> tuple[dict[str, Any], dict[str, pl.DataFrame]]:
        """Tune where asked, train the runs reported on, and return the summary and the tables of all records."""
        chosen: dict[str, Choice] | None = None
        if self.study.tuned:
            chosen = self._tune()
        looks = self._looks(chosen) if self.study.seeds == "auto" else None
        stages: dict[Stage, list[Cell]] = {"report": report_cells(self.study, best_rates(chosen) if chosen else None)}
        if chosen:
            stages["alternative"] = alternative_cells(self.study, chosen)
            self._runs_total += len(stages["alternative"]) * len(self.study.arms)
        self._train_stages(stages, looks)
        epochs, runs = self.store.parts.read("epochs"), self.store.parts.read("runs")
        runs, summary = conclude(self.study, self.dataset, self.laboratory, epochs, runs, chosen, looks)
        summary["halvings"] = self._halvings
        tables = {names.EPOCHS: epochs, names.RUNS: runs}
        if self.study.probes:
            tables[names.PROBES] = self.store.parts.read("probes")
        self._add_timing()
        return summary, tables

    def _tune(self) -> dict[str, Choice]:
        """Search the grid, and beyond it while an arm's best rate lies at its edge; return each arm's choice."""
        grid = list(self.study.grid)
        while True:
            self._train_stages({"tuning": tuning_cells(self.study, grid)})
            runs = self.store.parts.read("runs")
            tuning = runs.filter((pl.col("stage") == "tuning") & pl.col("rate").is_in(grid))
            chosen = choose_rates(tuning, self.dataset.task)
            beyond = rates_beyond(self.study.grid, grid, best_rates(chosen).values())
            if not beyond:
                return chosen
            grid += beyond
            self._runs_total += len(beyond) * self.study.tuning_seeds * len(self.study.arms)

    def _train_stages(self, stages: Mapping[Stage, list[Cell]], looks: Looks | None = None) -> None:
        """Train the chunks of stages that are not yet on record; looks may end them before the last."""
        needed: str | None = ""
        while needed is not None:
            if needed:
                self._halve(needed)
            try:
                self._train(self._chunks(stages), looks)
                needed = None
            except OutOfMemoryError as error:
                needed = error.needed  # not the error: its traceback holds all that is in memory

    def _train(self, wanted: list[Chunk], looks: Looks | None) -> None:
        """Have the missing chunks trained, in order, and written down."""
        finished = self.engine.train([chunk for chunk in wanted if not self.store.parts.has(chunk)])
        for chunk in wanted:
            while not self.store.parts.has(chunk):  # what is delivered twice is recorded once
                self._record(next(finished))
            self._told.pop(chunk.name, None)
            if chunk.name in self._seen:
                continue
            self._seen.add(chunk.name)
            self.runs_done += len(chunk.cells) * len(self.study.arms)
            if looks is not None and not looks.after(chunk, self.store.parts.read("runs")):
                break

    def _record(self, finished: Finished) -> None:
        about = {names.IDENTITY: self.digest, "engine": self._engine_record(), "seconds": finished.seconds}
        with writing_to(self.store.folder):
            self.store.parts.write(finished.chunk, finished.tables, about)
            self.store.checkpoints.drop(finished.chunk.name)

    def _chunks(self, stages: Mapping[Stage, list[Cell]]) -> list[Chunk]:
        """Cut stages into chunks: those on record as they are, the rest as large as they may be.

        Where seeds are "auto", the stages go side by side, from seed to seed.
        """
        cut: list[Chunk] = []
        for stage, cells in stages.items():
            recorded = {r.start: r.num_cells for r in self.store.parts.receipts() if r.stage == stage}
            cut += chunks(stage, cells, self.laboratory.chunk_runs, recorded)
        if self.study.seeds == "auto":
            cut.sort(key=lambda chunk: max(cell.seed for cell in chunk.cells))
        return cut

    def _set_up(self, recorded: Mapping[str, Any] | None) -> None:
        try:
            self.laboratory = set_up(
                self.study, self.dataset, self.plans, recorded, self.limits.memory_bytes, self.digest
            )
        except OutOfMemoryError as error:
            action = "give more memory, or choose smaller data"
            raise InputError("memory must hold the data", error.needed, action) from None
        self._halvings += self.laboratory.halvings
        if self._engine_record() != recorded:
            self.store.write_engine(self._engine_record())
        work = Work(
            self.study,
            self.dataset,
            self.laboratory,
            self.store,
            self.limits,
            self.deadline,
            self.digest,
            self._tell,
            self.is_asked_to_stop,
        )
        self.engine = self.make_engine(work)

    def _halve(self, needed: str) -> None:
        """Go on with chunks of half the runs, and record it."""
        recorded, before = self._engine_record(), self.laboratory.chunk_runs
        half = halved(before, self.laboratory.num_devices, needed)
        self._halvings.append({"from": before, "to": half, "because": needed})
        self.store.write_engine({**recorded, "chunk_runs": half})
        self._add_timing()
        self._told.clear()
        del self.laboratory, self.engine  # their arrays go before new ones come
        self._set_up({**recorded, "chunk_runs": half})

    def _engine_record(self) -> dict[str, Any]:
        return {**engine_record(self.laboratory), "halvings": self._halvings}

    def _add_timing(self) -> None:
        for name, seconds in self.engine.timing().items():
            self.timing[name] = self.timing.get(name, 0.0) + seconds

    def _looks(self, chosen: Mapping[str, Choice] | None) -> Looks:
        return Looks(
            [arm.name for arm in self.study.arms],
            len(possible_rates(chosen)) if chosen else 1,
            primary_metric(self.dataset.task),
            self.study.margin,
            self.study.most_seeds,
            self._halvings[0]["from"] if self._halvings else self.laboratory.chunk_runs,
            self.laboratory.uninformed_loss,
            len(self.dataset.test),
        )

    def _tell(self, chunk: Chunk, arm: str, epoch: int) -> None:
        self._told[chunk.name] = self._told.get(chunk.name, 0) + len(chunk.cells)
        num_epochs, total = self.study.epochs, self._runs_total
        done = self.runs_done * num_epochs + sum(self._told.values())
        at_most = self.study.seeds == "auto"
        self.watch(Progress(chunk.stage, arm, epoch, self.runs_done, total, done, total * num_epochs, at_most))


def num_runs(study: Study) -> int:
    """Return how many runs a study trains, in all arms and stages; at most, where its seeds are "auto".

    Rates tried beyond the grid, and alternatives to the chosen ones, are counted when they are known.
    """
    num_report = len(report_cells(study, {} if study.tuned else None))
    return len(study.arms) * (len(tuning_cells(study)) + num_report)
