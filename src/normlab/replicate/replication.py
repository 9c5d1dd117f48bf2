"""What a replication is: figures that were published or follow from theory, each beside what was measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from normlab.claims.bench import Budget

if TYPE_CHECKING:
    from normlab.study.progress import Progress


@dataclass(frozen=True)
class Checked:
    """One figure.

    Attributes:
        what: Which quantity, with its unit.
        expected: The figure as published or derived, or what the source says of it.
        measured: What came out, with its spread where it has one.
        tolerance: What counts as agreement.
        agrees: Whether it does.
        known: What is known of the cause, where it is known not to.
    """

    what: str
    expected: str
    measured: str
    tolerance: str
    agrees: bool
    known: str = ""


@dataclass(frozen=True)
class Setting:
    """What a replication is run with.

    Attributes:
        budget: `quick` or `full`.
        data_dir: Folder of the named data sets.
        seeds: Runs of each arm; None for the replication's own number.
        out: Folder for its records; None for a new one under runs/, where it keeps any.
        watch: Called after every epoch of every arm, where it trains a study.
    """

    budget: Budget
    data_dir: Path | None
    seeds: int | None
    out: Path | None
    watch: Callable[[Progress], None]


@dataclass(frozen=True)
class Replication:
    """A published or derived result that can be checked here.

    Attributes:
        id: Its name on the command line.
        title: What it is, in a line.
        source: Where it is published, or what it is derived from.
        run: Trains or probes, and returns every figure.
        usual: The budget where none is asked for: `full` where that takes minutes, `quick` where it takes longer.
    """

    id: str
    title: str
    source: str
    run: Callable[[Setting], list[Checked]]
    usual: Budget = "quick"
