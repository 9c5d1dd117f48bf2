"""What is said of a study whose seeds were added until its question was decided."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from normlab.report.quantities import counted, label_of, listed
from normlab.report.records import deployed

INTERVAL = "confidence sequence"
"""What the interval of a comparison that was decided by looks is called in the records."""


def reach_notes(summary: Mapping[str, Any]) -> list[str]:
    """Return that a study's pairs could show no difference in its arms, and how many can; nothing where they could."""
    fewest, pairs = summary.get("fewest_pairs", 0), len(summary["rates"]["report_seeds"])
    if pairs >= fewest or summary.get("stopping") is not None:
        return []
    arms = counted(len(summary["arms"]) - 1, "comparison")
    return [f"{counted(pairs, 'pair')} could show no difference, whatever came out; in {arms}, {fewest} pairs can."]


def stopping_notes(summary: Mapping[str, Any]) -> list[str]:
    """Return when and why the study stopped, and what that means for its figures; nothing for a fixed number."""
    stopping = summary.get("stopping")
    if stopping is None:
        return []
    metric = label_of(summary["primary"]["metric"])
    rate = summary["primary"]["rate"]
    others = list(
        dict.fromkeys(
            row["label"]
            for row in deployed(summary)
            if row["rate"] == rate and row["metric"] != summary["primary"]["metric"]
        )
    )
    pairs = listed([str(look["pairs"]) for look in stopping["looks"]])
    several = len(summary["arms"]) > 2
    each = f" Each arm’s interval holds with {confidence(stopping)}, all of them together with 95 %." if several else ""
    return [
        f"{stopping['reason']} Looks came after {pairs} pairs, at most {stopping['budget']} were allowed.",
        f"The verdict on {metric} is that of a confidence sequence, right at every look.{each} "
        f"{listed(others).capitalize()} of the same runs are exploratory: their intervals and p-values take the number "
        f"of pairs as fixed beforehand, and here {metric} decided it.",
    ]


def stopping_rules(summary: Mapping[str, Any]) -> list[str]:
    """Return how a study with looks was judged, for the section on method; nothing for a fixed number."""
    stopping = summary.get("stopping")
    if stopping is None:
        return []
    number = len(summary["arms"]) - 1
    share = f" (5 % divided by {number} comparisons, Bonferroni)" if number > 1 else ""
    return [
        f"{stopping['rule']} Fewer pairs than that would let a handful of equal differences decide, which a small test "
        "set gives by chance.",
        f"The study’s question is answered by confidence sequences: intervals of the mean paired difference that hold "
        f"at all looks at once with {confidence(stopping)} each{share}, if differences are symmetric around "
        "their mean. Better or worse: the interval excludes 0. Equivalent: it lies inside the margin. No p is printed.",
    ]


def seeds_words(summary: Mapping[str, Any]) -> str:
    """Return how many seeds were reported on, and how many might have been."""
    seeds = counted(len(summary["rates"]["report_seeds"]), "seed")
    stopping = summary.get("stopping")
    if stopping is None:
        return seeds
    return f"{seeds}, added until the primary comparison was decided or {stopping['budget']} were spent"


def confidence(judged: Mapping[str, Any]) -> str:
    """Return the confidence of an interval made at the level `alpha`, 0.05 where there is none."""
    return f"{100 * (1 - (judged.get('alpha') or 0.05)):.4g} %"
