"""Running statistics in words: whether they have settled, what they cost, and when that is what an answer is about."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from normlab.norms.settling import LEFT_IF_SETTLED
from normlab.report.quantities import counted, difference_scale, label_of, shown
from normlab.report.records import recomputed, shown_comparisons
from normlab.report.stopping import confidence
from normlab.report.words import interval, sentence
from normlab.stats.bootstrap import FEWEST_PAIRS

Row = Mapping[str, Any]


def answer(summary: Row, comparison: Row) -> str:
    """Return a comparison as one sentence, with its cause where that is the lag of running statistics.

    For example: `... lower than none (95 % interval ..., 10 pairs): worse; with recomputed statistics it is 6.60 points
    better: after 30 steps at momentum 0.99, 74 % of the initial statistics remain. Try momentum 0.9 or the arm
    precise.` The cause is named where running statistics cost the worse arm something, and with recomputed ones at most
    half of the difference is left, or it is reversed.
    """
    said = sentence(comparison)
    found = _explained(summary, comparison)
    if found is None:
        return said
    row, lagging = found
    entry = summary["statistics"][lagging]
    of_baseline = "" if lagging == comparison["arm"] else f" of {lagging}"
    now = f"with recomputed statistics{of_baseline} it is {_relation(row)}"
    return f"{said.removesuffix('.')}; {now}: {_state(entry)}. {_advice(entry)}"


def unsettled_notes(summary: Row) -> list[str]:
    """Return one sentence per arm whose running statistics had not settled at the end."""
    return [
        f"The running statistics of {arm} have not settled: {_state(entry)}. Its validation and test scores, and the "
        "epochs to the target, are those of such statistics."
        for arm, entry in _entries(summary).items()
        if not _has_settled(entry)
    ]


def validation_remark(summary: Row, arm: str) -> list[str]:
    """Return a sentence on scores taken during training, where the arm's running statistics do not settle."""
    entry = _entries(summary).get(arm)
    if entry is None or _has_settled(entry):
        return []
    return [f"{arm} is validated with running statistics that have not settled, which delays it in this count."]


def statistics_topic(summary: Row) -> list[str]:
    """Return, per arm with running statistics, what they cost and how it compares with recomputed ones."""
    found = []
    metric = summary["primary"]["metric"]
    for arm, entry in _entries(summary).items():
        if entry["difference"] is None:
            found.append(f"{arm} has no finite {label_of(metric)}, so what its running statistics cost is unknown.")
            continue
        found.append(
            f"{arm}: {label_of(metric)} {shown(metric, entry['running'])} with its running statistics, "
            f"{shown(metric, entry['recomputed'])} with statistics recomputed over the training part, so the running "
            f"ones {_cost(entry)}: {_state(entry)}."
        )
        if _costs(entry):
            found.append(_advice(entry))
    rows = [row for row in recomputed(summary) if row["metric"] == metric]
    return found + [f"With recomputed statistics: {sentence(row)}" for row in rows]


def with_settled(summary: Row, metric: str) -> list[dict[str, Any]]:
    """Return the comparisons of one metric where the study's question is asked, with recomputed statistics if any."""
    second = {row["arm"]: row for row in recomputed(summary) if row["metric"] == metric}
    return [second.get(row["arm"], row) for row in shown_comparisons(summary, metric)]


def recomputed_mean(summary: Row, arm: str, score: str) -> float | None:
    """Return an arm's mean score with recomputed statistics; None where it has no running ones."""
    mean = _entries(summary).get(arm, {}).get(f"{score}_recomputed_mean")
    return None if mean is None else float(mean)


def _explained(summary: Row, comparison: Row) -> tuple[Row, str] | None:
    """Return the comparison with recomputed statistics and the arm that lags, where that explains the difference."""
    keys = ("metric", "arm", "baseline", "rate")
    same = [row for row in recomputed(summary) if all(row[key] == comparison[key] for key in keys)]
    before = comparison["difference"]
    if not same or not before or same[0]["difference"] is None:
        return None
    is_worse = (before < 0) == comparison["higher_is_better"]
    lagging = comparison["arm"] if is_worse else comparison["baseline"]
    entry = _entries(summary).get(lagging)
    left = same[0]["difference"] * math.copysign(1.0, before)
    if entry is None or entry["metric"] != comparison["metric"] or not _costs(entry) or left > abs(before) / 2:
        return None
    return same[0], lagging


def _entries(summary: Row) -> dict[str, Row]:
    return dict(summary.get("statistics") or {})


def _costs(entry: Row) -> bool:
    """Return whether running statistics are shown to be worse than recomputed ones."""
    if entry["difference"] is None:
        return False
    if entry["pairs"] < FEWEST_PAIRS or entry["ci_low"] is None or entry["ci_high"] is None:
        return bool(entry["pairs_worse"] == entry["pairs"])
    return bool(entry["ci_high"] < 0 if _higher_is_better(entry) else entry["ci_low"] > 0)


def _higher_is_better(entry: Row) -> bool:
    return str(entry["metric"]).endswith("accuracy")


def _has_settled(entry: Row) -> bool:
    return bool(entry["share_of_initial_left"] <= LEFT_IF_SETTLED)


def _relation(row: Row) -> str:
    """Return a difference as `6.60 points better`, with the verdict where it is not that."""
    scale = difference_scale(row["metric"], [row["difference"]])
    if scale.number(row["difference"]) == scale.number(0.0):
        return "no different"
    verdict = "better" if (row["difference"] > 0) == row["higher_is_better"] else "worse"
    added = "" if row["verdict"] == verdict else f" ({row['verdict']})"
    return f"{scale.quantity(abs(row['difference']))} {verdict}{added}"


def _cost(entry: Row) -> str:
    scale = difference_scale(entry["metric"], [entry["difference"]])
    size = scale.quantity(abs(entry["difference"]))
    if scale.number(entry["difference"]) == scale.number(0.0):
        what = "cost nothing that shows"
    else:
        is_loss = (entry["difference"] < 0) == _higher_is_better(entry)
        what = f"cost {size}" if is_loss else f"gain {size}"
    bounds = interval(entry)
    pairs = counted(entry["pairs"], "pair")
    if bounds is None or entry["pairs"] < FEWEST_PAIRS:
        return f"{what} (worse in {entry['pairs_worse']} of {pairs})"
    return f"{what} (running minus recomputed: {confidence(entry)} interval {bounds}, {pairs})"


def _state(entry: Row) -> str:
    steps = f"after {counted(entry['steps'], 'step')} at momentum {entry['momentum']:g}"
    if _has_settled(entry):
        return f"{steps}, the running statistics still differ from those of the training part"
    return f"{steps}, {100 * entry['share_of_initial_left']:.0f} % of the initial statistics remain"


def _advice(entry: Row) -> str:
    ways = [] if entry["suggested_momentum"] is None else [f"momentum {entry['suggested_momentum']:g}"]
    if not ways and not _has_settled(entry):
        ways.append(f"a training of at least {entry['settling_steps']} steps")
    precise = "the arm precise" if entry["norm"] == "batch" else "statistics recomputed after training"
    return f"Try {' or '.join([*ways, precise])}."
