"""What a claim is: a statement, a protocol fixed beforehand, how it is measured, how it is judged, how it is shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from normlab.claims.drawing import Drawing
from normlab.claims.finding import Finding

if TYPE_CHECKING:
    import polars as pl

    from normlab.claims.bench import Bench


Kind = Literal["benefit", "limit", "property"]


def always(_: Bench) -> str:
    """Every data set and network can be asked."""
    return ""


@dataclass(frozen=True)
class Claim:
    """One thing that is said of batch normalization.

    `measure` trains or probes and returns a plain table; `judge` and `draw` are pure functions of that table, so that
    they can be tested on planted tables, and a verdict can be reached again from the evidence kept.

    Attributes:
        id: Its name on the command line.
        kind: `benefit` or `limit`, as the notebook lists it, or a `property` that follows from the definition.
        statement: What is said, as a sentence.
        protocol: How it is measured, in a line.
        metric: The primary metric, fixed before the data are seen, with its unit and which arm is set against which.
        expected: What the literature leads one to expect, with its conditions.
        source: Where that is published.
        measure: (bench) -> evidence, one row per measured thing.
        judge: (evidence) -> finding.
        draw: (evidence) -> the one figure that shows it.
        not_about: What must not move the verdict, and how that is kept out of it.
        applies: (bench) -> why it says nothing about this data or network; empty if it does.
        own_network: Whether it measures a network of its own, which needs its inputs scaled whatever the bench's does
            with them.
    """

    id: str
    kind: Kind
    statement: str
    protocol: str
    metric: str
    expected: str
    source: str
    measure: Callable[[Bench], pl.DataFrame]
    judge: Callable[[pl.DataFrame], Finding]
    draw: Callable[[pl.DataFrame], Drawing]
    not_about: str = ""
    applies: Callable[[Bench], str] = always
    own_network: bool = False
