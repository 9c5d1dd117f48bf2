"""The discussion: what the numbers say about each benefit and cost, in sentences that follow from them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from normlab.report.benefits import convergence, generalization, larger_rates, sensitivity
from normlab.report.quantities import counted, listed
from normlab.report.records import deployed, shown_comparisons, shown_rows
from normlab.report.running_statistics import statistics_topic
from normlab.report.words import rate_words, sentence

if TYPE_CHECKING:
    from normlab.report.records import Records

_DECIDED = ("better", "worse", "equivalent")
# From this correlation on, pairing at least halves the variance of a difference of two equally variable arms.
_PAYS, _PAYS_LITTLE = 0.5, 0.1


def discussion(records: Records) -> list[str]:
    """Return the discussion, sentence by sentence (or in short groups of sentences)."""
    return [words for group in topics(records).values() for words in group]


def topics(records: Records) -> dict[str, list[str]]:
    """Return the discussion by topic; what was not measured or stays undecided is said to be so."""
    summary = records.summary
    statistics = statistics_topic(summary)
    return {
        "On the whole": _whole(summary),
        **({"Running statistics?": statistics} if statistics else {}),
        "Faster convergence?": convergence(records),
        "Higher learning rates?": larger_rates(records),
        "Better generalization?": generalization(records),
        "Less sensitive to the learning rate?": sensitivity(records),
        "At what cost?": _cost(records),
        "Did pairing pay?": _pairing(summary),
    }


def _whole(summary: Mapping[str, Any]) -> list[str]:
    rate = summary["primary"]["rate"]
    found = []
    for arm in summary["arms"]:
        rows = [row for row in deployed(summary) if row["arm"] == arm and row["rate"] == rate]
        if arm == summary["baseline"] or not rows:
            continue
        labels = {
            verdict: [row["label"] for row in rows if row["verdict"] == verdict]
            for verdict in ("better", "worse", "equivalent", "undecided")
        }
        opening = f"Against {summary['baseline']}, {rate_words(rate)}"
        decided = [f"{verdict} in {listed(labels[verdict])}" for verdict in _DECIDED if labels[verdict]]
        if decided:
            found.append(f"{opening}, {arm} is {'; '.join(decided)}.")
            found += [f"Undecided: {listed(labels['undecided'])}."] if labels["undecided"] else []
        else:
            found.append(f"{opening}, nothing is decided about {arm}, in {listed(labels['undecided'])}.")
    return found


def _cost(records: Records) -> list[str]:
    rows = shown_rows(records.summary)
    found = []
    for comparison in shown_comparisons(records.summary, "seconds_per_step"):
        value, other = comparison["value"], comparison["baseline_value"]
        if not value or not other:
            found.append(f"The time of a step of {comparison['arm']} was not measured.")
            continue
        found.append(f"{sentence(comparison)} A step of {comparison['arm']} takes {value / other:.2f} times as long.")
    baseline = rows.get(records.arms[0])
    for arm, row in rows.items():
        if baseline is None or row is baseline:
            continue
        parameters = row["num_parameters"] - baseline["num_parameters"]
        buffers = row["num_buffers"] - baseline["num_buffers"]
        more = "no more" if parameters == 0 else f"{abs(parameters):,} {'more' if parameters > 0 else 'fewer'}"
        found.append(
            f"{arm} has {more} learned parameters than {records.arms[0]} ({row['num_parameters']:,} against "
            f"{baseline['num_parameters']:,}) and {buffers:,} more values of running statistics."
            if buffers >= 0
            else f"{arm} has {more} learned parameters than {records.arms[0]} and {-buffers:,} fewer running values."
        )
    return found or ["Cost was not measured."]


def _pairing(summary: Mapping[str, Any]) -> list[str]:
    found = []
    for comparison in shown_comparisons(summary, summary["primary"]["metric"]):
        arm, baseline, correlation = comparison["arm"], comparison["baseline"], comparison["correlation"]
        if correlation is None:
            pairs = counted(comparison["pairs"], "pair")
            found.append(f"Whether pairing {arm} with {baseline} pays cannot be said from {pairs}.")
            continue
        if correlation >= _PAYS:
            effect = "pairing pays: equal seeds take much of the chance out of the difference"
        elif correlation >= _PAYS_LITTLE:
            effect = "pairing helps a little"
        elif correlation > -_PAYS_LITTLE:
            effect = "pairing neither helps nor hurts; other seeds would have served as well"
        else:
            effect = "pairing did not pay here: it widens the interval a little, and the verdict stays valid"
        found.append(
            f"Over the pairs, the {comparison['label']} of {arm} and of {baseline} correlates at {correlation:.2f}: "
            f"{effect}."
        )
    return found
