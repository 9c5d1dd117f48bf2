"""What a report says of the pairs themselves: how many runs pairing saves, and divergences pair by pair."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from normlab.report.elements import Content, arm_name, table
from normlab.report.markup import MINUS, text
from normlab.report.palette import colours
from normlab.report.quantities import MISSING, counted, difference_scale, shown_p, shown_rate
from normlab.report.words import rate_words

if TYPE_CHECKING:
    from normlab.report.records import Records

# A table longer than this is folded away.
_LONG = 12


def saving_sentences(summary: Mapping[str, Any]) -> list[str]:
    """Return per arm what pairing saves; nothing for a study that did not record it."""
    return [_saving(row) for row in summary.get("savings", [])]


def divergence_table(records: Records) -> str:
    """Return McNemar's comparisons as HTML; nothing where no run diverged, or none was recorded."""
    rows = records.summary.get("divergences", [])
    if not rows:
        return ""
    palette = colours(records.arms)
    head: list[Content] = ["arm", "rate", "pairs", "arm diverged", "baseline diverged", "only arm", "only baseline"]
    head += ["difference", "95 % interval", "p", "corrected p"]
    body: list[list[Content]] = []
    for row in rows:
        scale = difference_scale("test_accuracy", [])  # shares: their differences are points
        low, high = (scale.number(row[end], signed=True) for end in ("low", "high"))
        bounds = MISSING if row["low"] is None else f"{low} to {high}"
        counts = [row["pairs"], row["both"] + row["only_arm"], row["both"] + row["only_baseline"]]
        body.append(
            [
                arm_name(row["arm"], palette),
                shown_rate(row["rate"]),
                *(str(count) for count in [*counts, row["only_arm"], row["only_baseline"]]),
                scale.quantity(row["difference"], signed=True),
                bounds,
                shown_p(row["p_value"]),
                shown_p(row["p_adjusted"]),
            ]
        )
    caption = (
        f"Runs that diverged, pair by pair, against {records.summary['baseline']}: McNemar’s exact test; exploratory, "
        "corrected by Benjamini and Hochberg’s method. Only pairs in which one arm diverged and the other did not "
        "count; fewer than six never reach 0.05."
    )
    title = f"Divergence in pairs ({counted(len(rows), 'comparison')})"
    is_open = " open" if len(rows) <= _LONG else ""
    inner = table(caption, head, body, words=(0, 1))
    return f"<details{is_open}><summary>{text(title)}</summary>{inner}</details>"


def divergence_notes(summary: Mapping[str, Any]) -> list[str]:
    """Return in a line each where arms diverge unlike often, by the corrected p of McNemar's test."""
    return [
        f"{row['arm']} diverged in {row['both'] + row['only_arm']} and {row['baseline']} in "
        f"{row['both'] + row['only_baseline']} of {counted(row['pairs'], 'pair')}, {rate_words(row['rate'])} "
        f"(McNemar’s test, corrected p {shown_p(row['p_adjusted'])})."
        for row in summary.get("divergences", [])
        if row["p_adjusted"] <= 0.05
    ]


def _saving(row: Mapping[str, Any]) -> str:
    arm, baseline, label, saved = row["arm"], row["baseline"], row["label"], row["saved"]
    pairs = counted(row["pairs"], "pair")
    has_bounds = row["saved_low"] is not None  # not from fewer than six pairs
    if saved is None:
        return f"Neither {arm} nor {baseline} varies in {label} over {pairs}, so what pairing saves is unknown."
    if row["correlation"] is None:
        opening = f"One of {arm} and {baseline} does not vary in {label}, so they have no correlation ({pairs}); "
    else:
        within = f"{pairs}, too few for an interval"
        if has_bounds:
            low, high = (_signed(row[f"correlation_{end}"]) for end in ("low", "high"))
            within = f"95 % interval {low} to {high}, {pairs}"
        opening = f"{label} of {arm} and {baseline} correlates with {_signed(row['correlation'])} ({within}): "
    bounds = "no interval"
    if has_bounds:
        bounds = f"95 % interval {_percent(row['saved_low'])} to {_percent(row['saved_high'])} %"
    if saved >= 0:
        said = f"pairing saves {_percent(saved)} % of the runs ({bounds})"
    else:
        saving = f"saved: {bounds}" if has_bounds else bounds
        said = f"pairing saves nothing here, it costs {_percent(-saved)} % more runs ({saving})"
    is_open = has_bounds and row["saved_low"] <= 0 <= row["saved_high"]
    open_end = "; whether it saves any stays open" if is_open else ""
    return f"{opening[:1].upper()}{opening[1:]}{said}{open_end}."


def _signed(number: float) -> str:
    return f"{number:.2f}".replace("-", MINUS)


def _percent(share: float) -> str:
    number = f"{100 * share:.0f}"
    return "0" if number == "-0" else number.replace("-", MINUS)
