"""What the numbers say about the benefits that normalization is credited with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from normlab.report.quantities import (
    counted,
    difference_scale,
    label_of,
    listed,
    per_arm,
    shown,
    shown_rate,
    value_scale,
)
from normlab.report.rate_figure import grid_rows, rate_metric
from normlab.report.records import deployed, shown_comparisons, shown_rows
from normlab.report.running_statistics import recomputed_mean, validation_remark, with_settled
from normlab.report.words import evidence, outcome, sentence

if TYPE_CHECKING:
    from normlab.report.records import Records

Row = Mapping[str, Any]

_SPEED = {
    "better": "So {arm} converges in fewer epochs than {baseline}.",
    "worse": "So {arm} converges more slowly than {baseline}: it takes more epochs.",
    "equivalent": "So {arm} converges neither faster nor more slowly than {baseline} by more than the margin.",
    "undecided": "Whether {arm} converges faster than {baseline} stays undecided.",
}


def convergence(records: Records) -> list[str]:
    """Say who reaches the target sooner, in epochs and by the clock, and which runs never did."""
    summary, rows = records.summary, shown_rows(records.summary)
    target = summary["target"]
    goal = f"the target, a {label_of(target['metric'])} of {shown(target['metric'], target['value'])}"
    found = []
    for comparison in shown_comparisons(summary, "epochs_to_target"):
        arm, baseline = comparison["arm"], comparison["baseline"]
        value, other = comparison["value"], comparison["baseline_value"]
        if value is None or other is None or comparison["difference"] is None:
            found.append(f"How soon {arm} and {baseline} reach {goal}, was not measured.")
            continue
        if arm in rows and baseline in rows and not (rows[arm]["reached"] or rows[baseline]["reached"]):
            found.append(f"No run of {arm} or {baseline} reached {goal}, so nothing can be said about their speed.")
            continue
        verdict = _SPEED[comparison["verdict"]].format(arm=arm, baseline=baseline)
        found.append(
            f"{arm} needs {value:.1f} epochs on average to reach {goal}; {baseline} needs {other:.1f} "
            f"({evidence(comparison)}: {outcome(comparison)}). {verdict}"
        )
        found += [*validation_remark(summary, arm), *validation_remark(summary, baseline)]
        if arm in rows and baseline in rows:
            found += _seconds_to_target(rows[arm], rows[baseline], comparison)
    missed = [
        f"{row['runs'] - row['reached']} of {row['runs']} of {arm}"
        for arm, row in rows.items()
        if row["reached"] is not None and row["reached"] < row["runs"]
    ]
    if missed:
        found.append(
            f"Runs that never reached the target: {listed(missed)}. They count as all "
            f"{records.study['study']['epochs']} epochs trained, so such a mean is too small."
        )
    return found or ["Epochs to a target were not compared."]


def larger_rates(records: Records) -> list[str]:
    """Say up to which rate each arm trains without divergence, and how well at the largest."""
    summary, metric = records.summary, rate_metric(records.task)
    grid = summary["rates"]["grid"]
    if len(grid) < 2:
        return [f"Only one learning rate was tried ({shown_rate(grid[0])}), so nothing can be said about larger ones."]
    rows = grid_rows(summary)
    stable = {arm: _largest_stable(rows, arm) for arm in records.arms}
    baseline, *others = records.arms
    top = max(grid)
    found = []
    if all(rate == top for rate in stable.values()):
        found.append(
            f"No run diverged in any arm, up to the largest rate tried, {shown_rate(top)}: the grid does not "
            "reach any arm’s limit, so it cannot tell which bears larger rates without diverging."
        )
    else:
        found += [_limit(arm, baseline, stable, rows, metric) for arm in others]
    at_top = {row["arm"]: row[f"{metric}_mean"] for row in rows if row["rate"] == top}
    scores = listed([f"{shown(metric, at_top.get(arm))} with {arm}" for arm in records.arms])
    found.append(f"At the largest rate, {shown_rate(top)}, the mean {label_of(metric)} is {scores}.")
    found += [
        sentence(row)
        for row in deployed(summary)
        if row["rate"] == top and row["metric"] == summary["primary"]["metric"] and summary["primary"]["rate"] != top
    ]
    if summary["rates"]["mode"] == "tuned":
        chosen = summary["rates"]["chosen"]
        picks = per_arm({arm: shown_rate(chosen[arm]) for arm in records.arms})
        found.append(f"Validation data chose the rate {picks}.")
    return found


def generalization(records: Records) -> list[str]:
    """Say how far test scores fall behind training scores, and what that does not show.

    Where an arm keeps running statistics, it is judged with recomputed ones: their lag is no fact about generalization.
    """
    is_share = records.task == "classification"
    metric = "accuracy" if is_share else "loss"
    rows = shown_rows(records.summary)
    found = []
    for arm, row in rows.items():
        second = [recomputed_mean(records.summary, arm, f"{part}_{metric}") for part in ("val", "test")]
        is_second = second[1] is not None
        train, *own = (row[f"{prefix}{metric}_mean"] for prefix in ("", "val_", "test_"))
        validation, test = second if is_second else own
        if train is None or test is None:
            found.append(f"{arm} has no finite mean {metric} on all parts, so its gap is unknown.")
            continue
        gap = train - test if is_share else test - train
        named = f"{arm}, with recomputed statistics" if is_second else arm
        found.append(
            f"{named}: training {metric} {shown(metric, train)}, validation {shown(metric, validation)}, test "
            f"{shown(metric, test)}; the gap from training to test is "
            f"{difference_scale(metric, [gap]).quantity(gap, signed=True)}."
        )
    for comparison in with_settled(records.summary, f"test_{metric}"):
        if comparison["arm"] in rows and comparison["baseline"] in rows:
            found += _fit_or_regularization(comparison, rows, metric, is_share)
    found.append(
        f"Training {metric} is measured while the weights still change and in training mode, so a gap shows a "
        "tendency, not a regularizer’s effect: for that, arms have to be compared at equal training loss."
    )
    return found


def sensitivity(records: Records) -> list[str]:
    """Say how much each arm loses away from its best rate."""
    summary, metric = records.summary, rate_metric(records.task)
    if len(summary["rates"]["grid"]) < 2:
        return ["With one learning rate only, sensitivity to it was not measured."]
    found = [sentence(comparison) for comparison in summary["area_over_rates"]]
    rows = grid_rows(summary)
    for arm in records.arms:
        means = [row[f"{metric}_mean"] for row in rows if row["arm"] == arm]
        known = [mean for mean in means if mean is not None]
        lost = len(means) - len(known)
        if len(known) > 1:
            spread = max(known) - min(known)
            missing = f", apart from {counted(lost, 'rate')} without a finite mean" if lost else ""
            found.append(
                f"Between its best and its worst rate, {arm}’s mean {label_of(metric)} differs by "
                f"{difference_scale(metric, [spread]).quantity(spread)}{missing}."
            )
    return found


def _seconds_to_target(row: Row, other: Row, comparison: Row) -> list[str]:
    if row["seconds_per_epoch"] is None or other["seconds_per_epoch"] is None:
        return []
    times = [
        comparison["value"] * row["seconds_per_epoch"],
        comparison["baseline_value"] * other["seconds_per_epoch"],
    ]
    scale = value_scale("seconds", times)
    faster = "earlier" if times[0] < times[1] else "later"
    return [
        f"In seconds, means times median seconds per epoch: {scale.quantity(times[0])} for {comparison['arm']}, "
        f"{scale.quantity(times[1])} for {comparison['baseline']}, so {comparison['arm']} arrives {faster} by the "
        "clock; this product has no interval and so no verdict."
    ]


def _largest_stable(rows: Sequence[Row], arm: str) -> float | None:
    """The largest rate with no diverged run at it or at any smaller one; None if there is none."""
    largest = None
    for row in sorted((row for row in rows if row["arm"] == arm), key=lambda row: row["rate"]):
        if row["diverged"]:
            break
        largest = float(row["rate"])
    return largest


def _limit(arm: str, baseline: str, stable: Mapping[str, float | None], rows: Sequence[Row], metric: str) -> str:
    own, other = stable[arm], stable[baseline]
    runs = max(row["runs"] for row in rows)
    scores = {(row["arm"], row["rate"]): row[f"{metric}_mean"] for row in rows}
    basis = f"from {counted(runs, 'run')} per rate, without an interval"
    if own is None or other is None:
        without = listed([name for name, rate in ((arm, own), (baseline, other)) if rate is None])
        return f"Runs of {without} diverged already at the smallest rate; the grid is too coarse to compare limits."
    if own == other:
        return f"{arm} and {baseline} both train without divergence up to {shown_rate(own)} and not beyond ({basis})."
    bound = "larger" if own > other else "smaller"
    return (
        f"{arm} trains without divergence up to {shown_rate(own)} ({label_of(metric)} there "
        f"{shown(metric, scores.get((arm, own)))}), {baseline} up to {shown_rate(other)} "
        f"({shown(metric, scores.get((baseline, other)))}): {arm} bears {bound} rates in this grid ({basis})."
    )


def _fit_or_regularization(comparison: Row, rows: Mapping[str, Row], metric: str, is_share: bool) -> list[str]:
    arm, baseline, verdict = comparison["arm"], comparison["baseline"], comparison["verdict"]
    own, other = rows[arm][f"{metric}_mean"], rows[baseline][f"{metric}_mean"]
    if own is None or other is None:
        return []
    fits_better = own > other if is_share else own < other
    where = "the test data"
    if comparison.get("statistics") == "recomputed":
        where += " with recomputed statistics"
    if verdict == "better":
        why = (
            "it also fits the training data better, so part of this may be better optimization, not regularization"
            if fits_better
            else "it does not fit the training data better, as one would expect of a regularizer"
        )
        return [f"{arm} is better than {baseline} on {where}; {why}."]
    if verdict == "worse":
        why = (
            "although it fits the training data better: it generalizes worse"
            if fits_better
            else "and it fits the training data no better either"
        )
        return [f"{arm} is worse than {baseline} on {where}, {why}."]
    if verdict == "equivalent":
        return [f"On {where} {arm} and {baseline} are equivalent: no benefit for generalization shows here."]
    return [f"Whether {arm} generalizes better than {baseline} stays undecided."]
