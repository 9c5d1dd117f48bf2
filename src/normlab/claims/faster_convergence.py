"""The claim that batch norm trains faster: epochs, steps and seconds to one target, misses counted as the horizon."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from normlab.claims.claim import Claim
from normlab.claims.drawing import Drawing, quartiles
from normlab.claims.finding import Finding, decide
from normlab.claims.fit import watched
from normlab.stats.effect import paired_effect
from normlab.stats.log_rank import log_rank
from normlab.stats.restricted_mean import RestrictedTimes, restricted_times
from normlab.study.metrics import METRICS
from normlab.study.target import Target, set_target

if TYPE_CHECKING:
    from normlab.claims.bench import Bench
    from normlab.claims.trained import Trained

ARMS = ("none", "batch")
OPTIMIZER = "sgd"
# Half an epoch: half the resolution at which the target is watched, as in every study.
MARGIN = METRICS["epochs_to_target"].margin or 0.0


def measure(bench: Bench) -> pl.DataFrame:
    """Train both arms over the grid (tuning seeds), and at the own best rate on fresh seeds; keep every epoch.

    Returns:
        One row per run and epoch: arm, stage (tuning or fresh), seed, rate, own_best, epoch, step, seconds (of the
        epoch, per run), val_accuracy (null without classes), val_loss.
    """
    from normlab.train.optimizers import OPTIMIZERS

    grid = OPTIMIZERS[OPTIMIZER].grid
    frames = []
    for arm in ARMS:
        best = bench.best_rate(arm, grid)
        cells = [(seed, rate) for rate in grid for seed in bench.tuning_seeds]
        frames.append(_rows(bench, arm, "tuning", cells, best, bench.grid(arm, grid)))
        cells = [(seed, best) for seed in bench.seeds]
        frames.append(_rows(bench, arm, "fresh", cells, best, watched(bench, arm, best)))
    return pl.concat(frames)


def judge(evidence: pl.DataFrame) -> Finding:
    """Return the verdict on the restricted mean epochs to the target at own best rates, on fresh seeds.

    The paired differences are tested (sign-flip, and equivalence inside `MARGIN`); the effect is the ratio of means,
    with its paired bootstrap interval, which has to agree. Where a pair missed twice, no equivalence is concluded.
    """
    target, horizon = _target(evidence), float(evidence["epoch"].max())  # type: ignore[arg-type]
    batch, none = _times(evidence.filter(pl.col("own_best"), pl.col("stage") == "fresh"), target)
    times = restricted_times(batch, none, horizon)
    effect = paired_effect(np.minimum(batch, horizon), np.minimum(none, horizon), margin=MARGIN, higher_is_better=False)
    decision, ratio = decide(effect), times.ratio_interval
    verdict, p_value, reason = decision.verdict, decision.p_value, decision.reason
    agrees = ratio.high < 1 if effect.difference < 0 else ratio.low > 1
    told_apart = effect.ci_low > 0 or effect.ci_high < 0
    if verdict == "refuted" and not told_apart and times.both_missed:
        verdict, p_value = "undecided", None
        reason += f" But in {times.both_missed} pairs neither run reached the target, where equal times mean nothing."
    elif verdict == "supported" and not agrees:
        verdict, p_value = "undecided", None
        reason += " But the interval of the ratio holds 1."
    details = _details(evidence, target, horizon, times, log_rank(batch, none, horizon).paired_p_value)
    area = details["epochs_over_the_grid"]
    answer = (
        f"Batch norm took {times.mean:.3g} epochs to the target and its absence {times.baseline_mean:.3g} (means "
        f"restricted to {horizon:.0f} epochs; {times.missed} and {times.baseline_missed} of {times.pairs} runs missed "
        f"it): a ratio of {times.ratio:.2f}. {reason} Over the "
        f"whole grid of rates, each shared by both arms, it took {area['batch']:.3g} epochs on average and its absence "
        f"{area['none']:.3g}."
    )
    return Finding(
        verdict,
        times.ratio,
        _finite(ratio.low),
        _finite(ratio.high),
        times.pairs,
        answer=answer,
        p_value=p_value,
        would_change=f"As many epochs as without, to within {MARGIN:g}, or more, would refute it.",
        details=details,
    )


def draw(evidence: pl.DataFrame) -> Drawing:
    """Return the validation score over the epochs at the own best rates, with quartiles and the target."""
    target = _target(evidence)
    rows = (
        evidence.filter(pl.col("own_best"), pl.col("stage") == "fresh")
        .group_by("arm", "epoch")
        .agg(quartiles(target.metric))
        .sort("arm", "epoch")
        .select(pl.col("arm").alias("series"), pl.col("epoch").alias("x"), "y", "low", "high")
    )
    return Drawing(
        "lines",
        "How fast each arm learns at its own best rate",
        "epoch",
        "validation accuracy" if target.metric == "val_accuracy" else "validation loss",
        rows.to_dicts(),
        f"Median over fresh seeds, band from the lower to the upper quartile; the rule is the target: {target.rule}.",
        reference=target.value if math.isfinite(target.value) else None,
    )


def _rows(
    bench: Bench, arm: str, stage: str, cells: list[tuple[int, float]], best: float, trained: Trained
) -> pl.DataFrame:
    epochs, runs = trained.val_loss.shape
    has_classes = bench.dataset.task == "classification"
    steps = math.ceil(len(bench.dataset.train) / bench.batch_size)
    each_epoch = np.arange(1, epochs + 1)
    return pl.DataFrame(
        {
            "arm": arm,
            "stage": stage,
            "seed": np.tile([seed for seed, _ in cells], epochs),
            "rate": np.tile([rate for _, rate in cells], epochs),
            "own_best": np.tile([rate == best for _, rate in cells], epochs),
            "epoch": np.repeat(each_epoch, runs),
            "step": np.repeat(each_epoch * steps, runs),
            "seconds": np.repeat(trained.seconds, runs),
            "val_accuracy": trained.val_accuracy.ravel().astype(float) if has_classes else None,
            "val_loss": trained.val_loss.ravel().astype(float),
        },
        schema_overrides={"val_accuracy": pl.Float64},
    )


def _target(evidence: pl.DataFrame) -> Target:
    """Return the target by the rule of `study.target`, from the tuning runs at the chosen rates."""
    tuned = evidence.filter(pl.col("own_best"), pl.col("stage") == "tuning", pl.col("epoch") == evidence["epoch"].max())
    has_classes = evidence["val_accuracy"].null_count() < len(evidence)
    return set_target(tuned, "classification" if has_classes else "regression", None)


def _times(evidence: pl.DataFrame, target: Target) -> tuple[np.ndarray, np.ndarray]:
    """Return the epochs to the target with batch norm and without, by seed; infinite where it was never reached."""
    score = pl.col(target.metric)
    reached = score >= target.value if target.metric == "val_accuracy" else score <= target.value
    epoch = pl.when(reached.fill_null(False)).then(pl.col("epoch")).min()
    first = evidence.group_by("arm", "seed").agg(epoch.cast(pl.Float64).fill_null(math.inf).alias("epochs"))
    paired = first.pivot("arm", index="seed", values="epochs").sort("seed")
    return paired["batch"].to_numpy(), paired["none"].to_numpy()


def _details(
    evidence: pl.DataFrame, target: Target, horizon: float, times: RestrictedTimes, p_log_rank: float
) -> dict[str, Any]:
    """Return steps and seconds at own best rates, and both arms at every shared rate and over them (tuning seeds).

    Over the grid is the area under the restricted mean epochs over log rate, as a mean: rates stand in even steps.
    """
    fresh = evidence.filter(pl.col("own_best"), pl.col("stage") == "fresh")
    # The first epoch warms up where there are more; the median is not moved by one that was disturbed.
    clock = fresh.filter(pl.col("epoch") > 1) if horizon > 1 else fresh
    seconds = {str(arm): float(part["seconds"].median()) for (arm,), part in clock.group_by("arm")}  # type: ignore[arg-type]
    steps = float((fresh["step"] / fresh["epoch"]).max())  # type: ignore[arg-type]
    shared = []
    for (rate,), part in evidence.filter(pl.col("stage") == "tuning").group_by("rate", maintain_order=True):
        at_rate = restricted_times(*_times(part, target), horizon, num_resamples=1)
        shared.append({"rate": rate, "none": at_rate.baseline_mean, "batch": at_rate.mean, "ratio": at_rate.ratio})
    over_the_grid = {arm: sum(at_rate[arm] for at_rate in shared) / len(shared) for arm in ARMS}
    return {
        "target": target.value if math.isfinite(target.value) else None,
        "target_metric": target.metric,
        "target_rule": target.rule,
        "own_best_rates": {str(arm): float(part["rate"][0]) for (arm,), part in fresh.group_by("arm")},
        "steps": {"none": times.baseline_mean * steps, "batch": times.mean * steps},
        "seconds": {"none": times.baseline_mean * seconds["none"], "batch": times.mean * seconds["batch"]},
        "seconds_ratio": times.ratio * seconds["batch"] / seconds["none"],
        "log_rank_p": p_log_rank,
        "missed": {"none": times.baseline_missed, "batch": times.missed},
        "epochs_at_shared_rates": shared,
        "epochs_over_the_grid": {**over_the_grid, "ratio": over_the_grid["batch"] / over_the_grid["none"]},
    }


def _finite(bound: float) -> float | None:
    return bound if math.isfinite(bound) else None


CLAIM = Claim(
    id="faster-convergence",
    kind="benefit",
    statement="Batch normalization makes training faster.",
    protocol="plain SGD; epochs until the validation score first reaches one target for both arms, each at its own "
    "best rate, on fresh seeds; a run that misses counts as the horizon; also at every shared rate and over "
    "the grid of rates, in steps and in seconds",
    metric="ratio of restricted mean epochs to the target, batch over none",
    expected="fewer steps with batch norm, mostly since it bears larger rates; less or no gain in seconds, since a "
    "step costs more",
    source="Ioffe and Szegedy 2015, section 4.2; the target's rule: normlab.study.target",
    measure=measure,
    judge=judge,
    draw=draw,
)
