"""The page of an attribution: the shares as one figure, the interactions, and every combination's mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from normlab.report.claim_figure import claim_chart
from normlab.report.elements import Content, figure, paragraph, section, table
from normlab.report.figures import Figure
from normlab.report.page import document
from normlab.report.quantities import counted, difference_scale, label_of, listed, shown


def shown_part(part: Mapping[str, Any], metric: str) -> tuple[str, str]:
    """Return a share and its interval as text, both in the unit of the metric's differences.

    From fewer than six pairs there is no interval, and every pair's value stands in its place.
    """
    pairs = part.get("pair_values", ())
    scale = difference_scale(metric, [part["mean"], *pairs])
    if part["ci_low"] is None:
        return scale.quantity(part["mean"]), ", ".join(scale.number(one) for one in pairs)
    return scale.quantity(part["mean"]), f"{scale.number(part['ci_low'])} to {scale.number(part['ci_high'])}"


def interval_title(found: Mapping[str, Any]) -> str:
    """Return what the column beside the shares holds."""
    return "each pair" if found["difference"]["ci_low"] is None else "95 % interval"


def statement(found: Mapping[str, Any]) -> str:
    """Return the attribution in one sentence, the largest share first."""
    metric = found["metric"]
    order = sorted(found["shares"], key=lambda part: -abs(part["mean"]))
    parts = [f"{part['of'][0]} {shown_part(part, metric)[0]}" for part in order]
    whole = shown_part(found["difference"], metric)[0]
    return (
        f"{found['arm']} minus {found['baseline']}: {whole} of {label_of(metric)}, made of {listed(parts)} "
        f"({counted(found['pairs'], 'pair')})."
    )


def render_attribution(found: Mapping[str, Any]) -> str:
    """Return the page as HTML from the content of attribution.json."""
    metric = found["metric"]
    shares: list[list[Content]] = [
        [part["of"][0], _switch(found, part["of"][0]), *shown_part(part, metric)] for part in found["shares"]
    ]
    shares.append(["all together", f"{found['baseline']} → {found['arm']}", *shown_part(found["difference"], metric)])
    interactions: list[list[Content]] = [
        [" and ".join(part["of"]), *shown_part(part, metric)] for part in found["interactions"]
    ]
    values: list[list[Content]] = [[name, shown(metric, value)] for name, value in found["values"].items()]
    sections = {
        "answer": (
            "Answer",
            section(
                "answer",
                "Answer",
                paragraph(statement(found), "answer"),
                _figure(found),
                table(
                    "Each factor’s share (Shapley value): its gain, averaged over every setting of the others. "
                    "Shares add up to the whole.",
                    ["factor", "from → to", "share", interval_title(found)],
                    shares,
                    words=(0, 1),
                ),
            ),
        ),
        "interactions": (
            "Interactions",
            section(
                "interactions",
                "Interactions",
                table(
                    "How much more two factors give together than one by one.",
                    ["factors", "interaction", interval_title(found)],
                    interactions,
                ),
            ),
        ),
        "combinations": (
            "Every combination",
            section(
                "combinations",
                "Every combination",
                table("Mean over the seeds; named by what is switched on.", ["arm", label_of(metric)], values),
            ),
        ),
    }
    title = f"What {found['arm']} differs from {found['baseline']} by"
    subtitle = f"{counted(len(values), 'combination')}, {counted(found['pairs'], 'paired seed')}."
    return document(title, subtitle, sections, "normlab")


def _switch(found: Mapping[str, Any], name: str) -> str:
    factor = next(factor for factor in found["factors"] if factor["name"] == name)
    before, after = (", ".join(str(value) for value in factor[side].values()) for side in ("off", "on"))
    return f"{before} → {after}"


def _figure(found: Mapping[str, Any]) -> str:
    metric = found["metric"]
    scale = difference_scale(metric, [part["mean"] for part in found["shares"]])
    rows = [
        {
            "series": "share",
            "x": part["of"][0],
            **{
                name: None if part[key] is None else scale.factor * part[key]
                for name, key in (("y", "mean"), ("low", "ci_low"), ("high", "ci_high"))
            },
        }
        for part in found["shares"]
    ]
    drawing = {
        "kind": "points",
        "x": "factor",
        "y": f"share of the difference ({scale.unit})" if scale.unit else "share of the difference",
        "rows": rows,
        "log_x": False,
        "log_y": False,
        "reference": 0.0,
    }
    caption = "A mark is the mean over the seeds"
    caption += "." if interval_title(found) == "each pair" else ", its line the 95 % bootstrap interval."
    drawn = Figure("shares", "Shares of the factors", caption, statement(found), [claim_chart(drawing)], False)
    return figure(drawn, [])
