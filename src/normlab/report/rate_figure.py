"""Scores over learning rates: mean and standard deviation over seeds, and where runs diverged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from normlab.report.channels import LABEL_WIDTH, LOG_FROM, arm_channels, inline, score_axis
from normlab.report.palette import HEIGHT, INK, WIDTH
from normlab.report.quantities import kind_of, label_of, shown, shown_rate

if TYPE_CHECKING:
    import altair as alt
    import polars as pl

    from normlab.report.channels import Chart


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
) -> Chart:
    """Draw `rate_numbers` over a logarithmic axis; rings mark chosen rates, a strip below counts diverged runs."""
    import altair as alt

    data = _marked(numbers, metric, chosen)
    arm = arm_channels(arms, legend=legend)
    rates = sorted(numbers["rate"].unique())
    x_scale = alt.Scale(type="log", domain=[rates[0] / 1.25, rates[-1] * 1.25], nice=False)
    ticks = alt.Axis(values=rates, format=".6~g", grid=False, labelOverlap=True)
    low, high, is_log = _range(numbers, metric)
    y_scale = alt.Scale(type="log" if is_log else "linear", domain=[low, high], nice=False, zero=False)
    y_axis = score_axis(metric, low, high, is_log=is_log)
    base = alt.Chart(inline(data)).encode(
        x=alt.X("rate:Q", scale=x_scale, axis=ticks, title="learning rate"), color=arm.colour
    )
    y = alt.Y("mean:Q", scale=y_scale, axis=y_axis)
    band = base.mark_area(opacity=0.14, clip=True, aria=False).encode(
        y=alt.Y("low:Q", scale=y_scale, axis=y_axis), y2="high:Q"
    )
    line = base.mark_line(strokeWidth=2, aria=False).encode(y=y, strokeDash=arm.dash)
    points = base.mark_point(size=42, filled=True, opacity=1).encode(y=y, shape=arm.shape, description="text:N")
    rings = (
        base.transform_filter("datum.is_chosen")
        .mark_point(size=210, filled=False, strokeWidth=1.6, opacity=1, shape="circle", aria=False)
        .encode(y=y)
    )
    title = f"{label_of(metric)} after the last epoch"
    layers = alt.layer(band, line, points, rings).properties(width=WIDTH, height=HEIGHT, title=title)
    if not numbers["diverged"].sum():
        return layers
    return alt.vconcat(layers, _strip(numbers, x_scale, arm.colour, arms), spacing=4)


def _strip(numbers: pl.DataFrame, x_scale: alt.Scale, colour: alt.Color, arms: Sequence[str]) -> Chart:
    """One line per arm with `diverged/runs` at each rate where any run diverged."""
    import altair as alt
    import polars as pl

    data = numbers.filter(pl.col("diverged") > 0).with_columns(pl.format("{}/{}", "diverged", "runs").alias("count"))
    present = [arm for arm in arms if arm in set(data["arm"])]
    plain = alt.Axis(labels=False, ticks=False, grid=False, title=None, domain=False)
    names = alt.Axis(title=None, minExtent=LABEL_WIDTH, labelLimit=110, ticks=False, domain=False)
    strip: Chart = (
        alt.Chart(inline(data))
        .mark_text(fontSize=12, fontWeight=600)
        .encode(
            x=alt.X("rate:Q", scale=x_scale, axis=plain),
            y=alt.Y("arm:N", scale=alt.Scale(domain=present), axis=names),
            text="count:N",
            color=colour,
        )
        .properties(
            width=WIDTH,
            height=20 * len(present),
            title=alt.Title("runs that diverged", fontSize=12, fontWeight="normal", color=INK, offset=2),
        )
    )
    return strip


def _marked(numbers: pl.DataFrame, metric: str, chosen: Mapping[str, float]) -> pl.DataFrame:
    """Add what a point says under the pointer, and whether its rate was chosen."""
    import polars as pl

    rows = numbers.to_dicts()
    return numbers.with_columns(
        pl.Series("text", [_spoken(row, metric) for row in rows], dtype=pl.String),
        pl.Series("is_chosen", [chosen.get(row["arm"]) == row["rate"] for row in rows], dtype=pl.Boolean),
    )


def _range(numbers: pl.DataFrame, metric: str) -> tuple[float, float, bool]:
    """Return the ends of the y axis, and whether it is logarithmic."""
    values = [value for name in ("mean", "low", "high") for value in numbers[name].drop_nulls().to_list()]
    low, high = min(values, default=0.0), max(values, default=1.0)
    if kind_of(metric) == "share":
        room = max(0.03 * (high - low), 0.002)
        return max(low - room, 0.0), high + room, False
    if low > 0 and high / low > LOG_FROM:
        return low / 1.1, high * 1.1, True
    return min(low, 0.0), high * 1.05 or 1.0, False


def _spoken(row: Mapping[str, Any], metric: str) -> str:
    diverged = f", {row['diverged']} of {row['runs']} runs diverged" if row["diverged"] else ""
    return f"{row['arm']}, rate {shown_rate(row['rate'])}: {shown(metric, row['mean'])}{diverged}"
