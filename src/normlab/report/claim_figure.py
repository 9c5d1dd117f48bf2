"""The one figure of a claim, drawn from its numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from normlab.report.channels import arm_channels
from normlab.report.palette import HEIGHT, INK

if TYPE_CHECKING:
    import altair as alt

    from normlab.report.channels import Chart

WIDTH = 620
# Fewer points than this on a line are marked one by one.
FEW_POINTS = 80


def claim_chart(drawing: Mapping[str, Any]) -> Chart:
    """Return the chart of a drawing as `normlab.claims.drawing.Drawing` describes it."""
    import altair as alt

    rows = [row for row in drawing["rows"] if row["y"] is not None and row["x"] is not None]
    series = list(dict.fromkeys(row["series"] for row in rows))
    has_band = any(row.get("low") is not None and row.get("high") is not None for row in rows)
    channels = arm_channels(series, legend=len(series) > 1, field="series")
    base = alt.Chart(alt.InlineData(values=rows)).encode(color=channels.colour)
    x, y = _x(drawing), _y(drawing, "y")
    layers = _reference(drawing)
    if drawing["kind"] == "lines":
        if has_band:
            band = {"y": _y(drawing, "low"), "y2": "high:Q"}
            layers.append(base.mark_area(opacity=0.16, clip=True, aria=False).encode(x=x, **band))
        layers.append(base.mark_line(strokeWidth=2, clip=True, aria=False).encode(x=x, y=y, strokeDash=channels.dash))
        if len(rows) <= FEW_POINTS:
            layers.append(base.mark_point(filled=True, opacity=1, size=38).encode(x=x, y=y, shape=channels.shape))
    else:
        offset = alt.XOffset("series:N", sort=series)
        if has_band:
            layers.append(base.mark_rule(strokeWidth=2).encode(x=x, xOffset=offset, y=_y(drawing, "low"), y2="high:Q"))
        marks = base.mark_point(filled=True, opacity=1, size=70)
        layers.append(marks.encode(x=x, xOffset=offset, y=y, shape=channels.shape))
    return alt.layer(*layers).properties(width=WIDTH, height=HEIGHT)


def _x(drawing: Mapping[str, Any]) -> alt.X:
    import altair as alt

    if drawing["kind"] == "points":
        order = list(dict.fromkeys(row["x"] for row in drawing["rows"]))
        return alt.X("x:N", title=drawing["x"], sort=order, axis=alt.Axis(labelAngle=0))
    scale = alt.Scale(type="log" if drawing["log_x"] else "linear", zero=False, nice=False)
    return alt.X("x:Q", title=drawing["x"], scale=scale, axis=alt.Axis(grid=False, format=".4~g", tickCount=7))


def _y(drawing: Mapping[str, Any], field: str) -> alt.Y:
    import altair as alt

    scale = alt.Scale(type="log" if drawing["log_y"] else "linear", zero=False)
    return alt.Y(f"{field}:Q", title=drawing["y"], scale=scale, axis=alt.Axis(format=".4~g", tickCount=5))


def _reference(drawing: Mapping[str, Any]) -> list[alt.Chart]:
    import altair as alt

    if drawing["reference"] is None:
        return []
    rule = alt.Chart(alt.InlineData(values=[{"y": drawing["reference"]}]))
    return [rule.mark_rule(color=INK, strokeDash=[4, 3]).encode(y=alt.Y("y:Q", title=drawing["y"]))]
