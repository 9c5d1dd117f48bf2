"""Scores over learning rates: mean and standard deviation over seeds, and where runs diverged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from normlab.report.palette import DASHES, HEIGHT, INK, SHAPES, WIDTH, colours
from normlab.report.quantities import kind_of, label_of, shown, shown_rate

if TYPE_CHECKING:
    import altair as alt
    import polars as pl


def grid_rows(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of `by_rate` in which every arm was trained at every rate: the tuning runs, if any."""
    stage = "tuning" if summary["rates"]["mode"] == "tuned" else "report"
    return [row for row in summary["by_rate"] if row["stage"] == stage]


def rate_metric(task: str) -> str:
    """Return the score by which rates are judged."""
    return "val_accuracy" if task == "classification" else "val_loss"


def rate_numbers(summary: Mapping[str, Any], metric: str) -> pl.DataFrame:
    """Return one row per arm and rate: arm, rate, mean, low, high (one standard deviation), runs, diverged.

    `mean`, `low` and `high` are null where the mean is not finite; the band is null with one run. An accuracy's band is
    kept inside 0 and 1, a loss's above 0.
    """
    import polars as pl

    is_share = kind_of(metric) == "share"
    rows = []
    for row in grid_rows(summary):
        mean, deviation = row[f"{metric}_mean"], row[f"{metric}_sd"]
        has_band = mean is not None and deviation is not None
        rows.append(
            {
                "arm": row["arm"],
                "rate": float(row["rate"]),
                "mean": mean,
                "low": max(mean - deviation, 0.0 if is_share else mean / 10) if has_band else None,
                "high": min(mean + deviation, 1.0 if is_share else mean + deviation) if has_band else None,
                "runs": row["runs"],
                "diverged": row["diverged"],
            }
        )
    schema = {"arm": pl.String, "rate": pl.Float64, "mean": pl.Float64, "low": pl.Float64, "high": pl.Float64}
    return pl.DataFrame(rows, schema={**schema, "runs": pl.Int64, "diverged": pl.Int64})


def rate_chart(
    numbers: pl.DataFrame, metric: str, arms: Sequence[str], chosen: Mapping[str, float], *, legend: bool = True
) -> alt.LayerChart | alt.VConcatChart:
    """Draw `rate_numbers` over a logarithmic axis; rings mark chosen rates, a strip below counts diverged runs."""
    import altair as alt
    import polars as pl

    is_share = kind_of(metric) == "share"
    data = numbers.with_columns(
        pl.struct(pl.all()).map_elements(lambda row: _spoken(row, metric), return_dtype=pl.String).alias("text"),
        pl.struct("arm", "rate")
        .map_elements(lambda row: chosen.get(row["arm"]) == row["rate"], return_dtype=pl.Boolean)
        .alias("is_chosen"),
    )
    palette = colours(arms)
    names = list(palette)
    rates = sorted(numbers["rate"].unique())
    scale = alt.Scale(type="log", domain=[rates[0] / 1.25, rates[-1] * 1.25], nice=False)
    labels = alt.Axis(values=rates, format=".6~g", grid=False, labelOverlap=True)
    colour = alt.Color(
        "arm:N",
        scale=alt.Scale(domain=names, range=list(palette.values())),
        legend=alt.Legend(columns=4) if legend else None,
    )
    dash = alt.StrokeDash(
        "arm:N", scale=alt.Scale(domain=names, range=[DASHES[i % len(DASHES)] for i in range(len(names))]), legend=None
    )
    shape = alt.Shape(
        "arm:N", scale=alt.Scale(domain=names, range=[SHAPES[i % len(SHAPES)] for i in range(len(names))]), legend=None
    )
    y_axis = alt.Axis(format="~%" if is_share else ".6~g", title=None, minExtent=44, tickCount=5)
    y_scale = _y_scale(numbers, is_share)
    base = alt.Chart(alt.Data(values=data.to_dicts())).encode(
        x=alt.X("rate:Q", scale=scale, axis=labels, title="learning rate"), color=colour
    )
    y = alt.Y("mean:Q", scale=y_scale, axis=y_axis)
    band = base.mark_area(opacity=0.14, clip=True, aria=False).encode(
        y=alt.Y("low:Q", scale=y_scale, axis=y_axis), y2="high:Q"
    )
    line = base.mark_line(strokeWidth=2, clip=True, aria=False).encode(y=y, strokeDash=dash)
    points = base.mark_point(size=42, filled=True, opacity=1, clip=True).encode(y=y, shape=shape, description="text:N")
    rings = (
        base.transform_filter("datum.is_chosen")
        .mark_point(size=210, filled=False, strokeWidth=1.6, opacity=1, shape="circle", aria=False)
        .encode(y=y)
    )
    layers = alt.layer(band, line, points, rings).properties(
        width=2 * WIDTH, height=HEIGHT, title=f"{label_of(metric)} after the last epoch"
    )
    diverged = data.filter(pl.col("diverged") > 0)
    if diverged.is_empty():
        return layers
    return alt.vconcat(layers, _strip(diverged, scale, labels, colour, names), spacing=4)


def _strip(
    diverged: pl.DataFrame, scale: alt.Scale, labels: alt.Axis, colour: alt.Color, names: list[str]
) -> alt.Chart:
    """One line per arm with `diverged/runs` at each rate where any run diverged."""
    import altair as alt
    import polars as pl

    data = diverged.with_columns(pl.format("{}/{}", "diverged", "runs").alias("count"))
    present = [name for name in names if name in set(data["arm"])]
    return (
        alt.Chart(alt.Data(values=data.to_dicts()))
        .mark_text(fontSize=12, fontWeight=600)
        .encode(
            x=alt.X(
                "rate:Q", scale=scale, axis=alt.Axis(labels=False, ticks=False, grid=False, title=None, domain=False)
            ),
            y=alt.Y(
                "arm:N",
                scale=alt.Scale(domain=present),
                axis=alt.Axis(title=None, minExtent=44, labelLimit=110, ticks=False, domain=False),
            ),
            text="count:N",
            color=colour,
        )
        .properties(
            width=2 * WIDTH,
            height=20 * len(present),
            title=alt.Title("runs that diverged", fontSize=12, fontWeight="normal", color=INK, offset=2),
        )
    )


def _y_scale(numbers: pl.DataFrame, is_share: bool) -> alt.Scale:
    import altair as alt
    import polars as pl

    ends = numbers.select(
        pl.min_horizontal(pl.col("mean", "low").min()).alias("low"),
        pl.max_horizontal(pl.col("mean", "high").max()).alias("high"),
    ).row(0)
    low, high = (end if end is not None else default for end, default in zip(ends, (0.0, 1.0), strict=True))
    if is_share:
        room = max(0.03 * (high - low), 0.002)
        return alt.Scale(domain=[max(low - room, 0.0), high + room], nice=False, zero=False)
    if low > 0 and high / low > 8:
        return alt.Scale(type="log", domain=[low / 1.1, high * 1.1], nice=False)
    return alt.Scale(domain=[min(low, 0.0), high * 1.05 or 1.0], nice=False)


def _spoken(row: Mapping[str, Any], metric: str) -> str:
    diverged = f", {row['diverged']} of {row['runs']} runs diverged" if row["diverged"] else ""
    return f"{row['arm']}, rate {shown_rate(row['rate'])}: {shown(metric, row['mean'])}{diverged}"
