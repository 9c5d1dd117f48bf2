"""The page's table of comparisons, and the wording of captions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from normlab.report.elements import Content, arm_name, badge, table
from normlab.report.palette import colours
from normlab.report.table import comparison_rows
from normlab.report.words import interval_title

if TYPE_CHECKING:
    from normlab.report.records import Records


def comparison_table(records: Records, comparisons: Sequence[Mapping[str, Any]], caption: str) -> str:
    """All cells of comparisons; the reason stands below each."""
    palette = colours(records.arms)
    head: list[Content] = ["metric", "arm", "rate", "value", "baseline", "difference", interval_title(comparisons)]
    head += ["pairs", "p", "corrected p", "verdict"]
    rows = comparison_rows(comparisons)
    body: list[list[Content]] = []
    for row in rows:
        start: list[Content] = [row.label, arm_name(row.arm, palette), row.rate]
        numbers = [row.value, row.baseline_value, row.difference, row.interval, row.pairs, row.p_value, row.p_adjusted]
        body.append([*start, *numbers, badge(row.verdict)])
    return table(caption, head, body, words=(0, 1, 10), remarks=[row.reason for row in rows])


def with_unit(label: str, unit: str) -> str:
    """Return the label with its unit, where it has one."""
    return f"{label}, {unit}" if unit else label


def capital(words: str) -> str:
    """Return the words with a capital first letter."""
    return words[:1].upper() + words[1:]
