"""The page's section of learning rates: the score over the grid, its area, and warnings about the grid."""

from __future__ import annotations

from typing import TYPE_CHECKING

from normlab.report.cautions import edges, open_rates, unstable
from normlab.report.comparison_table import capital, comparison_table, with_unit
from normlab.report.elements import Content, Html, arm_name, figure, note, paragraph, section, table
from normlab.report.figures import rate_figure
from normlab.report.markup import text
from normlab.report.palette import colours
from normlab.report.quantities import MISSING, label_of, shown_rate, value_scale
from normlab.report.rate_figure import grid_rows, rate_metric

if TYPE_CHECKING:
    from normlab.report.records import Records


def rates_section(records: Records) -> str:
    """Return the score over learning rates, the area over them, and warnings about the grid."""
    drawn = rate_figure(records)
    if drawn is None:
        only = shown_rate(records.summary["rates"]["grid"][0])
        words = f"The study has one learning rate, {only}, given beforehand. How the arms compare at others is unknown."
        return section("rates", "Learning rates", paragraph(words))
    areas = records.summary["area_over_rates"]
    area = ""
    if areas:
        caption = (
            "The mean over the grid on a logarithmic axis (area under the curve divided by its width), seed by seed."
        )
        area = comparison_table(records, areas, caption)
    return section(
        "rates",
        "Learning rates",
        note([*edges(records), *open_rates(records.summary), *unstable(records)]),
        figure(drawn, records.arms),
        _rate_table(records),
        area,
    )


def _rate_table(records: Records) -> str:
    """One row per rate, one column per arm: the mean score and diverged runs; chosen rates are marked."""
    metric = rate_metric(records.task)
    rows = grid_rows(records.summary)
    scale = value_scale(metric, [row[f"{metric}_mean"] for row in rows])
    is_tuned = records.summary["rates"]["mode"] == "tuned"
    chosen = records.summary["rates"]["chosen"] if is_tuned else {}
    possible = records.summary["rates"].get("possible", {})
    cells: dict[tuple[str, float], Content] = {}
    for row in rows:
        mean, spread = scale.number(row[f"{metric}_mean"]), scale.number(row[f"{metric}_sd"])
        words = text(mean if MISSING in (mean, spread) else f"{mean} ± {spread}")
        if chosen.get(row["arm"]) == row["rate"]:
            words = f"<strong>{words} (chosen)</strong>"
        elif row["rate"] in possible.get(row["arm"], ()):
            words = f"{words} (may be the best)"
        if row["diverged"]:
            words += f"<small>{row['diverged']} of {row['runs']} diverged</small>"
        cells[row["arm"], row["rate"]] = Html(words)
    rates = sorted({row["rate"] for row in rows})
    body: list[list[Content]] = [
        [shown_rate(rate), *(cells.get((arm, rate), MISSING) for arm in records.arms)] for rate in rates
    ]
    palette = colours(records.arms)
    caption = f"{capital(with_unit(label_of(metric), scale.unit))}, mean ± standard deviation over seeds, at each rate."
    return table(caption, ["learning rate", *(arm_name(arm, palette) for arm in records.arms)], body, words=())
