"""The figures of a report: panels, caption, and a text that says the same in numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from normlab.report.curves import Axis, Over, curve_chart, curve_numbers, shared_axis
from normlab.report.pair_figure import PAIRED_METRICS, pair_chart, pair_numbers
from normlab.report.palette import settings
from normlab.report.quantities import counted, label_of, shown, shown_rate
from normlab.report.rate_figure import rate_chart, rate_numbers
from normlab.report.records import shown_comparisons
from normlab.report.words import sentence

if TYPE_CHECKING:
    import altair as alt
    import polars as pl

    from normlab.report.channels import Chart
    from normlab.report.records import Records


@dataclass(frozen=True)
class Figure:
    """A figure of one or more panels.

    Attributes:
        key: Unique in a page.
        title: A few words.
        caption: What is drawn: the summary of the seeds, the band, what is left out.
        alt: The figure's numbers in words, for those who don't see it.
        panels: Charts without legends, side by side.
        has_legend: Whether colours stand for arms.
    """

    key: str
    title: str
    caption: str
    alt: str
    panels: list[Chart]
    has_legend: bool = True


def curve_figures(records: Records) -> list[Figure]:
    """Return the curves of loss and accuracy, of training and validation: over epochs, then over seconds."""
    quantities = [("loss", "val_loss"), ("accuracy", "val_accuracy")]
    if records.task != "classification":
        quantities = quantities[:1]
    numbers = {metric: curve_numbers(records.epochs, records.rates, metric) for pair in quantities for metric in pair}
    axes: dict[str, Axis] = {}
    for pair in quantities:
        axis = shared_axis([numbers[metric] for metric in pair], pair[0])
        axes |= dict.fromkeys(pair, axis)
    return [_curves(records, "epoch", numbers, axes), _curves(records, "seconds", numbers, axes)]


def rate_figure(records: Records) -> Figure | None:
    """Return the validation scores over learning rates, or None if the study had one rate only."""
    summary = records.summary
    if len(summary["rates"]["grid"]) < 2:
        return None
    metrics = ["val_accuracy", "val_loss"] if records.task == "classification" else ["val_loss"]
    numbers = {metric: rate_numbers(summary, metric) for metric in metrics}
    chosen = records.rates if summary["rates"]["mode"] == "tuned" else {}
    first = numbers[metrics[0]]
    has_band = first["low"].null_count() < len(first)
    caption = (
        f"Mean over the seeds of the {'tuning runs' if chosen else 'runs reported on'}; "
        f"{'the band is one standard deviation to each side' if has_band else 'one seed has no spread to show'}."
    )
    if chosen:
        caption += " A ring marks each arm’s chosen rate."
    caption += " Numbers below the axis count runs that diverged." if first["diverged"].sum() else " No run diverged."
    if any(frame["mean"].null_count() for frame in numbers.values()):
        caption += " Where a mean is not finite, there is no point."
    words = " ".join(_over_rates(frame, metric, records.arms) for metric, frame in numbers.items())
    panels = [rate_chart(frame, metric, records.arms, chosen, legend=False) for metric, frame in numbers.items()]
    return Figure("rates", "Validation scores over learning rates", caption, words, panels)


def pair_figure(records: Records) -> Figure:
    """Return the paired differences of test accuracy, test loss and epochs to the target, one panel each."""
    panels: list[Chart] = []
    words, missing, has_interval = [], 0, False
    for metric in PAIRED_METRICS:
        comparisons = shown_comparisons(records.summary, metric)
        if not comparisons:
            continue
        numbers = pair_numbers(records.runs, records.rates, metric)
        missing += numbers["difference"].null_count()
        panels.append(pair_chart(numbers, comparisons, metric, records.arms))
        words += [sentence(comparison) for comparison in comparisons]
        has_interval |= any(comparison["ci_low"] is not None for comparison in comparisons)
    caption = (
        "A dot is one seed: the arm’s run minus the baseline’s, both from the same initial values and the same order "
        "of samples. The diamond is the mean, the grey band the margin stated beforehand."
    )
    if has_interval:
        caption += " The line is the 95 % interval."
    if missing:
        caption += f" Not drawn: {counted(missing, 'difference')} of a run without a finite loss."
    return Figure("pairs", "Differences, pair by pair", caption, " ".join(words), panels, has_legend=False)


def overview(records: Records) -> alt.HConcatChart:
    """Return one chart of validation loss, and accuracy where there is one, over epochs, with a legend."""
    import altair as alt

    metrics = ["val_loss", "val_accuracy"] if records.task == "classification" else ["val_loss"]
    panels = []
    for metric in metrics:
        numbers = curve_numbers(records.epochs, records.rates, metric)
        panels.append(curve_chart(numbers, metric, "epoch", records.arms, axis=shared_axis([numbers], metric)))
    chart: alt.HConcatChart = alt.hconcat(*panels).configure(**settings())
    return chart


def _curves(records: Records, over: Over, numbers: Mapping[str, pl.DataFrame], axes: Mapping[str, Axis]) -> Figure:
    panels: list[Chart] = [
        curve_chart(frame, metric, over, records.arms, axis=axes[metric], legend=False)
        for metric, frame in numbers.items()
    ]
    most = max((max(frame["runs"].to_list(), default=0) for frame in numbers.values()), default=0)
    caption = (
        f"Lines: median of {counted(most, 'seed')}; bands: from the lower to the upper quartile."
        if most > 1
        else "One seed per arm: there is no spread to show."
    )
    if over == "seconds":
        caption += " Seconds are those of one run’s share of the program, without compiling; the median over seeds."
    caption += " Training values are means over an epoch, taken while the weights still change."
    if any(axis.is_cut for axis in axes.values()):
        caption += " Losses above the axis, of runs that diverge, are cut off."
    if any(frame["finite"].sum() < frame["runs"].sum() for frame in numbers.values()):
        caption += " A loss that is not finite counts as the largest; a line ends where half the runs have none."
    words = " ".join(_ends(frame, metric, over) for metric, frame in numbers.items())
    return Figure(f"over-{over}", f"Over {'epochs' if over == 'epoch' else 'seconds'}", caption, words, panels)


def _ends(numbers: pl.DataFrame, metric: str, over: Over) -> str:
    """Where each arm's curve ends, in words."""
    ends = numbers.filter(numbers["epoch"] == numbers["epoch"].max()).to_dicts()
    parts = [_end(row, metric, over) for row in ends]
    return f"{label_of(metric).capitalize()}: {'; '.join(parts)}."


def _end(row: Mapping[str, Any], metric: str, over: Over) -> str:
    where = f"epoch {row['epoch']}" if over == "epoch" else shown("seconds", row["seconds"])
    if row["median"] is None:
        return f"{row['arm']} has no finite median at {where}"
    spread = f" (quartiles {shown(metric, row['low'])} to {shown(metric, row['high'])})" if row["runs"] > 1 else ""
    return f"{row['arm']} ends at {shown(metric, row['median'])}{spread} at {where}"


def _over_rates(numbers: pl.DataFrame, metric: str, arms: Sequence[str]) -> str:
    """Each arm's score at each rate, in words."""
    parts = []
    for arm in arms:
        own = numbers.filter(numbers["arm"] == arm).sort("rate").to_dicts()
        scores = ", ".join(f"{shown(metric, row['mean'])} at {shown_rate(row['rate'])}" for row in own)
        diverged = sum(row["diverged"] for row in own)
        parts.append(f"{arm}: {scores}; {diverged} of {sum(row['runs'] for row in own)} runs diverged.")
    return f"{label_of(metric).capitalize()} over learning rates. {' '.join(parts)}"
