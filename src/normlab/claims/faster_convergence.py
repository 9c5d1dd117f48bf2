"""The claim that batch norm trains faster: epochs, steps and seconds to a common target and to each run's own end."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from normlab.claims.claim import Claim
from normlab.claims.conditions import all_needed
from normlab.claims.drawing import Drawing, quartiles
from normlab.claims.final_error import chance_score
from normlab.claims.finding import Decision, Finding, decision_of
from normlab.claims.fit import curves, watched
from normlab.stats.choices import under_every_choice
from normlab.stats.effect import Effect, paired_effect
from normlab.stats.log_rank import log_rank
from normlab.stats.restricted_mean import RestrictedTimes, restricted_times
from normlab.stats.verdict import judge as judge_effects
from normlab.study.metrics import METRICS
from normlab.study.target import ACCURACY_BELOW, LOSS_FACTOR, Target, set_target

if TYPE_CHECKING:
    from normlab.claims.bench import Bench
    from normlab.claims.trained import Trained

ARMS = ("none", "batch")
OPTIMIZER = "sgd"
# Half an epoch: half the resolution at which the target is watched, as in every study.
MARGIN = METRICS["epochs_to_target"].margin or 0.0
COMMON, OWN = "a common target", "each run's own end"


def measure(bench: Bench) -> pl.DataFrame:
    """Train both arms over the grid (tuning seeds), and on fresh seeds at every rate that could have been chosen.

    Returns:
        One row per run and epoch: arm, stage (tuning or fresh), seed, rate, choice (0 for the best rate, then the
        others that could have been chosen; null for other rates), epoch, step, seconds (of the epoch, per run),
        val_accuracy (null without classes), val_loss; and of fresh runs settled_accuracy and settled_loss, the same
        with recomputed statistics where the network keeps running ones; nothing (the score of knowing nothing).
    """
    grid = sorted({rate for arm in ARMS for rate in bench.tried_rates(arm)})
    frames = []
    for arm in ARMS:
        possible = bench.possible_rates(arm)
        cells = [(seed, rate) for rate in grid for seed in bench.tuning_seeds]
        frames.append(_rows(bench, arm, "tuning", cells, possible, bench.grid(arm, grid)))
        for rate in possible:
            cells = [(seed, rate) for seed in bench.seeds]
            frames.append(_rows(bench, arm, "fresh", cells, possible, watched(bench, arm, rate)))
    return pl.concat(frames)


def judge(evidence: pl.DataFrame) -> Finding:
    """Return the verdict on the restricted mean epochs to a common target, and to each run's own end, on fresh seeds.

    Both are needed; see `_times` for the own end. An arm that ends higher passes a common target sooner, and one that
    ends lower is sooner at its own end; faster is one that is sooner at both. The paired differences are tested
    (sign-flip, and equivalence inside `MARGIN`) at every combination of rates that could have been chosen. The effect
    is the ratio of means to the common target, with its paired bootstrap interval, which has to agree. Where a pair
    missed twice, no equivalence is concluded.
    """
    fresh = _fresh(evidence)
    target, horizon = _target(fresh[0], "settled"), float(evidence["epoch"].max())  # type: ignore[arg-type]
    own = {COMMON: _effects(fresh, horizon, own=False), OWN: _effects(fresh, horizon, own=True)}
    judged = judge_effects(list(own.values()))
    batch, none = _times(fresh[0], target)
    times = restricted_times(batch, none, horizon)
    decisions = {name: decision_of(one) for name, one in zip(own, judged, strict=True)}
    decisions[COMMON] = _checked(decisions[COMMON], own[COMMON], times)
    ends = restricted_times(*_times(fresh[0], target, own_end=True), horizon)
    decisions[OWN] = _checked(decisions[OWN], own[OWN], ends)
    found = all_needed(decisions)
    details = _details(evidence, fresh[0], target, horizon, times, log_rank(batch, none, horizon).paired_p_value)
    area, lag = details["epochs_over_the_grid"], details["epochs_with_running_statistics"]
    answer = (
        f"Batch norm took {times.mean:.3g} epochs to the common target and its absence {times.baseline_mean:.3g} "
        f"(means restricted to {horizon:.0f} epochs; {times.missed} and {times.baseline_missed} of {times.pairs} runs "
        f"missed it): a ratio of {times.ratio:.2f}, {decisions[COMMON].verdict}. {decisions[COMMON].reason} To within "
        f"a point of its own end a run took {own[OWN].value:.3g} with and {own[OWN].baseline_value:.3g} without, "
        f"{decisions[OWN].verdict}. Evaluated with running statistics, batch norm took {lag['batch']:.3g} to the "
        f"common target. Over the whole grid of rates, each shared by both arms, it took {area['batch']:.3g} epochs on "
        f"average and its absence {area['none']:.3g}.{found.open}"
    )
    # Where there are too few pairs for an interval of the difference, there is none of the ratio.
    has_interval, ratio = math.isfinite(own[COMMON].ci_low), times.ratio_interval
    return Finding(
        found.verdict,
        times.ratio,
        _finite(ratio.low) if has_interval else None,
        _finite(ratio.high) if has_interval else None,
        times.pairs,
        answer=answer,
        p_value=found.p_value,
        would_change=f"As many epochs as without, to within {MARGIN:g}, or more, to the common target or to the runs' "
        "own ends would refute it.",
        details=details,
    )


def draw(evidence: pl.DataFrame) -> Drawing:
    """Return the validation score over the epochs at the own best rates, with quartiles and the target."""
    fresh = _fresh(evidence)[0]
    target = _target(fresh, "settled")
    rows = (
        fresh.group_by("arm", "epoch")
        .agg(quartiles(target.metric.replace("val", "settled")))
        .sort("arm", "epoch")
        .select(pl.col("arm").alias("series"), pl.col("epoch").alias("x"), "y", "low", "high")
    )
    return Drawing(
        "lines",
        "How fast each arm learns at its own best rate",
        "epoch",
        "validation accuracy" if target.metric == "val_accuracy" else "validation loss",
        rows.to_dicts(),
        f"Median over fresh seeds, band from the lower to the upper quartile; statistics settled; the rule is the "
        f"common target: {target.rule}.",
        reference=target.value if math.isfinite(target.value) else None,
    )


def _rows(
    bench: Bench, arm: str, stage: str, cells: list[tuple[int, float]], possible: tuple[float, ...], trained: Trained
) -> pl.DataFrame:
    epochs, runs = trained.val_loss.shape
    has_classes = bench.dataset.task == "classification"
    steps = math.ceil(len(bench.dataset.train) / bench.batch_size)
    each_epoch = np.arange(1, epochs + 1)
    choices = [possible.index(rate) if rate in possible else None for _, rate in cells]
    settled = curves(trained, recomputed=True)[1:, 3:] if stage == "fresh" else None
    return pl.DataFrame(
        {
            "arm": arm,
            "stage": stage,
            "seed": np.tile([seed for seed, _ in cells], epochs),
            "rate": np.tile([rate for _, rate in cells], epochs),
            "choice": choices * epochs,
            "epoch": np.repeat(each_epoch, runs),
            "step": np.repeat(each_epoch * steps, runs),
            "seconds": np.repeat(trained.seconds, runs),
            "val_accuracy": trained.val_accuracy.ravel().astype(float) if has_classes else None,
            "val_loss": trained.val_loss.ravel().astype(float),
            "settled_accuracy": settled[:, 1].ravel().astype(float) if settled is not None and has_classes else None,
            "settled_loss": settled[:, 0].ravel().astype(float) if settled is not None else None,
            "nothing": chance_score(bench),
        },
        schema_overrides={
            "choice": pl.Int64,
            "val_accuracy": pl.Float64,
            "settled_accuracy": pl.Float64,
            "settled_loss": pl.Float64,
        },
    )


def _fresh(evidence: pl.DataFrame) -> list[pl.DataFrame]:
    """Return the fresh runs of every combination of rates that could have been chosen, that of the best rates first."""
    fresh = evidence.filter(pl.col("stage") == "fresh").sort("choice")
    rates = {arm: fresh.filter(pl.col("arm") == arm)["rate"].unique(maintain_order=True).to_list() for arm in ARMS}
    combinations = (dict(zip(rates, chosen, strict=True)) for chosen in itertools.product(*rates.values()))
    return [
        fresh.filter(pl.any_horizontal((pl.col("arm") == arm) & (pl.col("rate") == rate) for arm, rate in one.items()))
        for one in combinations
    ]


def _effects(fresh: list[pl.DataFrame], horizon: float, *, own: bool) -> Effect:
    """Return the effect on the epochs to the common target or to the runs' own ends, whatever rates were chosen."""
    effects = []
    for runs in fresh:
        batch, none = _times(runs, _target(runs, "settled"), own_end=own)
        effects.append(
            paired_effect(np.minimum(batch, horizon), np.minimum(none, horizon), margin=MARGIN, higher_is_better=False)
        )
    return under_every_choice(effects)


