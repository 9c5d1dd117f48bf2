"""What a worker does: it sets up the driver's study once, to the letter, and trains the chunks that it is given.

Everything here is imported and run by Ray in a worker's process; what it hands back is plain values and bytes.
"""

from __future__ import annotations

import gc
import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from normlab.errors import InputError
from normlab.models.own import is_reference
from normlab.study.cluster.parcels import makings, packed_tables, unpacked_chunk, unpacked_dataset, unpacked_study
from normlab.study.design import Study
from normlab.study.laboratory import Laboratory, build_plans, named_model, set_up
from normlab.study.memory import OutOfMemoryError, noticing_lack, require_room
from normlab.study.probing import Probing, seconds_spent
from normlab.study.store import differences
from normlab.study.training import Underway, ignore_state, train_chunk

if TYPE_CHECKING:
    from normlab.data import Dataset

# Epochs are told of at most so often: a small network finishes a thousand in a second.
TELL_SECONDS = 0.25


@dataclass(frozen=True)
class Bench:
    """A study set up in this process."""

    study: Study
    dataset: Dataset
    laboratory: Laboratory
    probing: Probing | None
    memory_bytes: int | None


class Board:
    """Where workers note which arms have finished which epochs, for the driver to take; an actor of its own."""

    def __init__(self) -> None:
        self._told: list[tuple[str, str, int]] = []

    def tell(self, told: list[tuple[str, str, int]]) -> None:
        """Note chunk, arm and epoch, of several."""
        self._told += told

    def taken(self) -> list[tuple[str, str, int]]:
        """Return what was noted since the last call."""
        told, self._told = self._told, []
        return told


def normlab_chunk(setting: str, arrays: Sequence[Any], chunk: str, board: Any) -> dict[str, Any]:
    """Train a chunk.

    Args:
        setting: The study and how the driver trains it, as JSON; a worker keeps one set up, compiled, between chunks.
        arrays: The reference to the data's arrays, alone in a list so that Ray hands it over as it is.
        chunk: As JSON.
        board: The actor to tell of finished epochs.

    Returns:
        `tables` as Parquet, `seconds` of work, `timing` to be added up; or `lacking`, where memory did not suffice; or
        `refused`: rule, value received and action of an `InputError`.
    """
    _prepare(json.loads(setting))
    try:
        with noticing_lack():
            bench = _bench(setting, arrays[0])
            return _trained(bench, chunk, board)
    except OutOfMemoryError as error:
        _bench.cache_clear()
        return {"lacking": error.needed}
    except InputError as error:
        return {"refused": [error.rule, str(error.received), error.action]}


def _prepare(setting: dict[str, Any]) -> None:
    """Give this process as many devices as the driver has, of the same kind, before JAX starts."""
    if setting["platform"] == "cpu":  # a worker's machine may have more than the driver's
        os.environ["JAX_PLATFORMS"] = "cpu"
    from normlab.train.devices import prepare

    prepare(num_cpu_devices=setting["engine"]["num_devices"])


@lru_cache(maxsize=1)
def _bench(setting: str, arrays: Any) -> Bench:
    import ray

    _bench.cache_clear()  # the arrays of another one go before those of this one come
    gc.collect()
    given = json.loads(setting)
    study = unpacked_study(given["study"])
    dataset = unpacked_dataset(given["dataset"], ray.get(arrays))
    if is_reference(study.model):
        from normlab.study.own import own_model

        plans = build_plans(study, dataset, own_model(study, dataset, study.model))
    else:
        plans = build_plans(study, dataset, named_model(study, dataset))
    _require_same(given["makings"], makings(study, plans))
    laboratory = set_up(study, dataset, plans, given["engine"], given["memory_bytes"])
    probing = Probing(study, dataset, laboratory) if study.probes else None
    return Bench(study, dataset, laboratory, probing, given["memory_bytes"])


def _require_same(driver: dict[str, Any], own: dict[str, Any]) -> None:
    """Raise `InputError` where this process would make other numbers than the driver's."""
    if own != driver:
        rule = "a worker must have what the driver has: normlab, its packages, the files of your own, and the devices"
        received = f"another {', '.join(differences(driver, own))}"
        raise InputError(rule, received, "install the same on every machine")


def _trained(bench: Bench, chunk: str, board: Any) -> dict[str, Any]:
    wanted = unpacked_chunk(chunk)
    probing = bench.probing if wanted.stage == "report" else None
    observe = ignore_state if probing is None else probing.observer(wanted)
    teller = _Teller(wanted.name, board)
    before, began = seconds_spent(bench.laboratory, bench.probing), time.monotonic()

    def pause(_: Underway) -> None:
        if bench.memory_bytes is not None:
            require_room(bench.memory_bytes, 0, f"{wanted.name}, trained as {len(wanted.cells)} runs at once,")

    epochs, runs = train_chunk(bench.laboratory, bench.study, bench.dataset, wanted, teller.tell, observe, None, pause)
    tables = {"epochs": epochs, "runs": runs}
    if probing is not None:
        tables["probes"] = probing.taken()
    timing = {name: seconds - before[name] for name, seconds in seconds_spent(bench.laboratory, bench.probing).items()}
    return {"tables": packed_tables(tables), "seconds": time.monotonic() - began, "timing": timing}


class _Teller:
    """Tells the board of epochs, some at a time; the last ones the driver knows by the chunk's end."""

    def __init__(self, chunk: str, board: Any) -> None:
        self.chunk, self.board = chunk, board
        self._untold: list[tuple[str, str, int]] = []
        self._last = time.monotonic()

    def tell(self, arm: str, epoch: int) -> None:
        self._untold.append((self.chunk, arm, epoch))
        if time.monotonic() - self._last >= TELL_SECONDS:
            self.board.tell.remote(self._untold)
            self._untold, self._last = [], time.monotonic()
