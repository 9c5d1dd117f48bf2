"""Comparisons as tables: the cells that the terminal and the page share, and the terminal's tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from normlab.report.quantities import MISSING, difference_scale, shown_p, shown_rate, value_scale
from normlab.report.records import deployed
from normlab.report.words import MARKS, interval

if TYPE_CHECKING:
    from rich.table import Table

STYLES: dict[str, str] = {"better": "bold green", "worse": "bold red", "equivalent": "cyan", "undecided": "yellow"}


@dataclass(frozen=True)
class ComparisonRow:
    """The cells of one comparison, as text; `difference` and `interval` are arm minus baseline."""

    metric: str
    label: str
    arm: str
    baseline: str
    rate: str
    value: str
    baseline_value: str
    difference: str
    interval: str
    pairs: str
    p_value: str
    p_adjusted: str
    verdict: str
    reason: str


def comparison_rows(comparisons: Iterable[Mapping[str, Any]]) -> list[ComparisonRow]:
    """Return the cells of every comparison, in the order given."""
    return [_row(comparison) for comparison in comparisons]


def terminal_tables(summary: Mapping[str, Any], width: int) -> list[Table]:
    """Return one table per metric, the primary metric first, for a terminal of `width` columns, 60 or more.

    Narrow terminals get fewer columns: difference, interval and verdict always stay. A verdict is a word, its colour
    an addition.
    """
    comparisons = [*deployed(summary), *summary["area_over_rates"]]
    primary = summary["primary"]["metric"]
    metrics = sorted(dict.fromkeys(comparison["metric"] for comparison in comparisons), key=lambda m: m != primary)
    return [_table([c for c in comparisons if c["metric"] == metric], width) for metric in metrics]


def _row(comparison: Mapping[str, Any]) -> ComparisonRow:
    metric = comparison["metric"]
    value, baseline_value, difference = (comparison[key] for key in ("value", "baseline_value", "difference"))
    values = value_scale(metric, [value, baseline_value])
    differences = difference_scale(metric, [difference, comparison["ci_low"], comparison["ci_high"]])
    return ComparisonRow(
        metric=metric,
        label=comparison["label"],
        arm=comparison["arm"],
        baseline=comparison["baseline"],
        rate=shown_rate(comparison["rate"]),
        value=values.quantity(value),
        baseline_value=values.quantity(baseline_value),
        difference=differences.quantity(difference, signed=True),
        interval=interval(comparison) or MISSING,
        pairs=str(comparison["pairs"]),
        p_value=shown_p(comparison["p_value"]),
        p_adjusted=shown_p(comparison["p_adjusted"]),
        verdict=comparison["verdict"],
        reason=comparison["reason"],
    )


def _table(comparisons: list[Mapping[str, Any]], width: int) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    rows = comparison_rows(comparisons)
    title = f"{rows[0].label}, difference to {rows[0].baseline}"
    table = Table(
        title=Text(title), title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0)
    )
    columns = _columns(width)
    for header, field in columns:
        is_word = field in ("arm", "rate")
        table.add_column(
            header,
            justify="left" if is_word or field == "verdict" else "right",
            no_wrap=field != "arm",
            overflow="fold",
        )
    for row in rows:
        cells = [Text(getattr(row, field)) for _, field in columns if field != "verdict"]
        table.add_row(*cells, Text(f"{MARKS[row.verdict]} {row.verdict}", style=STYLES[row.verdict]))
    return table


def _columns(width: int) -> list[tuple[str, str]]:
    """Headers and fields of `ComparisonRow` that fit; the verdict is last."""
    columns = [("arm", "arm"), ("rate", "rate")]
    if width >= 110:
        columns += [("value", "value"), ("baseline", "baseline_value")]
    columns += [("difference", "difference"), ("95 % interval", "interval")]
    if width >= 76:
        columns.append(("pairs", "pairs"))
    if width >= 90:
        columns.append(("corrected p", "p_adjusted"))
    return [*columns, ("verdict", "verdict")]
