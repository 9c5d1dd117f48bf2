"""Curves of training: the median over seeds with its quartiles, over epochs or over seconds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from normlab.report.channels import LOG_FROM, arm_channels, inline, score_axis
from normlab.report.palette import HEIGHT, WIDTH
from normlab.report.quantities import kind_of, label_of, shown

if TYPE_CHECKING:
    import altair as alt
    import polars as pl

    from normlab.report.channels import Chart

Over = Literal["epoch", "seconds"]

# More points than this make a page heavy and hide the line.
_MOST_POINTS = 120
# A panel is 400 points wide: more epochs than this cannot be seen, but weigh.
_MOST_EPOCHS = 200
# An axis of losses ends here above their median: one diverging run must not flatten all others.
_HIGHEST_OVER_MEDIAN = 100.0


@dataclass(frozen=True)
class Axis:
    """The y axis that panels share.

    Attributes:
        low: Lowest value drawn.
        high: Highest value drawn; what lies above is cut off.
        is_log: Whether the axis is logarithmic.
        is_cut: Whether anything lies outside.
    """

    low: float
    high: float
    is_log: bool
    is_cut: bool


def curve_numbers(epochs: pl.DataFrame, rates: Mapping[str, float], metric: str) -> pl.DataFrame:
    """Return one row per arm and epoch: arm, epoch, seconds, median, low, high, runs, finite.

    Over the reported runs of each arm at its rate in `rates`: the median and the quartiles (`low`, `high`; linear
    between order statistics, as NumPy's default) of the column `metric`, and the median seconds of training until the
    end of the epoch. A value that is not finite counts as the worst, so a quantile that falls among such values is
    null: a curve ends where half of the runs have diverged. Null values (no accuracy) give no rows.
    """
    import polars as pl

    worst = -math.inf if kind_of(metric) == "share" else math.inf
    at_rate = pl.any_horizontal(
        [pl.lit(False), *((pl.col("arm") == arm) & (pl.col("rate") == rate) for arm, rate in rates.items())]
    )
    value = pl.when(pl.col(metric).is_finite()).then(pl.col(metric)).otherwise(worst).alias("value")
    runs = (
        epochs.filter((pl.col("stage") == "report") & at_rate & pl.col(metric).is_not_null())
        .sort("run", "epoch")
        .with_columns(value, pl.col("seconds").cum_sum().over("run"))
    )
    quantiles = [
        pl.col("value").quantile(level, "linear").alias(name)
        for name, level in (("low", 0.25), ("median", 0.5), ("high", 0.75))
    ]
    order = {arm: index for index, arm in enumerate(rates)}
    return (
        runs.group_by("arm", "epoch")
        .agg(
            pl.col("seconds").median(),
            *quantiles,
            pl.len().alias("runs"),
            pl.col("value").is_finite().sum().alias("finite"),
        )
        .with_columns(
            pl.when(pl.col(name).is_finite()).then(pl.col(name)).alias(name) for name in ("low", "median", "high")
        )
        .sort(pl.col("arm").replace_strict(order, return_dtype=pl.Int64, default=None), "epoch")
    )


def shared_axis(panels: Sequence[pl.DataFrame], metric: str) -> Axis:
    """Return one y axis for panels of `curve_numbers` of the same kind of metric."""
    values = [
        value
        for numbers in panels
        for name in ("low", "median", "high")
        for value in numbers[name].drop_nulls().to_list()
    ]
    medians = sorted(value for numbers in panels for value in numbers["median"].drop_nulls().to_list())
    if not values or not medians:
        return Axis(0.0, 1.0, False, False)
    low, high = min(values), max(values)
    if kind_of(metric) == "share":
        room = max(0.02 * (high - low), 0.001)
        return Axis(max(low - room, 0.0), high + room, False, False)
    limit = _HIGHEST_OVER_MEDIAN * medians[len(medians) // 2]
    is_cut = high > limit > 0.0
    high = limit if is_cut else high
    if low > 0.0 and high / low >= LOG_FROM:
        return Axis(low / 1.1, high * 1.1, True, is_cut)
    return Axis(min(low, 0.0), high * 1.03 if high > 0 else 1.0, False, is_cut)


def curve_chart(
    numbers: pl.DataFrame, metric: str, over: Over, arms: Sequence[str], *, axis: Axis, legend: bool = True
) -> Chart:
    """Draw `curve_numbers`: a line of medians, a band between the quartiles, and points where they are few."""
    import altair as alt
    import polars as pl

    # A band with one end only would be drawn to the axis.
    has_band = pl.col("low").is_not_null() & pl.col("high").is_not_null()
    data = _thinned(numbers).with_columns(
        *(pl.when(has_band).then(pl.col(name)).alias(name) for name in ("low", "high")),
        pl.struct("arm", "epoch", "median", "low", "high", "runs")
        .map_elements(lambda row: _spoken(row, metric), return_dtype=pl.String)
        .alias("text"),
    )
    arm = arm_channels(arms, legend=legend)
    y_axis = score_axis(metric, axis.low, axis.high, is_log=axis.is_log)
    scale = alt.Scale(domain=[axis.low, axis.high], type="log" if axis.is_log else "linear", nice=False, zero=False)
    base = alt.Chart(inline(data)).encode(x=_x(numbers, over), color=arm.colour)
    band = base.mark_area(opacity=0.16, clip=True, aria=False).encode(
        y=alt.Y("low:Q", scale=scale, axis=y_axis), y2="high:Q"
    )
    line = base.mark_line(strokeWidth=2, clip=True, aria=False).encode(
        y=alt.Y("median:Q", scale=scale, axis=y_axis), strokeDash=arm.dash
    )
    layers = [band, line] if numbers["runs"].max() != 1 else [line]
    if len(numbers) <= _MOST_POINTS:
        layers.append(
            base.mark_point(size=34, filled=True, opacity=1, clip=axis.is_cut).encode(
                y=alt.Y("median:Q", scale=scale, axis=y_axis), shape=arm.shape, description="text:N"
            )
        )
    return alt.layer(*layers).properties(width=WIDTH, height=HEIGHT, title=label_of(metric))


def _x(numbers: pl.DataFrame, over: Over) -> alt.X:
    import altair as alt

    if over == "epoch":
        ticks = alt.Axis(values=_epoch_ticks(numbers), grid=False, format="d")
        return alt.X("epoch:Q", title="epoch", scale=alt.Scale(zero=False, nice=False), axis=ticks)
    ticks = alt.Axis(tickCount=5, grid=False, format=".6~g")
    return alt.X("seconds:Q", title="seconds of training", scale=alt.Scale(zero=True, nice=False), axis=ticks)


def _epoch_ticks(numbers: pl.DataFrame) -> list[int]:
    """About six epochs, the first among them."""
    last = max(numbers["epoch"].to_list(), default=1)
    power = 10 ** int(math.log10(max(last / 6, 1)))
    step = next(power * size for size in (1, 2, 5, 10) if power * size >= last / 6)
    return sorted({1, *range(step, last + 1, step)})


def _thinned(numbers: pl.DataFrame) -> pl.DataFrame:
    """Keep at most `_MOST_EPOCHS` epochs, evenly spaced, the last among them."""
    import polars as pl

    last = max(numbers["epoch"].to_list(), default=0)
    every = -(-last // _MOST_EPOCHS)
    return numbers if every <= 1 else numbers.filter((last - pl.col("epoch")) % every == 0)


def _spoken(row: Mapping[str, object], metric: str) -> str:
    """What a point says under the pointer."""
    median, low, high = (shown(metric, row[name]) for name in ("median", "low", "high"))  # type: ignore[arg-type]
    spread = f", quartiles {low} to {high}" if row["runs"] != 1 else ""
    return f"{row['arm']}, epoch {row['epoch']}: {median}{spread}"
