"""A chunk under way as tensors and plain values, and back, without losing a bit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from normlab.study.laboratory import Laboratory
from normlab.study.training import Underway

if TYPE_CHECKING:
    from normlab.train.loop import RunState

RECORDED = ("loss", "accuracy", "val_loss", "val_accuracy", "diverged_step")
VARIABLES = ("trainable", "non_trainable", "optimizer")
COUNTS = ("step", "diverged_step")

Packed = tuple[dict[str, Any], dict[str, np.ndarray]]


def packed(now: Underway) -> Packed:
    """Return what a JSON file keeps of a chunk under way, and the tensors: `ARM/KIND/NUMBER`, arms by number."""
    tensors: dict[str, np.ndarray] = {}
    for number, (arm, state) in enumerate(now.states.items()):
        for kind in VARIABLES:
            tensors |= {f"{number}/{kind}/{i}": np.asarray(v) for i, v in enumerate(getattr(state, kind))}
        tensors |= {f"{number}/{kind}": np.asarray(getattr(state, kind)) for kind in COUNTS}
        records = now.records[arm]
        if records:
            tensors |= {f"{number}/record/{kind}": np.stack([getattr(r, kind) for r in records]) for kind in RECORDED}
            tensors[f"{number}/record/seconds"] = np.array([record.seconds for record in records])
    about: dict[str, Any] = {
        "arms": list(now.states),
        "epochs": {arm: len(records) for arm, records in now.records.items()},
        "initial": _with_text_keys(now.initial),
        "orders": _with_text_keys(now.orders),
        "turn": now.turn,
        "epoch": None,
    }
    if now.epoch is not None:
        begun = now.epoch
        about["epoch"] = {
            "batches": begun.done,
            "of": begun.num_batches,
            "seconds": begun.seconds,
            "timed": begun.timed,
        }
        tensors |= {f"epoch/{kind}": np.asarray(getattr(now.epoch.totals, kind)) for kind in ("loss", "hits")}
    return about, tensors


def unpacked(laboratory: Laboratory, about: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> Underway:
    """Return the chunk under way that was packed, its state on the devices."""
    from normlab.train.epochs import EpochRecord, EpochUnderWay
    from normlab.train.loop import Totals

    states, records = {}, {}
    for number, arm in enumerate(about["arms"]):
        states[arm] = laboratory.populations[arm].place(_state(tensors, number))
        rows = range(about["epochs"][arm])
        stacked = [tensors[f"{number}/record/{kind}"] for kind in (*RECORDED, "seconds")] if rows else []
        records[arm] = [EpochRecord(*(values[row] for values in stacked)) for row in rows]
    epoch = None
    if about["epoch"] is not None:
        population = laboratory.populations[about["turn"]]
        totals = population.place(Totals(tensors["epoch/loss"], tensors["epoch/hits"]))
        left = about["epoch"]
        epoch = EpochUnderWay([], left["of"], left["batches"], totals, left["seconds"], left["timed"])
    initial, orders = (_with_number_keys(about[name]) for name in ("initial", "orders"))
    return Underway(states, records, about["turn"], epoch, initial, orders)


def _state(tensors: Mapping[str, np.ndarray], number: int) -> RunState:
    from normlab.train.loop import RunState

    def numbered(kind: str) -> list[np.ndarray]:
        count = sum(name.startswith(f"{number}/{kind}/") for name in tensors)
        return [tensors[f"{number}/{kind}/{i}"] for i in range(count)]

    variables = (numbered(kind) for kind in VARIABLES)
    return RunState(*variables, *(tensors[f"{number}/{kind}"] for kind in COUNTS))


def _with_text_keys(hashes: Mapping[str, Mapping[int, str]]) -> dict[str, dict[str, str]]:
    return {arm: {str(seed): own for seed, own in of_arm.items()} for arm, of_arm in hashes.items()}


def _with_number_keys(hashes: Mapping[str, Mapping[str, str]]) -> dict[str, dict[int, str]]:
    return {arm: {int(seed): own for seed, own in of_arm.items()} for arm, of_arm in hashes.items()}
