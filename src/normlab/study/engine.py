"""What trains chunks: takes those that are missing, gives each back finished; the study writes them down."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import polars as pl

from normlab.study.cells import Chunk
from normlab.study.design import Study
from normlab.study.interruption import never
from normlab.study.laboratory import Laboratory
from normlab.study.limits import Limits
from normlab.study.store import Store

if TYPE_CHECKING:
    from normlab.data import Dataset


@dataclass(frozen=True)
class Finished:
    """A chunk with its records.

    Attributes:
        chunk: The chunk.
        tables: `epochs`, `runs`, and `probes` where there are any.
        seconds: Wall time of work on it, in all starts, compiling included.
    """

    chunk: Chunk
    tables: dict[str, pl.DataFrame]
    seconds: float


@dataclass(frozen=True)
class Work:
    """What an engine needs of a study.

    Attributes:
        study: The study.
        dataset: Its data.
        laboratory: Its programs.
        store: Its folder; an engine keeps checkpoints there, nothing else.
        limits: What it may use.
        deadline: When to stop, of `time.monotonic`; None for never.
        digest: What tells the study from others.
        told: Called with the chunk, the arm and the epoch, from 1, when all runs of that arm have finished it.
        is_asked_to_stop: Whether Ctrl-C was pressed.
    """

    study: Study
    dataset: Dataset
    laboratory: Laboratory
    store: Store
    limits: Limits
    deadline: float | None
    digest: str
    told: Callable[[Chunk, str, int], None]
    is_asked_to_stop: Callable[[], bool] = never


class Engine(Protocol):
    """Trains chunks."""

    def train(self, chunks: Sequence[Chunk]) -> Iterator[Finished]:
        """Train chunks and give each back once; in order where looks may end the stage.

        Raises:
            OutOfMemoryError: If one does not fit.
            OutOfTimeError: If the deadline has passed.
            KeyboardInterrupt: If Ctrl-C was pressed.
        """

    def timing(self) -> dict[str, float]:
        """Return seconds that the summary keeps, by name."""


class OutOfTimeError(Exception):
    """The deadline has passed; a checkpoint was written."""


class EngineWarning(UserWarning):
    """What an engine has to say that does not end the study."""


EngineMaker = Callable[[Work], Engine]


def composition(laboratory: Laboratory) -> dict[str, Any]:
    """Return how runs are cut into chunks and trained; with the same, numbers are the same."""
    return {
        "layout": laboratory.layout,
        "chunk_runs": laboratory.chunk_runs,
        "num_devices": laboratory.num_devices,
    }


def engine_record(laboratory: Laboratory) -> dict[str, Any]:
    """Return what is recorded of an engine: its composition, and the seconds that the layouts took."""
    return {**composition(laboratory), "layout_seconds": dict(laboratory.layout_seconds)}
