"""The engine that trains in this process, chunk after chunk, and writes a checkpoint every so many seconds of work."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from normlab.store.files import writing_to
from normlab.store.seals import DamagedError
from normlab.study.cells import Chunk
from normlab.study.engine import Finished, OutOfTimeError, Work, composition
from normlab.study.memory import noticing_lack, require_room
from normlab.study.names import IDENTITY
from normlab.study.probing import Probing, seconds_spent
from normlab.study.resumption import packed, unpacked
from normlab.study.store import DamageWarning
from normlab.study.training import Underway, ignore_state, train_chunk


class LocalEngine:
    """Trains here."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.probing = Probing(work.study, work.dataset, work.laboratory) if work.study.probes else None

    def train(self, chunks: Sequence[Chunk]) -> Iterator[Finished]:
        """Train chunks one after the other; see `Engine`."""
        for chunk in chunks:
            yield self._train(chunk)

    def timing(self) -> dict[str, float]:
        """Return seconds spent on compiling and on probes."""
        return seconds_spent(self.work.laboratory, self.probing)

    def _train(self, chunk: Chunk) -> Finished:
        work = self.work
        probing = self.probing if chunk.stage == "report" else None
        observe = ignore_state if probing is None else probing.observer(chunk)
        with noticing_lack():
            begun, before = self._taken_up(chunk, probing)
        keeping, told = _Keeping(work, chunk, probing, before), partial(work.told, chunk)
        if begun is not None:
            for arm, records in begun.records.items():
                for epoch in range(1, len(records) + 1):
                    told(arm, epoch)
        with noticing_lack():
            epochs, runs = train_chunk(
                work.laboratory, work.study, work.dataset, chunk, told, observe, begun, keeping.pause
            )
        tables = {"epochs": epochs, "runs": runs}
        if probing is not None:
            tables["probes"] = probing.taken()
        return Finished(chunk, tables, keeping.seconds)

    def _taken_up(self, chunk: Chunk, probing: Probing | None) -> tuple[Underway | None, float]:
        """Return where an earlier start left the chunk and its seconds of work, or None and 0."""
        work = self.work
        try:
            found = work.store.checkpoints.read(chunk)
        except DamagedError as damage:
            warnings.warn(f"{damage}; its chunk is trained from its start", DamageWarning, stacklevel=2)
            return None, 0.0
        if found is None or any(found[0].get(name) != value for name, value in _about(work, chunk).items()):
            return None, 0.0
        about, tensors = found
        if probing is not None:
            probing.resume([(*row, float(v)) for row, v in zip(about["probes"], tensors["probes"], strict=True)])
        return unpacked(work.laboratory, about["underway"], tensors), about["seconds"]


class _Keeping:
    """Looks at the clock at every pause of one chunk, and writes a checkpoint when it is time."""

    def __init__(self, work: Work, chunk: Chunk, probing: Probing | None, seconds_before: float) -> None:
        self.work, self.chunk, self.probing, self.seconds_before = work, chunk, probing, seconds_before
        self.began = self.kept = time.monotonic()

    @property
    def seconds(self) -> float:
        """Wall time of work on the chunk, in all starts."""
        return self.seconds_before + time.monotonic() - self.began

    def pause(self, now: Underway) -> None:
        limits = self.work.limits
        moment = time.monotonic()
        is_over = self.work.deadline is not None and moment >= self.work.deadline
        is_asked = self.work.is_asked_to_stop()
        if is_over or is_asked or moment - self.kept >= limits.checkpoint_seconds:
            self._keep(now)
            self.kept = time.monotonic()
        if is_asked:
            raise KeyboardInterrupt
        if is_over:
            raise OutOfTimeError
        if limits.memory_bytes is not None:
            require_room(limits.memory_bytes, 0, f"{self.chunk.name}, trained as {len(self.chunk.cells)} runs at once,")

    def _keep(self, now: Underway) -> None:
        underway, tensors = packed(now)
        about: dict[str, Any] = {**_about(self.work, self.chunk), "underway": underway, "seconds": self.seconds}
        if self.probing is not None:
            rows = self.probing.taken().rows()
            about["probes"] = [row[:-1] for row in rows]
            tensors["probes"] = np.array([row[-1] for row in rows], np.float64)
        with writing_to(self.work.store.folder):
            self.work.store.checkpoints.write(self.chunk, about, tensors)


def _about(work: Work, chunk: Chunk) -> dict[str, Any]:
    """Return what must be the same for a checkpoint to be gone on with."""
    cells = [[cell.seed, dict(cell.rates)] for cell in chunk.cells]
    return {IDENTITY: work.digest, "cells": cells, "engine": composition(work.laboratory)}
