"""What a reader must be warned of: rates at the edge of the grid or left open, and runs that diverged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from normlab.report.quantities import listed, shown_rate
from normlab.report.rate_figure import grid_rows
from normlab.report.records import shown_rows

if TYPE_CHECKING:
    from normlab.report.records import Records


def edges(records: Records) -> list[str]:
    """Warn where a chosen rate lies at the edge of the grid."""
    rates = records.summary["rates"]
    if rates["mode"] != "tuned":
        return []
    at_edge = [arm for arm in records.arms if rates["at_edge"].get(arm)]
    if not at_edge:
        return []
    where = listed([f"{arm} ({shown_rate(rates['chosen'][arm])})" for arm in at_edge])
    return [
        f"The chosen rate lies at the edge of the grid for {where}: a better rate may lie beyond, so the comparison "
        "may be unfair."
    ]


def open_rates(summary: Mapping[str, Any]) -> list[str]:
    """Say which arms have several rates that may be the best, and what that means for their verdicts."""
    possible = summary["rates"].get("possible", {})
    several = {arm: rates for arm, rates in possible.items() if len(rates) > 1}
    if not several:
        return []
    which = [f"{arm} ({' or '.join(shown_rate(rate) for rate in rates)})" for arm, rates in several.items()]
    return [
        f"The tuning runs do not settle the best rate of {listed(which)}. Every arm was trained at each of these, "
        "and at the tuned rates every run is the one that its own validation data choose."
    ]


def unstable(records: Records) -> list[str]:
    """Warn where every rate of the grid diverged, so that the chosen one did too."""
    chosen = records.rates if records.summary["rates"]["mode"] == "tuned" else {}
    lost = [
        f"{row['diverged']} of {row['runs']} tuning runs of {row['arm']}"
        for row in grid_rows(records.summary)
        if row["diverged"] and chosen.get(row["arm"]) == row["rate"]
    ]
    return [f"No rate of the grid was free of divergence: {listed(lost)} diverged at the chosen one."] if lost else []


def divergence(records: Records) -> list[str]:
    """Say which of the runs reported on diverged."""
    lost = [
        f"{row['diverged']} of {row['runs']} runs of {arm}"
        for arm, row in shown_rows(records.summary).items()
        if row["diverged"]
    ]
    return [f"Diverged: {listed(lost)}. They are kept and count in every comparison."] if lost else []
