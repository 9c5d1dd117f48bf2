"""From a study to runs: cells (a seed with each arm's rate), gathered into chunks that train as one program."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from normlab.study.design import Study

Stage = Literal["tuning", "report"]
CHUNK_NAME = re.compile(r"(tuning|report)-[0-9]{5,}")


@dataclass(frozen=True)
class Cell:
    """One pair of runs, or triple, …: every arm once, with the same seed."""

    seed: int
    rates: Mapping[str, float]  # by arm


@dataclass(frozen=True)
class Chunk:
    """Cells that train side by side; all arms of a chunk take turns, epoch by epoch.

    Attributes:
        stage: What it is for.
        start: Position of its first cell among all of the stage.
        cells: In order.
    """

    stage: Stage
    start: int
    cells: tuple[Cell, ...]

    @property
    def name(self) -> str:
        """Name in the study's folder."""
        return f"{self.stage}-{self.start:05d}"


def tuning_cells(study: Study) -> list[Cell]:
    """Return the cells of the search: every rate of the grid with every tuning seed, the same for all arms."""
    return [_shared(study, seed, rate) for rate in study.grid for seed in study.tuning_seed_list]


def report_cells(study: Study, chosen: Mapping[str, float] | None) -> list[Cell]:
    """Return the cells reported on: fresh seeds at each arm's chosen rate, or at every rate given."""
    if chosen is not None:
        return [Cell(seed, dict(chosen)) for seed in study.report_seeds]
    return [_shared(study, seed, rate) for rate in study.grid for seed in study.report_seeds]


def next_chunk(stage: Stage, cells: Sequence[Cell], size: int, start: int, recorded: Mapping[int, int]) -> Chunk:
    """Return the chunk that begins at a cell: as it was recorded, or else at most `size` cells.

    Args:
        stage: Of the cells.
        cells: All cells of the stage.
        size: The most cells of a new chunk.
        start: Position of the first cell.
        recorded: Of the chunks on record, by position of their first cell, how many cells they have; a new chunk ends
            where one of these begins.
    """
    if start in recorded:
        return Chunk(stage, start, tuple(cells[start : start + recorded[start]]))
    end = min([start + size, *(other for other in recorded if other > start)])
    return Chunk(stage, start, tuple(cells[start:end]))


def run_name(stage: str, arm: str, seed: int, rate: float) -> str:
    """Return the name of a run, unique in its study."""
    return f"{stage}/{arm}/{rate!r}/{seed}"


def _shared(study: Study, seed: int, rate: float) -> Cell:
    return Cell(seed, {arm.name: rate for arm in study.arms})
