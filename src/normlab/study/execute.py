"""A study from start to finish: load, check, tune, train, record, sum up."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from normlab.store.files import writing_to
from normlab.study import names
from normlab.study.checks import check, require_images
from normlab.study.design import Study
from normlab.study.engine import EngineMaker, OutOfTimeError
from normlab.study.example import first_batch_example
from normlab.study.interruption import asking_to_stop
from normlab.study.laboratory import PlanBuilder, build_plans
from normlab.study.limits import Limits
from normlab.study.local import LocalEngine
from normlab.study.matching import matched
from normlab.study.memory import bounded_parameters
from normlab.study.probing import require_measurable
from normlab.study.progress import Interrupted, Progress, StoppedError, ignore_note, ignore_progress
from normlab.study.provenance import code_sha256, machine, own_files, versions
from normlab.study.reach import require_decisive
from normlab.study.stages import Stages, num_runs
from normlab.study.statistics import settling_notes
from normlab.study.store import Store, identity_digest
from normlab.version import __version__

if TYPE_CHECKING:
    from normlab.data import Dataset


def execute(
    study: Study,
    dataset: Dataset,
    build_plan: PlanBuilder,
    store: Store,
    *,
    limits: Limits | None = None,
    engine: EngineMaker = LocalEngine,
    watch: Callable[[Progress], None] = ignore_progress,
    notify: Callable[[str], None] = ignore_note,
) -> dict[str, Any]:
    """Run a study in its folder, or go on with it, and return its summary; a complete one is not run again.

    Args:
        study: What to do.
        dataset: The data.
        build_plan: From an arm to its model and what starts it anew.
        store: The folder.
        limits: What it may use.
        engine: What trains.
        watch: Called after every epoch of every arm.
        notify: Called before anything is trained with each note: what was inferred, and what is worth knowing by then.

    Raises:
        InputError: If study, data, model or folder break a rule; before anything is trained. Also if the folder can't
            be written to any more, or a limit of memory can't be held.
        Interrupted: On Ctrl-C, after the records of complete chunks were written.
        StoppedError: When the time is up, likewise.
    """
    started = time.monotonic()
    check(study, dataset)
    limits = limits or Limits()
    with bounded_parameters(limits.memory_bytes):
        plans = build_plans(study, dataset, build_plan)
    loaded, dataset = dataset, matched(dataset, {arm: plan.model for arm, plan in plans.items()})
    require_images(study, loaded, dataset)
    require_measurable(study, dataset, plans)
    about = machine()
    identity = {
        "study": study.model_dump(mode="json", exclude={"data_dir"}),
        "data": _about(dataset),
        "models": {arm: plan.digest() for arm, plan in plans.items()},
        "own_files": own_files(study),
        "code_sha256": code_sha256(),
        "versions": versions(),
        "devices": about["devices"],
    }
    notes = {arm: list(plan.notes) for arm, plan in plans.items()}
    with store.only_writer():
        store.open(identity, {"normlab": __version__, "machine": about, "started": _now(), "model_notes": notes})
        for note in dataset.notes:
            notify(note)
        finished = store.summary()
        if finished is not None:
            return finished
        digest = identity_digest(identity)
        deadline = None if limits.seconds is None else started + limits.seconds
        try:
            with asking_to_stop() as is_asked:
                stages = Stages(study, dataset, plans, store, limits, deadline, engine, watch, digest, is_asked)
                for sentence in [*require_decisive(study), *settling_notes(stages.laboratory.statistics)]:
                    notify(sentence)
                summary, tables = stages.train()
        except (KeyboardInterrupt, OutOfTimeError) as end:
            counts = (_write_complete(store), num_runs(study), study.seeds == "auto")
            raise (StoppedError if isinstance(end, OutOfTimeError) else Interrupted)(*counts) from None
        summary["timing"] = {
            "total_seconds": time.monotonic() - started,
            "work_seconds": sum(receipt.about["seconds"] for receipt in store.parts.receipts()),
            "layout": stages.laboratory.layout,
            "devices": len(about["devices"]),
            "runs": stages.runs_done,
            **stages.timing,
        }
        example = first_batch_example(study, dataset)
        results = {**tables, names.SUMMARY: summary, **({} if example is None else {names.EXAMPLE: example})}
        store.write_results(results, complete=True)
        return summary


def _write_complete(store: Store) -> int:
    """Write the records of all complete chunks, the times to a target unknown; return how many runs they hold."""
    import polars as pl

    runs = store.parts.read("runs")
    if len(runs):
        unknown = pl.lit(None, pl.Float64)
        tables = {
            names.EPOCHS: store.parts.read("epochs"),
            names.RUNS: runs.with_columns(epochs_to_target=unknown, steps_to_target=unknown),
            names.PROBES: store.parts.read("probes"),
        }
        with writing_to(store.folder):
            store.write_results({name: table for name, table in tables.items() if len(table)}, complete=False)
    return len(runs)


def _about(dataset: Dataset) -> dict[str, Any]:
    return {
        "name": dataset.name,
        "task": dataset.task,
        "input_shape": list(dataset.input_shape),
        "classes": list(dataset.classes),
        "description": list(dataset.description),
        "notes": list(dataset.notes),
        "counts": {name: len(part) for name, part in dataset.parts.items()},
        "hashes": dataset.hashes,
    }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
