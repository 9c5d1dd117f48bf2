"""The page's section on what probes measured inside the networks: one figure per probe, or a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from normlab.probes.table import PROBES
from normlab.report.claim_figure import claim_chart
from normlab.report.comparison_table import capital
from normlab.report.elements import Content, arm_name, figure, paragraph, section, table
from normlab.report.figures import Figure
from normlab.report.palette import colours
from normlab.report.quantities import counted, value_scale

if TYPE_CHECKING:
    import polars as pl

    from normlab.report.records import Records

# An axis whose values span more than this is logarithmic.
LOG_FROM = 30.0


def inside_section(records: Records) -> str:
    """Return the section, or nothing if the study had no probes."""
    if records.probes is None or records.probes.is_empty():
        return ""
    names = list(dict.fromkeys(records.probes["probe"].to_list()))
    opening = (
        "Measured in training mode on one fixed batch of the training part, the same for all arms, seeds and epochs; "
        "epoch 0 is before the first step. Arms differ in their layers too. All layers and quantities: probes.parquet."
    )
    return section("inside", "Inside the networks", paragraph(opening), *(_shown(records, name) for name in names))


def probe_numbers(records: Records, probe: str) -> pl.DataFrame:
    """Return one row per arm and epoch of a probe's main quantity: arm, epoch, median, low, high, runs.

    First the median over the layers of a run, then over the runs of an arm at its rate in `records.rates`, with the
    quartiles. Values that are not finite are left out; where none is left, the row is missing.
    """
    import polars as pl

    if records.probes is None:
        raise ValueError("the records must hold probes.")
    rates = pl.DataFrame({"arm": list(records.rates), "rate": list(records.rates.values())})
    shown = records.runs.filter(pl.col("stage") == "report").join(rates, on=["arm", "rate"]).select("run", "arm")
    wanted = (pl.col("probe") == probe) & (pl.col("quantity") == PROBES[probe].main) & pl.col("value").is_finite()
    by_run = records.probes.filter(wanted).join(shown, on="run").group_by("arm", "run", "epoch").agg(pl.median("value"))
    value = pl.col("value")
    return (
        by_run.group_by("arm", "epoch")
        .agg(
            value.median().alias("median"),
            value.quantile(0.25, "linear").alias("low"),
            value.quantile(0.75, "linear").alias("high"),
            pl.len().alias("runs"),
        )
        .sort(pl.col("arm").replace_strict({arm: index for index, arm in enumerate(records.arms)}), "epoch")
    )


def _shown(records: Records, probe: str) -> str:
    numbers = probe_numbers(records, probe)
    quantity = PROBES[probe].main.replace("_", " ")
    if numbers.is_empty():
        return paragraph(f"{capital(probe)}: no value of {quantity} is finite.")
    title = f"{capital(probe)}: {quantity}"
    if numbers["epoch"].n_unique() == 1:
        return _table(records, numbers, title)
    most = max(numbers["runs"].to_list())
    caption = (
        f"{capital(PROBES[probe].measures)}. Lines: {quantity}, the median over the layers of a run (or the network’s "
        f"one value), then over {counted(most, 'seed')}; bands: the quartiles over seeds."
    )
    ends = numbers.filter(numbers["epoch"] == numbers["epoch"].max()).to_dicts()
    words = "; ".join(f"{row['arm']} ends at {row['median']:.3g}" for row in ends)
    chart = claim_chart(_drawing(numbers, quantity))  # with a legend of its own
    return figure(Figure(f"inside-{probe}", title, caption, f"{title}: {words}.", [chart], has_legend=False), [])


def _drawing(numbers: pl.DataFrame, quantity: str) -> dict[str, Any]:
    rows = [
        {"series": row["arm"], "x": row["epoch"], "y": row["median"], "low": row["low"], "high": row["high"]}
        for row in numbers.to_dicts()
    ]
    lowest, highest = min(row["low"] for row in rows), max(row["high"] for row in rows)
    is_log = lowest > 0 and highest / lowest > LOG_FROM
    return {
        "kind": "lines",
        "rows": rows,
        "x": "epoch",
        "y": quantity,
        "log_x": False,
        "log_y": is_log,
        "reference": None,
    }


def _table(records: Records, numbers: pl.DataFrame, title: str) -> str:
    """What does not change while a network trains."""
    palette = colours(records.arms)
    scale = value_scale("", numbers["median"].to_list())
    rows: list[list[Content]] = [
        [arm_name(row["arm"], palette), scale.number(row["median"])] for row in numbers.to_dicts()
    ]
    return table(f"{title}, the same for all runs of an arm.", ["arm", title.partition(": ")[2]], rows)