def _checked(decision: Decision, effect: Effect, times: RestrictedTimes) -> Decision:
    """Return the decision, undecided where the ratio of means disagrees or misses could hide a gain."""
    ratio = times.ratio_interval
    agrees = ratio.high < 1 if effect.difference < 0 else ratio.low > 1
    told_apart = effect.ci_low > 0 or effect.ci_high < 0
    if decision.verdict == "refuted" and not told_apart and times.both_missed:
        why = f"But in {times.both_missed} pairs neither run reached the target, where equal times mean nothing."
    elif decision.verdict == "supported" and not agrees:
        why = "But the interval of the ratio holds 1."
    else:
        return decision
    outlook = "longer runs would be needed" if times.both_missed else "more pairs would be needed"
    return Decision("undecided", None, f"{decision.reason} {why}", outlook)


def _target(runs: pl.DataFrame, statistics: str) -> Target:
    """Return the common target by the rule of `study.target`, from the last epoch of the runs of both arms."""
    named = runs.filter(pl.col("epoch") == runs["epoch"].max()).with_columns(
        val_accuracy=pl.col(f"{statistics}_accuracy"), val_loss=pl.col(f"{statistics}_loss")
    )
    return set_target(named, _task(runs), None)


def _times(
    runs: pl.DataFrame, target: Target, statistics: str = "settled", *, own_end: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Return the epochs to the target with batch norm and without, by seed; infinite where it was never reached.

    At its own end is a run that has come within a point of accuracy of its last score, or 5 % of its last loss. One
    that ends less than halfway from knowing nothing to the target has learned nothing to come to the end of.
    """
    accuracy, loss = pl.col(f"{statistics}_accuracy"), pl.col(f"{statistics}_loss")
    score = accuracy if _task(runs) == "classification" else 1 - loss
    goal = pl.lit(target.value if _task(runs) == "classification" else 1 - target.value)
    # A target that knowing nothing reaches is none.
    is_learned = goal > pl.col("nothing")
    if own_end:
        last = score.sort_by("epoch").last().over("arm", "seed")
        is_learned &= last >= 0.5 * (pl.col("nothing") + goal)
        goal = last - ACCURACY_BELOW if _task(runs) == "classification" else 1 - LOSS_FACTOR * (1 - last)
    # Rounding must not decide on a target that lies on a rung of 1 / samples.
    reached = (is_learned & (score >= goal - 1e-9) & loss.is_finite()).fill_null(False)
    epoch = pl.when("reached").then(pl.col("epoch")).min().cast(pl.Float64).fill_null(math.inf)
    first = runs.with_columns(reached=reached).group_by("arm", "seed").agg(epoch.alias("epochs"))
    paired = first.pivot("arm", index="seed", values="epochs").sort("seed")
    return paired["batch"].to_numpy(), paired["none"].to_numpy()


def _task(evidence: pl.DataFrame) -> str:
    return "classification" if evidence["val_accuracy"].null_count() < len(evidence) else "regression"


def _details(
    evidence: pl.DataFrame,
    fresh: pl.DataFrame,
    target: Target,
    horizon: float,
    times: RestrictedTimes,
    p_log_rank: float,
) -> dict[str, Any]:
    """Return steps and seconds at own best rates, and both arms at every shared rate and over them (tuning seeds).

    Over the grid is the area under the restricted mean epochs over log rate, as a mean: rates stand in even steps.
    """
    # The first epoch warms up where there are more; the median is not moved by one that was disturbed.
    clock = fresh.filter(pl.col("epoch") > 1) if horizon > 1 else fresh
    seconds = {str(arm): float(part["seconds"].median()) for (arm,), part in clock.group_by("arm")}  # type: ignore[arg-type]
    steps = float((fresh["step"] / fresh["epoch"]).max())  # type: ignore[arg-type]
    shared = []
    for (rate,), part in evidence.filter(pl.col("stage") == "tuning").group_by("rate", maintain_order=True):
        at_rate = restricted_times(*_times(part, target, "val"), horizon, num_resamples=1)
        shared.append({"rate": rate, "none": at_rate.baseline_mean, "batch": at_rate.mean, "ratio": at_rate.ratio})
    over_the_grid = {arm: sum(at_rate[arm] for at_rate in shared) / len(shared) for arm in ARMS}
    running = np.minimum(np.array(_times(fresh, target, "val")), horizon).mean(axis=1)
    chosen = evidence.filter(pl.col("stage") == "fresh").sort("choice")
    return {
        "target": target.value if math.isfinite(target.value) else None,
        "target_metric": target.metric,
        "target_rule": target.rule,
        "own_best_rates": {str(arm): float(part["rate"][0]) for (arm,), part in fresh.group_by("arm")},
        "possible_rates": {
            str(arm): part["rate"].unique(maintain_order=True).to_list() for (arm,), part in chosen.group_by("arm")
        },
        "epochs_with_running_statistics": {"none": float(running[1]), "batch": float(running[0])},
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
    protocol="plain SGD; epochs until the validation score first reaches one target for both arms, and until it comes "
    "within a point of the run's own end, each arm at its own best rate and at every one that could have been chosen, "
    "on fresh seeds; statistics settled; a run that misses counts as the horizon; also at every shared rate and over "
    "the grid of rates, in steps and in seconds",
    metric="ratio of restricted mean epochs to the common target, batch over none; epochs to the own end, difference",
    expected="fewer steps with batch norm, mostly since it tolerates larger rates; less or no gain in seconds, since a "
    "step costs more",
    source="Ioffe and Szegedy 2015, section 4.2; the target's rule: normlab.study.target",
    measure=measure,
    judge=judge,
    draw=draw,
    not_about="which arm ends higher: it passes a common target sooner, so being sooner at each run's own end is "
    "needed too; nor how far running statistics lag behind, which delays what is seen of batch norm, not what it "
    "learns",
)
