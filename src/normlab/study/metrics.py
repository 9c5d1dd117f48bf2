"""What arms are compared on: one table of metrics, and one value per pair for each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from normlab.stats.censored import restrict
from normlab.stats.divergence import counted_accuracy, counted_loss


@dataclass(frozen=True)
class Metric:
    """A quantity to compare.

    Attributes:
        name: In records.
        label: In tables.
        unit: After a number; empty for a share.
        higher_is_better: Whether more is an improvement.
        margin: Differences smaller than this are negligible; None where the study states it (accuracy).
        margin_is_relative: Whether the margin is a share of the baseline's value.
        resolution: What all values are multiples of; 0 for continuous ones, None where the test part says (accuracy).
        clock: Share of the baseline's value by which measuring itself may tell equal arms apart.
    """

    name: str
    label: str
    unit: str
    higher_is_better: bool
    margin: float | None
    margin_is_relative: bool = False
    resolution: float | None = 0.0
    clock: float = 0.0


# Margins are stated here, before any data: 0.02 in loss is 2 % in likelihood per
# sample (classification) or of the target's variance (regression); half an epoch is
# half the resolution at which a target is watched; 5 % of a step's time is what a quiet machine repeats, and up to 1 %
# equal programs differ for as long as they stay where they are in memory.
METRICS = {
    "test_accuracy": Metric("test_accuracy", "test accuracy", "", True, None, resolution=None),
    "test_loss": Metric("test_loss", "test loss", "", False, 0.02),
    "epochs_to_target": Metric("epochs_to_target", "epochs to target", "epochs", False, 0.5, resolution=1.0),
    "seconds_per_step": Metric("seconds_per_step", "seconds per step", "s", False, 0.05, True, clock=0.01),
}
# The column that comparisons use for a metric; see `with_outcomes`.
COUNTED = {
    "test_accuracy": "counted_test_accuracy",
    "test_loss": "counted_test_loss",
    "epochs_to_target": "watched_epochs",
}
ALL_DIVERGED = "Every run of both arms diverged, so there is nothing to compare."


def primary_metric(task: str) -> str:
    """Return the metric that answers the study's question."""
    return "test_accuracy" if task == "classification" else "test_loss"


def pairs(runs: pl.DataFrame, metric: str, arm: str, baseline: str) -> tuple[np.ndarray, np.ndarray]:
    """Return a metric's values of an arm and its baseline, paired by seed, each of shape (pairs,).

    Args:
        runs: At one rate per arm; with the columns of `with_outcomes`.
        metric: A name in `METRICS`, but seconds per step, which pairs by round: see `rounds`.
        arm: The arm.
        baseline: The arm it is compared with.
    """
    column = COUNTED[metric]
    left, right = (runs.filter(pl.col("arm") == name).select("seed", column) for name in (arm, baseline))
    joined = left.join(right, on="seed", suffix="_baseline").sort("seed")
    return joined[column].to_numpy(), joined[f"{column}_baseline"].to_numpy()


def rounds(epochs: pl.DataFrame, steps_per_epoch: int, arm: str, baseline: str) -> tuple[np.ndarray, np.ndarray]:
    """Return seconds per step of an arm and its baseline, paired by round, each of shape (rounds,).

    A round is one epoch of one chunk, in which the arms took turns; runs of a chunk share its clock, so seeds are no
    replicates of time. The first epoch of a chunk warms up and is left out where there are more.
    """
    if epochs["epoch"].max() != 1:
        epochs = epochs.filter(pl.col("epoch") > 1)
    per_round = epochs.group_by("arm", "stage", "chunk", "epoch").agg(pl.col("seconds").mean() / steps_per_epoch)
    left, right = (per_round.filter(pl.col("arm") == name).drop("arm") for name in (arm, baseline))
    joined = left.join(right, on=["stage", "chunk", "epoch"], suffix="_baseline").sort("stage", "chunk", "epoch")
    return joined["seconds"].to_numpy(), joined["seconds_baseline"].to_numpy()


def with_outcomes(runs: pl.DataFrame, epochs: pl.DataFrame, target: float, uninformed_loss: float) -> pl.DataFrame:
    """Add to every run when it reached the target, and the values that comparisons use.

    Adds `epochs_to_target` and `steps_to_target`, infinite where the target was never reached; `watched_epochs`, the
    former restricted to the epochs trained; `counted_test_loss` and `counted_test_accuracy`, in which a diverged run
    counts as `stats.divergence` says.

    Args:
        runs: One row per run.
        epochs: One row per run and epoch.
        target: Of the validation accuracy, from below; where there is none, of the validation loss, from above.
        uninformed_loss: The loss of a predictor that knows nothing.
    """
    is_classification = epochs["val_accuracy"].null_count() < len(epochs)
    reached = pl.col("val_accuracy") >= target if is_classification else pl.col("val_loss") <= target
    first = (
        epochs.filter(reached)
        .group_by("run")
        .agg(pl.col("epoch").min().cast(pl.Float64), pl.col("step").min().cast(pl.Float64))
        .rename({"epoch": "epochs_to_target", "step": "steps_to_target"})
    )
    joined = with_counted_scores(runs, uninformed_loss).join(first, on="run", how="left", maintain_order="left")
    return with_watched_epochs(
        joined.with_columns(pl.col("epochs_to_target", "steps_to_target").fill_null(float("inf")))
    )


def with_watched_epochs(runs: pl.DataFrame) -> pl.DataFrame:
    """Add `watched_epochs` to runs that know when they reached the target; see `with_outcomes`."""
    horizon = float(runs["epochs"].max())  # type: ignore[arg-type]
    return runs.with_columns(watched_epochs=pl.Series(restrict(runs["epochs_to_target"].to_numpy(), horizon)))


def with_counted_scores(runs: pl.DataFrame, uninformed_loss: float) -> pl.DataFrame:
    """Add `counted_test_loss` and `counted_test_accuracy` (null where there is none) to runs; see `with_outcomes`."""
    diverged = runs["diverged"].to_numpy()
    loss = counted_loss(runs["test_loss"].to_numpy(), diverged, uninformed_loss)
    accuracy = pl.Series(counted_accuracy(runs["test_accuracy"].to_numpy(), diverged))
    return runs.with_columns(
        counted_test_loss=pl.Series(loss),
        counted_test_accuracy=pl.when(pl.col("test_accuracy").is_not_null()).then(accuracy),
    )


def all_diverged(runs: pl.DataFrame, arm: str, baseline: str) -> bool:
    """Return whether every run of both arms diverged: their values then say nothing of a difference."""
    return bool(runs.filter(pl.col("arm").is_in([arm, baseline]))["diverged"].all())
