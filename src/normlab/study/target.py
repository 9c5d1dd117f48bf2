"""The target that "epochs to target" is measured to: given, or a rule that favours no arm."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

# One point of accuracy below what the runs end at; where there is no accuracy, a loss 5 % above.
ACCURACY_BELOW = 0.01
LOSS_FACTOR = 1.05


@dataclass(frozen=True)
class Target:
    """A validation score to reach.

    Attributes:
        metric: "val_accuracy" (reached from below) or "val_loss" (from above).
        value: The score.
        rule: How it was set, as a clause.
    """

    metric: str
    value: float
    rule: str


def set_target(runs: pl.DataFrame, task: str, reach: float | None) -> Target:
    """Return the target: `reach` where given, else set from the pooled median over all arms' runs.

    The pooled median does not change when the arms of a pair are swapped, so it favours none, and a sign-flip test on
    the times stays exact. Runs that diverged to a loss that is no number count as infinite.

    Args:
        runs: All arms' runs: of the tuning stage at the chosen rates, or of the reported stage where rates are given.
        task: "classification" or "regression".
        reach: The user's target.
    """
    metric = "val_accuracy" if task == "classification" else "val_loss"
    if reach is not None:
        return Target(metric, reach, "given beforehand")
    finals = runs[metric].fill_nan(None)
    median = float(finals.fill_null(0.0 if task == "classification" else float("inf")).median())  # type: ignore[arg-type]
    source = "tuning runs at the chosen rates" if (runs["stage"] == "tuning").any() else "runs reported on"
    pooled = (
        f"the median final {'validation accuracy' if task == 'classification' else 'validation loss'} of all arms' "
    )
    if task == "classification":
        value, change = max(median - ACCURACY_BELOW, 0.0), "one point below"
    elif median == float("inf"):
        return Target(
            metric, -median, "none: most runs ended with a loss that is not finite, so there is nothing to reach"
        )
    else:
        value, change = median * LOSS_FACTOR, "5 % above"
    return Target(metric, value, f"{change} {pooled}{source}, which favours no arm")
