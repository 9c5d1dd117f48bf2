"""Paired differences: one dot per seed, the mean and its interval."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from normlab.report.channels import LABEL_WIDTH, inline
from normlab.report.palette import BASELINE, colours
from normlab.report.quantities import difference_scale, kind_of, label_of

if TYPE_CHECKING:
    import polars as pl

    from normlab.report.channels import Chart

PANEL_WIDTH = 270
PAIRED_METRICS = ("test_accuracy", "test_loss", "epochs_to_target")


def pair_numbers(runs: pl.DataFrame, rates: Mapping[str, float], metric: str) -> pl.DataFrame:
    """Return one row per arm and seed: arm, seed, difference (arm minus baseline); null where it is not finite.

    Of the reported runs, each arm at its rate in `rates`, whose first arm is the baseline. Epochs to a target that was
    never reached count as the epochs trained, as in the comparisons. A diverged run has no test loss to draw; the
    comparison counts it as the cap of losses.
    """
    import polars as pl

    value = pl.col(metric)
    if metric == "epochs_to_target":
        value = pl.min_horizontal(value, pl.col("epochs").cast(pl.Float64))
    elif kind_of(metric) != "share":
        value = pl.when(value.is_finite() & ~pl.col("diverged")).then(value)
    baseline, *others = rates
    values = runs.filter(pl.col("stage") == "report").select("arm", "seed", "rate", value=value)
    of_baseline = values.filter((pl.col("arm") == baseline) & (pl.col("rate") == rates[baseline]))
    frames = []
    for arm in others:
        own = values.filter((pl.col("arm") == arm) & (pl.col("rate") == rates[arm]))
        joined = own.join(of_baseline.select("seed", base="value"), on="seed").sort("seed")
        difference = pl.col("value") - pl.col("base")
        frames.append(joined.select("arm", "seed", difference=pl.when(difference.is_finite()).then(difference)))
    empty = pl.DataFrame(schema={"arm": pl.String, "seed": pl.Int64, "difference": pl.Float64})
    return pl.concat([empty, *frames])


def pair_chart(
    numbers: pl.DataFrame, comparisons: Sequence[Mapping[str, Any]], metric: str, arms: Sequence[str]
) -> Chart:
    """Draw `pair_numbers`: dots, above them the mean with its 95 % interval, and the margin as a grey band."""
    import altair as alt
    import polars as pl

    scale = difference_scale(metric, [*numbers["difference"].to_list(), *(row["difference"] for row in comparisons)])
    data = numbers.drop_nulls().with_columns(
        pl.col("difference") * scale.factor,
        text=pl.struct("arm", "seed", "difference").map_elements(
            lambda row: f"{row['arm']}, seed {row['seed']}: {scale.quantity(row['difference'], signed=True)}",
            return_dtype=pl.String,
        ),
    )
    factors = [(row, scale.factor) for row in comparisons if row["difference"] is not None]
    means = pl.DataFrame(
        [
            {"arm": row["arm"], **{name: _times(row[name], factor) for name in ("difference", "ci_low", "ci_high")}}
            for row, factor in factors
        ],
        schema={"arm": pl.String, "difference": pl.Float64, "ci_low": pl.Float64, "ci_high": pl.Float64},
    )
    others = [arm for arm in arms if arm in {row["arm"] for row in comparisons}]
    palette = colours(arms)
    colour = alt.Color("arm:N", scale=alt.Scale(domain=list(palette), range=list(palette.values())), legend=None)
    y = alt.Y(
        "arm:N",
        scale=alt.Scale(domain=others, paddingInner=0.2, paddingOuter=0.2),
        axis=alt.Axis(title=None, grid=False, ticks=False, domain=False, minExtent=LABEL_WIDTH, labelLimit=120),
    )
    baseline = arms[0]
    title = f"{_title_unit(scale.unit)}, arm minus {baseline}"
    x = alt.X(
        "difference:Q",
        title=title,
        axis=alt.Axis(tickCount=4, format=".6~g", labelOverlap="greedy"),
        scale=alt.Scale(zero=True, nice=False, padding=14),
    )
    margin = max((_times(row["margin"], scale.factor) or 0.0 for row in comparisons), default=0.0)
    band = alt.Chart(alt.InlineData(values=[{"low": -margin, "high": margin}])).mark_rect(
        color="#9aa0a6", opacity=0.16, aria=False
    )
    zero = alt.Chart(alt.InlineData(values=[{"zero": 0.0}])).mark_rule(color=BASELINE, strokeWidth=1.2, aria=False)
    dots = alt.Chart(inline(data)).mark_circle(size=46, opacity=0.5, yOffset=8)
    mean = alt.Chart(inline(means))
    layers = [
        band.encode(x=alt.X("low:Q", title=title), x2="high:Q"),
        zero.encode(x=alt.X("zero:Q", title=title)),
        dots.encode(x=x, y=y, color=colour, description="text:N"),
        mean.mark_rule(strokeWidth=2.5, yOffset=-9, aria=False).encode(
            x=alt.X("ci_low:Q", title=title), x2="ci_high:Q", y=y, color=colour
        ),
        mean.mark_point(filled=True, size=90, shape="diamond", opacity=1, yOffset=-9, aria=False).encode(
            x=x, y=y, color=colour
        ),
    ]
    return alt.layer(*layers).properties(width=PANEL_WIDTH, height=max(52 * len(others), 70), title=label_of(metric))


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None or not math.isfinite(value) else value * factor


def _title_unit(unit: str) -> str:
    return f"difference in {unit}" if unit else "difference"
