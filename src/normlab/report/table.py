"""Comparisons as tables: the cells that the terminal and the page share, and the terminal's tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from normlab.report.quantities import MISSING, difference_scale, shown_p, shown_rate, value_scale
from normlab.report.records import deployed
from normlab.report.words import MARKS, each_pair, interval, interval_title

if TYPE_CHECKING:
    from rich.table import Table

STYLES: dict[str, str] = {"better": "bold green", "worse": "bold red", "equivalent": "cyan", "undecided": "yellow"}


@dataclass(frozen=True)
class ComparisonRow:
    """The cells of one comparison, as text; `difference` and `interval` are arm minus baseline.

    Where pairs are too few for an interval, `interval` holds every pair's difference.
    """

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


def undecidable(summary: Mapping[str, Any], comparison: Mapping[str, Any]) -> bool:
    """Return whether so few pairs could not have decided a comparison; those on the study's question always stay."""
    primary = summary["primary"]
    is_question = comparison["metric"] == primary["metric"] and comparison["rate"] == primary["rate"]
    return not is_question and comparison["verdict"] == "undecided" and not comparison.get("decidable", True)


def omitted_words(number: int) -> str:
    """Return the line that stands for rows left out."""
    which = "1 comparison" if number == 1 else f"{number} comparisons"
    return f"{which} that so few pairs could not have decided, whatever came out"


def terminal_tables(summary: Mapping[str, Any], width: int, *, show_all: bool = False) -> list[Table]:
    """Return one table per metric, the primary metric first, for a terminal of `width` columns, 60 or more.

    Comparisons that could not have been decided are left out, but for `show_all`.
    Narrow terminals get fewer columns: difference, interval and verdict always stay. A verdict is a word, its colour
    an addition.
    """
    comparisons = shown_in_tables(summary, show_all=show_all)
    primary = summary["primary"]["metric"]
    metrics = sorted(dict.fromkeys(comparison["metric"] for comparison in comparisons), key=lambda m: m != primary)
    return [_table([c for c in comparisons if c["metric"] == metric], width) for metric in metrics]


def shown_in_tables(summary: Mapping[str, Any], *, show_all: bool = False) -> list[Mapping[str, Any]]:
    """Return the comparisons that the terminal's tables hold."""
    comparisons: list[Mapping[str, Any]] = [*deployed(summary), *summary["area_over_rates"]]
    return [one for one in comparisons if show_all or not undecidable(summary, one)]


def _row(comparison: Mapping[str, Any]) -> ComparisonRow:
    metric = comparison["metric"]
    value, baseline_value, difference = (comparison[key] for key in ("value", "baseline_value", "difference"))
    values = value_scale(metric, [value, baseline_value])
    shown = [comparison["ci_low"], comparison["ci_high"], *(comparison.get("pair_differences") or ())]
    differences = difference_scale(metric, [difference, *shown])
    return ComparisonRow(
        metric=metric,
        label=comparison["label"],
        arm=comparison["arm"],
        baseline=comparison["baseline"],
        rate=shown_rate(comparison["rate"]),
        value=values.quantity(value),
        baseline_value=values.quantity(baseline_value),
        difference=differences.quantity(difference, signed=True),
        interval=interval(comparison) or each_pair(comparison) or MISSING,
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
    intervals = interval_title(comparisons)
    columns = _columns(width, intervals)
    for header, field in columns:
        is_word = field in ("arm", "rate")
        table.add_column(
            header,
            justify="left" if is_word or field == "verdict" else "right",
            no_wrap=field != "arm" and not (field == "interval" and intervals != "95 % interval"),
            overflow="fold",
        )
    for row in rows:
        cells = [Text(getattr(row, field)) for _, field in columns if field != "verdict"]
        table.add_row(*cells, Text(f"{MARKS[row.verdict]} {row.verdict}", style=STYLES[row.verdict]))
    return table


def _columns(width: int, intervals: str) -> list[tuple[str, str]]:
    """Headers and fields of `ComparisonRow` that fit; the verdict is last."""
    columns = [("arm", "arm"), ("rate", "rate")]
    if width >= 110:
        columns += [("value", "value"), ("baseline", "baseline_value")]
    columns += [("difference", "difference"), (intervals, "interval")]
    if width >= 76:
        columns.append(("pairs", "pairs"))
    if width >= 90:
        columns.append(("corrected p", "p_adjusted"))
    return [*columns, ("verdict", "verdict")]
