"""From a study to runs: cells (a seed with each arm's rate), gathered into chunks that train as one program."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from normlab.study.design import Study
from normlab.study.seeds import FIRST_LOOK

if TYPE_CHECKING:
    from normlab.study.rates import Choice

Stage = Literal["tuning", "report", "alternative"]
CHUNK_NAME = re.compile(r"(tuning|report|alternative)-[0-9]{5,}")


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
        number: Position among the chunks of its stage; the order of turns goes on from chunk to chunk by it.
    """

    stage: Stage
    start: int
    cells: tuple[Cell, ...]
    number: int = 0

    @property
    def name(self) -> str:
        """Name in the study's folder."""
        return f"{self.stage}-{self.start:05d}"


def tuning_cells(study: Study, grid: Sequence[float] | None = None) -> list[Cell]:
    """Return the cells of the search: every rate of the grid with every tuning seed, the same for all arms.

    `grid` is the study's by default; where it was extended, the rates added come last.
    """
    return [_shared(study, seed, rate) for rate in grid or study.grid for seed in study.tuning_seed_list]


def report_cells(study: Study, chosen: Mapping[str, float] | None) -> list[Cell]:
    """Return the cells reported on: fresh seeds at each arm's chosen rate, or at every rate given."""
    if chosen is not None:
        return [Cell(seed, dict(chosen)) for seed in study.report_seeds]
    return [_shared(study, seed, rate) for rate in study.grid for seed in study.report_seeds]


def alternative_cells(study: Study, chosen: Mapping[str, Choice]) -> list[Cell]:
    """Return the cells at the other rates that may be any arm's best: the same seeds as in the report.

    All arms are trained at all of these rates, each at its own chosen one in the report. Where seeds are "auto", this
    is done for every `FIRST_LOOK` seeds before the next, so that an interim analysis finds all runs of its seeds.
    """
    from normlab.study.rates import possible_rates

    possible = possible_rates(chosen)
    others = {arm: [rate for rate in possible if rate != choice.rate] for arm, choice in chosen.items()}
    size = FIRST_LOOK if study.seeds == "auto" else study.most_seeds
    return [
        Cell(seed, {arm: rates[place] for arm, rates in others.items()})
        for start in range(0, study.most_seeds, size)
        for place in range(len(possible) - 1)
        for seed in study.report_seeds[start : start + size]
    ]


def chunks(stage: Stage, cells: Sequence[Cell], size: int, recorded: Mapping[int, int] | None = None) -> list[Chunk]:
    """Cut the cells of a stage into chunks, in order.

    Args:
        stage: Of the cells.
        cells: All of the stage.
        size: The most cells of a new chunk.
        recorded: Of the chunks on record, by position of their first cell, how many cells they have; these stay.
    """
    known = recorded or {}
    cut: list[Chunk] = []
    start = 0
    while start < len(cells):
        end = start + known[start] if start in known else min([start + size, *(at for at in known if at > start)])
        cut.append(Chunk(stage, start, tuple(cells[start:end]), len(cut)))
        start = end
    return cut


def run_name(stage: str, arm: str, seed: int, rate: float) -> str:
    """Return the name of a run, unique in its study."""
    return f"{stage}/{arm}/{rate!r}/{seed}"


def _shared(study: Study, seed: int, rate: float) -> Cell:
    return Cell(seed, {arm.name: rate for arm in study.arms})
