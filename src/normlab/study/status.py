"""How far a study is, read from its folder while it runs or afterwards: what is done, under way and left."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from normlab.errors import InputError
from normlab.store.lock import is_held
from normlab.store.seals import DamagedError, read_sealed_json
from normlab.study.checkpoints import Checkpoints
from normlab.study.names import ENGINE, IDENTITY, MANIFEST, STUDY
from normlab.study.parts import Parts, Receipt, require_study

# A file that is being replaced while it is read is there, whole, a moment later.
TRIES, PAUSE_SECONDS = 3, 0.05


@dataclass(frozen=True)
class StageStatus:
    """One stage: counts of chunks and runs on record, and of runs times epochs on record or under way.

    `num_runs` is the most there will be where seeds are "auto".
    """

    stage: str
    chunks_done: int
    runs_done: int
    num_runs: int
    run_epochs_done: float
    num_run_epochs: int
    seconds: float


@dataclass(frozen=True)
class UnderWay:
    """A chunk's checkpoint: how far it is, and the seconds of work in it.

    Attributes:
        chunk: Name.
        stage: Which.
        num_runs: In all arms.
        arm: Whose turn it is.
        epoch: Which one of that arm's is next, or in its middle; from 1.
        batches: Done of that epoch.
        num_batches: In that epoch; None between two.
        run_epochs: Done, in runs times epochs.
        seconds: Of work.
    """

    chunk: str
    stage: str
    num_runs: int
    arm: str
    epoch: int
    batches: int
    num_batches: int | None
    run_epochs: float
    seconds: float


@dataclass(frozen=True)
class Status:
    """How far a study is.

    Attributes:
        folder: Where.
        study: Its settings.
        data: Name of its data.
        started: When it was begun, in UTC.
        is_complete: Whether its results are there.
        is_running: Whether a process works on it now; None where that can't be known.
        at_most: Whether it may end before all runs are trained (seeds "auto").
        stages: In order.
        under_way: Chunks with a checkpoint.
        seconds_left: Of work; None before anything is known.
        halvings: Of the chunks, for want of memory.
        damage: Of the files that were read for this.
    """

    folder: str
    study: Mapping[str, Any]
    data: str
    started: str
    is_complete: bool
    is_running: bool | None
    at_most: bool
    stages: tuple[StageStatus, ...]
    under_way: tuple[UnderWay, ...]
    seconds_left: float | None
    halvings: tuple[Mapping[str, Any], ...]
    damage: tuple[str, ...]


def read_status(folder: Path) -> Status:
    """Return how far the study in a folder is; nothing is waited for, and nothing is changed.

    Raises:
        InputError: If there is no study, or the file that says which one is damaged.
    """
    status = _look(folder)
    for _ in range(TRIES - 1):
        if not status.damage:
            break
        time.sleep(PAUSE_SECONDS)
        status = _look(folder)
    return status


def read_study(folder: Path) -> dict[str, Any]:
    """Return what `study.json` in a folder holds.

    Raises:
        InputError: If it is not there or damaged.
    """
    require_study(folder)
    try:
        return read_sealed_json(folder / STUDY)
    except DamagedError as damage:
        action = "see what normlab verify says of it"
        raise InputError("it must be known which study this is", str(damage), action) from None


def planned_cells(study: Mapping[str, Any]) -> dict[str, int]:
    """Return how many cells each stage of a recorded study has, at most; see `normlab.study.cells`.

    A search whose best rate lies at the edge of its grid goes on beyond; how many alternatives to the chosen rates
    there are is known when it has ended. Both are counted as they come.
    """
    from normlab.train.optimizers import OPTIMIZERS

    seeds = study["max_seeds"] if study["seeds"] == "auto" else study["seeds"]
    if study["rates"] != "tuned":
        return {"report": len(study["rates"]) * seeds}
    tuning = len(OPTIMIZERS[study["optimizer"]].grid) * study["tuning_seeds"]
    return {"tuning": tuning, "report": seeds, "alternative": 0}


def _look(folder: Path) -> Status:
    recorded = read_study(folder)
    study = recorded["study"]
    num_arms, num_epochs = len(study["arms"]), study["epochs"]
    receipts, damaged = Parts(folder).whole_receipts()
    receipts = [receipt for receipt in receipts if receipt.about.get(IDENTITY) == recorded[IDENTITY]]
    engine = _read_if_there(folder / ENGINE, damaged) or {}
    manifest = _read_if_there(folder / MANIFEST, damaged) or {"complete": False}
    under_way = _under_way(folder, recorded[IDENTITY], engine, {receipt.chunk for receipt in receipts}, damaged)
    stages = tuple(
        _stage(stage, cells, num_arms, num_epochs, receipts, under_way) for stage, cells in planned_cells(study).items()
    )
    is_complete = bool(manifest["complete"]) and set(manifest["chunks"]) <= {receipt.chunk for receipt in receipts}
    return Status(
        folder=str(folder),
        study=study,
        data=recorded["data"]["name"],
        started=recorded["started"],
        is_complete=is_complete,
        is_running=is_held(folder),
        at_most=study["seeds"] == "auto" and not is_complete,
        stages=stages,
        under_way=() if is_complete else tuple(under_way),
        seconds_left=0.0 if is_complete else _seconds_left(stages),
        halvings=tuple(engine.get("halvings", ())),
        damage=tuple(str(damage) for damage in damaged),
    )


def _read_if_there(path: Path, damaged: list[DamagedError]) -> dict[str, Any] | None:
    """Return what a sealed file holds; None if it is not there, or damaged, which is noted."""
    if not path.exists():
        return None
    try:
        return read_sealed_json(path)
    except DamagedError as damage:
        damaged.append(damage)
        return None


def _under_way(
    folder: Path, digest: str, engine: Mapping[str, Any], finished: set[str], damaged: list[DamagedError]
) -> list[UnderWay]:
    """Return the checkpoints that the next start would go on with."""
    checkpoints = Checkpoints(folder)
    found = []
    for name in checkpoints.names():
        if name in finished:
            continue
        try:
            about = checkpoints.about(name)
        except DamagedError as damage:
            damaged.append(damage)
            continue
        same_engine = all(engine.get(key, value) == value for key, value in about["engine"].items())
        if about[IDENTITY] == digest and same_engine:
            found.append(_progress(name, about))
    return found


def _progress(name: str, about: Mapping[str, Any]) -> UnderWay:
    """Return how far a checkpoint is."""
    now, num_cells = about["underway"], len(about["cells"])
    arm = str(now["turn"])
    begun = now["epoch"]
    part = begun["batches"] / begun["of"] if begun else 0.0
    return UnderWay(
        chunk=name,
        stage=name.partition("-")[0],
        num_runs=num_cells * len(now["arms"]),
        arm=arm,
        epoch=now["epochs"][arm] + 1,
        batches=begun["batches"] if begun else 0,
        num_batches=begun["of"] if begun else None,
        run_epochs=num_cells * (sum(now["epochs"].values()) + part),
        seconds=about["seconds"],
    )


def _stage(
    stage: str, num_cells: int, num_arms: int, num_epochs: int, receipts: list[Receipt], under_way: list[UnderWay]
) -> StageStatus:
    own = [receipt for receipt in receipts if receipt.stage == stage]
    begun = [chunk for chunk in under_way if chunk.stage == stage]
    runs = num_arms * sum(receipt.num_cells for receipt in own)
    num_runs = max(num_arms * num_cells, runs + sum(chunk.num_runs for chunk in begun))
    return StageStatus(
        stage=stage,
        chunks_done=len(own),
        runs_done=runs,
        num_runs=num_runs,
        run_epochs_done=runs * num_epochs + sum(chunk.run_epochs for chunk in begun),
        num_run_epochs=num_runs * num_epochs,
        seconds=sum(receipt.about["seconds"] for receipt in own) + sum(chunk.seconds for chunk in begun),
    )


def _seconds_left(stages: tuple[StageStatus, ...]) -> float | None:
    """Return the work left at the speed of each stage so far; a stage without one is as fast as the others."""
    done, seconds = (sum(getattr(stage, name) for stage in stages) for name in ("run_epochs_done", "seconds"))
    if not done:
        return None

    def speed(stage: StageStatus) -> float:
        return stage.seconds / stage.run_epochs_done if stage.run_epochs_done else seconds / done

    return sum(speed(stage) * (stage.num_run_epochs - stage.run_epochs_done) for stage in stages)
