"""`normlab across`: the same arms on several data sets."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from normlab.cli.console import new_console

if TYPE_CHECKING:
    from normlab.report.across import Across
    from normlab.stats.bootstrap import Interval


def across(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(metavar="DIR DIR...", help="Finished studies of the same arms, each on its own data set."),
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option(help="test_accuracy, test_loss or epochs_to_target. Default: the studies' primary metric."),
    ] = None,
) -> None:
    """Compare arms over several data sets: interquartile means, and how often an arm beats the baseline."""
    from normlab.report.across import read_across

    _show(read_across(folders or [], metric))


def _show(found: Across) -> None:
    from rich import box
    from rich.table import Table

    from normlab.report.quantities import counted, difference_scale, listed, value_scale
    from normlab.stats.bootstrap import FEWEST_PAIRS

    effects = list(found.arms.values())
    means = value_scale(found.metric.name, [effects[0].baseline_mean, *(one.mean for one in effects)])
    differences = difference_scale(found.metric.name, [one.difference for one in effects])
    shares = value_scale("test_accuracy", [])  # a share of pairings, in per cent

    def bounds(interval: Interval, kind: str) -> str:
        scale = {"mean": means, "difference": differences, "share": shares}[kind]
        signed = kind == "difference"
        if not math.isfinite(interval.low):
            return "no interval"
        return f"{scale.number(interval.low, signed=signed)} to {scale.number(interval.high, signed=signed)}"

    table = Table(
        "arm", "interquartile mean", f"minus {found.baseline}", f"beats {found.baseline}", box=box.SIMPLE_HEAD
    )
    first = effects[0]
    table.add_row(found.baseline, f"{means.quantity(first.baseline_mean)}\n{bounds(first.baseline_interval, 'mean')}")
    for arm, one in found.arms.items():
        table.add_row(
            arm,
            f"{means.quantity(one.mean)}\n{bounds(one.mean_interval, 'mean')}",
            f"{differences.quantity(one.difference, signed=True)}\n{bounds(one.difference_interval, 'difference')}",
            f"{shares.quantity(one.probability)}\n{bounds(one.probability_interval, 'share')}",
        )
    console = new_console()
    direction = "more" if found.metric.higher_is_better else "less"
    console.print(
        f"{found.metric.label} ({direction} is better) over {counted(len(found.data_sets), 'data set')}: "
        f"{listed(found.data_sets)}; {counted(min(found.pairs), 'pair')} on each."
    )
    if max(found.pairs) > min(found.pairs):
        numbers = listed([f"{n} on {name}" for name, n in zip(found.data_sets, found.pairs, strict=True)])
        console.print(f"Note: there are {numbers}; the first {min(found.pairs)} by seed are compared.")
    lost = [f"{number} of {arm}" for arm, number in found.diverged.items() if number]
    if lost:
        console.print(f"Note: runs that diverged, and count: {listed(lost)}.")
    console.print(table)
    below = "Below each: 95 % interval, over new seeds on these data sets, not new data sets."
    if min(found.pairs) < FEWEST_PAIRS:
        below = f"Fewer than {FEWEST_PAIRS} pairs on each data set give no interval."
    console.print(
        f"{below} Beats: how often a run of an arm is better than one of {found.baseline} on the same data set; "
        "50 % by chance."
    )
