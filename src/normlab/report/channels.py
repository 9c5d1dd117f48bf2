"""What charts share: the channels that tell arms apart, and the axes of scores."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from normlab.report.palette import DASHES, SHAPES, colours
from normlab.report.quantities import kind_of

if TYPE_CHECKING:
    import altair as alt
    import polars as pl

    Chart = alt.Chart | alt.LayerChart | alt.VConcatChart | alt.HConcatChart | alt.FacetChart

# Room for the labels of the y axis, so that panels line up.
LABEL_WIDTH = 44
# A loss axis is logarithmic from this ratio of its ends on.
LOG_FROM = 8.0


@dataclass(frozen=True)
class ArmChannels:
    """How arms are told apart: by colour, and without it by dashes and shapes."""

    colour: alt.Color
    dash: alt.StrokeDash
    shape: alt.Shape


def arm_channels(arms: Sequence[str], *, legend: bool, field: str = "arm") -> ArmChannels:
    """Return the channels of a field that holds names of arms; the first arm is the baseline."""
    import altair as alt

    names = list(arms)
    colour = alt.Scale(domain=names, range=list(colours(arms).values()))
    dash = alt.Scale(domain=names, range=[list(DASHES[index % len(DASHES)]) for index in range(len(names))])
    shape = alt.Scale(domain=names, range=[SHAPES[index % len(SHAPES)] for index in range(len(names))])
    return ArmChannels(
        alt.Color(f"{field}:N", scale=colour, legend=alt.Legend(columns=4) if legend else None),
        alt.StrokeDash(f"{field}:N", scale=dash, legend=None),
        alt.Shape(f"{field}:N", scale=shape, legend=None),
    )


def score_axis(metric: str, low: float, high: float, *, is_log: bool) -> alt.Axis:
    """Return the y axis of a score between `low` and `high`: per cent for accuracies, else plain numbers."""
    import altair as alt

    if is_log:
        return alt.Axis(format=".6~g", title=None, minExtent=LABEL_WIDTH, values=log_ticks(low, high))
    form = "~%" if kind_of(metric) == "share" else ".6~g"
    return alt.Axis(format=form, title=None, minExtent=LABEL_WIDTH, tickCount=5)


def inline(frame: pl.DataFrame) -> alt.InlineData:
    """Return a frame as a chart's data; Altair's own way refuses more than 5,000 rows."""
    import altair as alt

    return alt.InlineData(values=frame.to_dicts())


def log_ticks(low: float, high: float) -> list[float]:
    """Return ticks of a logarithmic axis: powers of ten, with 2 and 5 between them where there are few."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1, 2, 5) if len(powers) <= 4 else (1,)
    every = -(-len(powers) // 8)
    ticks = [float(f"{step}e{power}") for power in powers[::every] for step in steps]
    return [tick for tick in ticks if low <= tick <= high]
