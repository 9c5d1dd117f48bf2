"""Comparisons in words: one sentence with the difference, its interval, the pairs and the verdict."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from normlab.report.quantities import counted, difference_scale, shown_rate, value_scale
from normlab.report.stopping import confidence

MARKS: dict[str, str] = {
    "better": "\N{BLACK UP-POINTING TRIANGLE}",
    "worse": "\N{BLACK DOWN-POINTING TRIANGLE}",
    "equivalent": "\N{ALMOST EQUAL TO}",
    "undecided": "?",
    "supported": "\N{CHECK MARK}",
    "refuted": "\N{MULTIPLICATION SIGN}",
    "conditional": "\N{PLUS-MINUS SIGN}",
    "not applicable": "\N{EN DASH}",
}
"""A sign for each verdict, so that none depends on its colour."""

# What is said of an arm whose value is the larger and the smaller one; {0} is the size of the difference.
_PHRASES: dict[str, tuple[str, str]] = {
    "test_accuracy": ("reaches a test accuracy {0} higher than", "reaches a test accuracy {0} lower than"),
    "test_loss": ("ends with a test loss {0} higher than", "ends with a test loss {0} lower than"),
    "epochs_to_target": ("reaches the target {0} later than", "reaches the target {0} earlier than"),
    "steps_to_target": ("reaches the target {0} later than", "reaches the target {0} earlier than"),
    "seconds_per_step": ("takes {0} more per step than", "takes {0} less per step than"),
}


def sentence(comparison: Mapping[str, Any]) -> str:
    """Return the comparison as one sentence.

    For example: `batch reaches a test accuracy 1.20 points higher than none (95 % interval +0.80 to +1.60, 10 pairs):
    better.` Signed numbers are always arm minus baseline.
    """
    arm, baseline, metric = comparison["arm"], comparison["baseline"], comparison["metric"]
    difference, label = comparison["difference"], comparison.get("label") or metric
    opening = _opening(comparison["rate"])
    if difference is None:
        return f"{opening}{arm} and {baseline} cannot be compared in {label}, for a value is not finite: undecided."
    shown = [comparison["ci_low"], comparison["ci_high"], *(comparison.get("pair_differences") or ())]
    scale = difference_scale(metric, [difference, *shown])
    size = scale.quantity(abs(difference))
    if scale.number(difference) == scale.number(0.0):
        claim = f"{arm} and {baseline} do not differ in {label} (less than the last digit written)"
    else:
        more, less = _PHRASES.get(metric, (f"has {label} {{0}} higher than", f"has {label} {{0}} lower than"))
        claim = f"{arm} {(more if difference > 0 else less).format(size)} {baseline}"
    return f"{opening}{claim} ({evidence(comparison)}): {outcome(comparison)}."


def ranking(comparisons: Sequence[Mapping[str, Any]]) -> str | None:
    """Return all arms in the order of one metric's means, best first; None for fewer than three arms.

    For example: `In the order of mean test accuracy: batch 98.27 %, dyt 97.94 %, none 97.10 %. ...` A mean that is not
    finite comes last.

    Args:
        comparisons: Of one metric at one rate, one per arm, all with the same baseline.
    """
    if len(comparisons) < 2:
        return None
    first = comparisons[0]
    means = {first["baseline"]: first["baseline_value"], **{row["arm"]: row["value"] for row in comparisons}}
    sign = -1 if first["higher_is_better"] else 1
    order = sorted(means, key=lambda arm: math.inf if means[arm] is None else sign * means[arm])
    scale = value_scale(first["metric"], list(means.values()))
    arms = ", ".join(f"{arm} {scale.quantity(means[arm])}" for arm in order)
    return (
        f"In the order of mean {first.get('label') or first['metric']}: {arms}. Verdicts say which differences count."
    )


def evidence(comparison: Mapping[str, Any]) -> str:
    """Return the interval and the number of pairs, such as `95 % interval +0.80 to +1.60, 10 pairs`.

    From fewer than six pairs there is no interval, and the pairs themselves stand there: `2 pairs: +0.80, +1.60`.
    """
    number = counted(comparison["pairs"], _pair(comparison))
    bounds, pairs = interval(comparison), each_pair(comparison)
    if pairs is not None:
        return f"{number}: {pairs}"
    return f"no interval, {number}" if bounds is None else f"{confidence(comparison)} interval {bounds}, {number}"


def interval(comparison: Mapping[str, Any]) -> str | None:
    """Return the bounds of the difference's interval, signed and without unit; None if there is none."""
    low, high = comparison["ci_low"], comparison["ci_high"]
    if low is None or high is None:
        return None
    scale = difference_scale(comparison["metric"], [comparison["difference"], low, high])
    return f"{scale.number(low, signed=True)} to {scale.number(high, signed=True)}"


def each_pair(comparison: Mapping[str, Any]) -> str | None:
    """Return every pair's difference, signed and without unit, where they are too few for an interval; else None."""
    pairs = comparison.get("pair_differences")
    if not pairs:
        return None
    scale = difference_scale(comparison["metric"], [comparison["difference"], *pairs])
    return ", ".join(scale.number(one, signed=True) for one in pairs)


def interval_title(comparisons: Sequence[Mapping[str, Any]]) -> str:
    """Return what a column of intervals is called: those of few pairs are not there, their pairs are."""
    with_pairs = [each_pair(one) is not None for one in comparisons]
    if any(with_pairs):
        return "each pair" if all(with_pairs) else "95 % interval, or each pair"
    return "95 % interval"


def outcome(comparison: Mapping[str, Any]) -> str:
    """Return the verdict with what it hangs on: the margin if equivalent, the pairs needed if undecided."""
    verdict: str = comparison["verdict"]
    if verdict == "equivalent":
        margin = difference_scale(comparison["metric"], [comparison["margin"]]).quantity(comparison["margin"])
        return f"equivalent, inside the margin of {margin} stated beforehand"
    if verdict == "undecided" and comparison.get("pairs_needed") is not None:
        return f"undecided, about {comparison['pairs_needed']} {_pair(comparison)}s in all would decide"
    return verdict


def rate_words(rate: float | str) -> str:
    """Return at which rates two arms were compared, as a phrase."""
    if rate == "tuned":
        return "each at its own tuned rate"
    if rate == "grid":
        return "over the whole grid of rates"
    return f"both at rate {shown_rate(rate)}"


def _pair(comparison: Mapping[str, Any]) -> str:
    """Runs of a program share its clock, so times are paired by round of training and not by seed."""
    return "round" if comparison["metric"] == "seconds_per_step" else "pair"


def _opening(rate: float | str) -> str:
    if rate == "tuned":
        return ""
    return "Over the whole grid of rates, " if rate == "grid" else f"At rate {shown_rate(rate)}, "
