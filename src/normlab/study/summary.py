"""From records to what they amount to: comparisons with verdicts, the area over rates, and a row per arm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
import polars as pl

from normlab.stats.verdict import Effect, Judged, judge, paired_effect
from normlab.study.metrics import ALL_DIVERGED, COUNTED, METRICS, Metric, all_diverged, pairs, primary_metric, rounds
from normlab.study.rates import Choice, best_rates, own_runs

Rate = float | Literal["tuned", "grid"]

BOTH_MISSED = "In {missed} of {pairs} pairs neither arm reached the target in time, so equal times mean nothing there."
NEVER_REACHED = "No run of either arm reached the target in the epochs trained, so there is nothing to compare."


@dataclass(frozen=True)
class Evidence:
    """The records that comparisons are made from.

    Attributes:
        epochs: One row per run and epoch.
        runs: One row per run, with the columns of `metrics.with_outcomes`.
        arms: Names; the first is the baseline.
        task: "classification" or "regression".
        margin: The study's, of accuracy.
        steps_per_epoch: Optimizer steps.
        chosen: Each arm's rate, and all that may be the best, where rates were tuned, else None.
        main_rate: Where the study's question is asked: "tuned", or the first rate given.
        answers: By arm, the verdict on the study's question where looks decided how many pairs there are; see `looks`.
        num_test: Samples of the test part: an accuracy is a multiple of 1 / num_test. None lets the values show it.
    """

    epochs: pl.DataFrame
    runs: pl.DataFrame
    arms: list[str]
    task: str
    margin: float
    steps_per_epoch: int
    chosen: Mapping[str, Choice] | None
    main_rate: Rate
    answers: Mapping[str, Judged] | None = None
    num_test: int | None = None

    @property
    def primary_metric(self) -> str:
        """The metric that answers the study's question."""
        return primary_metric(self.task)

    @property
    def metrics(self) -> list[str]:
        """The metrics that this task has."""
        return [name for name in METRICS if name != "test_accuracy" or self.task == "classification"]


def comparisons(evidence: Evidence) -> list[dict[str, Any]]:
    """Return every comparison with its verdict, the study's question first.

    The primary metric at each arm's own best rate, or at the first rate given, was named before the data were seen: it
    is confirmatory, with Holm's correction over the arms. Everything else is exploratory, with Benjamini-Hochberg's
    correction: the other metrics there as one family, and each metric over the shared rates of a grid as another. Times
    do not depend on the rate, so they are compared once.

    Where the tuning runs leave several rates open, all arms are trained at all of them, and a pair's runs are those
    that their own validation data choose; see `normlab.study.rates.own_runs`.

    Where looks decided how many pairs there are, the question's verdicts are those of the looks, and everything else
    stands as if the number had been fixed.
    """
    found = at_main_rates(evidence)
    for name in evidence.metrics:
        if name != "seconds_per_step":
            found += _family(evidence, selections(evidence)[1], "benjamini-hochberg", [name])
    return found


def at_main_rates(evidence: Evidence) -> list[dict[str, Any]]:
    """Return the comparisons where the study's question is asked, which comes first; see `comparisons`."""
    main, _ = selections(evidence)
    if evidence.answers is None:
        found = _family(evidence, main, "holm", [evidence.primary_metric])
    else:
        metric, baseline = METRICS[evidence.primary_metric], evidence.arms[0]
        answers = evidence.answers.items()
        found = [_row(metric, arm, baseline, evidence.main_rate, one, "bonferroni") for arm, one in answers]
    others = [name for name in evidence.metrics if name != evidence.primary_metric]
    return found + _family(evidence, main, "benjamini-hochberg", others)


def recomputed_comparisons(evidence: Evidence, runs: pl.DataFrame, arms: list[str]) -> list[dict[str, Any]]:
    """Return the comparisons of some arms' test scores where the study's question is asked, from other scores of runs.

    They are exploratory, one family, corrected by Benjamini and Hochberg's method.

    Args:
        evidence: The study's.
        runs: Those of the evidence, with scores from recomputed statistics.
        arms: To compare with the baseline.
    """
    view = replace(evidence, runs=runs, arms=[evidence.arms[0], *arms], answers=None)
    scores = [name for name in evidence.metrics if name.startswith("test_")]
    return _family(view, selections(view)[0], "benjamini-hochberg", scores)


def area_over_rates(evidence: Evidence) -> list[dict[str, Any]]:
    """Return the comparison of each arm's mean score over the grid of rates, on a logarithmic axis; none for one rate.

    Per seed: the integral of the primary metric over log10(rate) divided by the grid's width, by the trapezoid rule.
    """
    runs = evidence.runs.filter(pl.col("stage") == ("tuning" if evidence.chosen else "report"))
    rates = sorted(runs["rate"].unique())
    if len(rates) < 2:
        return []
    metric = evidence.primary_metric
    column = COUNTED[metric]
    table = runs.sort("seed", "rate")
    logs = np.log10(rates)
    areas = {
        arm: np.trapezoid(table.filter(pl.col("arm") == arm)[column].to_numpy().reshape(-1, len(rates)), logs)
        / (logs[-1] - logs[0])
        for arm in evidence.arms
    }
    # A mean over the grid is no multiple of 1 / num_test: the values show what theirs is.
    averaged = replace(METRICS[metric], resolution=None)
    evidence = replace(evidence, num_test=None)
    effects = [_effect(evidence, averaged, areas[arm], areas[evidence.arms[0]]) for arm in evidence.arms[1:]]
    return [
        _row(METRICS[metric], arm, evidence.arms[0], "grid", judged, "holm")
        for arm, judged in zip(evidence.arms[1:], judge(effects, correction="holm"), strict=True)
    ]


def selections(evidence: Evidence) -> tuple[list[tuple[Rate, pl.DataFrame]], list[tuple[Rate, pl.DataFrame]]]:
    """Return the runs that answer the study's question, and those at each shared rate of a grid, with their rates."""
    reported = evidence.runs.filter(pl.col("stage") == "report")
    shared_stage = evidence.runs.filter(pl.col("stage") == "tuning") if evidence.chosen else reported
    shared = [(rate, shared_stage.filter(pl.col("rate") == rate)) for rate in sorted(shared_stage["rate"].unique())]
    if evidence.chosen:
        return [("tuned", _own(evidence))], shared
    main = [(rate, runs) for rate, runs in shared if rate == evidence.main_rate]
    return main, [(rate, runs) for rate, runs in shared if rate != evidence.main_rate]


def _own(evidence: Evidence) -> pl.DataFrame:
    """Return the runs of a tuned study that its question is answered with, one per arm and seed."""
    fresh = evidence.runs.filter(pl.col("stage") != "tuning")
    counts = fresh.group_by("seed").len()  # an interim analysis may have ended the study within a seed's runs
    complete = counts.filter(pl.col("len") == pl.col("len").max())["seed"]
    return own_runs(fresh.filter(pl.col("seed").is_in(complete.to_list())))


def by_rate(runs: pl.DataFrame) -> list[dict[str, Any]]:
    """Return one row per stage, arm and rate: runs, how many diverged, means and standard deviations over seeds.

    In the test scores, diverged runs count as in the comparisons.
    """
    return _means(runs, ["stage", "arm", "rate"])


def by_arm(evidence: Evidence, costs: Mapping[str, Mapping[str, int]]) -> list[dict[str, Any]]:
    """Return one row per arm (and rate, where several were given) of the runs reported on, with times and sizes.

    Where rates were tuned, the means are over the runs that the comparisons at the tuned rates are made of, and `rate`
    is the chosen one.
    """
    runs = evidence.runs.filter(pl.col("stage") == "report")
    if evidence.chosen:
        runs = _own(evidence).with_columns(rate=pl.col("arm").replace_strict(best_rates(evidence.chosen)))
    epochs = evidence.epochs.filter(pl.col("stage") == "report")
    rows = []
    for row in _means(runs, ["arm", "rate"]):
        own = (pl.col("arm") == row["arm"]) & (pl.col("rate") == row["rate"])
        seconds = float(epochs.filter(own)["seconds"].median())  # type: ignore[arg-type]
        times = {"seconds_per_epoch": seconds, "seconds_per_step": seconds / evidence.steps_per_epoch}
        rows.append({**row, **times, **costs[row["arm"]]})
    return rows


def _family(
    evidence: Evidence,
    selections: list[tuple[Rate, pl.DataFrame]],
    correction: Literal["holm", "benjamini-hochberg"],
    metrics: list[str],
) -> list[dict[str, Any]]:
    """Compare every arm with the baseline on every metric at every selection, and judge all of them together."""
    baseline = evidence.arms[0]
    labels: list[tuple[Metric, str, Rate]] = []
    effects: list[Effect] = []
    empty: dict[int, str] = {}  # by index: why there is nothing to compare
    for rate, runs in selections:
        for name in metrics:
            for arm in evidence.arms[1:]:
                if name == "seconds_per_step":
                    timed = evidence.runs.filter(pl.col("stage") == "report") if rate == "tuned" else runs
                    epochs = evidence.epochs.join(timed.select("run"), on="run", how="semi")
                    values = rounds(epochs, evidence.steps_per_epoch, arm, baseline)
                else:
                    values = pairs(runs, name, arm, baseline)
                why = _nothing_to_compare(runs, name, arm, baseline)
                if why:
                    empty[len(effects)] = why
                labels.append((METRICS[name], arm, rate))
                effects.append(_effect(evidence, METRICS[name], *values))
    judged = [
        _not_equivalent(one, empty[index]) if index in empty else one
        for index, one in enumerate(judge(effects, correction=correction))
    ]
    return [
        _row(metric, arm, baseline, rate, one, correction)
        for (metric, arm, rate), one in zip(labels, judged, strict=True)
    ]


def _nothing_to_compare(runs: pl.DataFrame, metric: str, arm: str, baseline: str) -> str | None:
    """Say so where equal values would only mean that both arms failed alike."""
    if metric != "seconds_per_step" and all_diverged(runs, arm, baseline):
        return ALL_DIVERGED
    if metric != "epochs_to_target":
        return None
    both = runs.filter(pl.col("arm").is_in([arm, baseline]))
    missed = both.group_by("seed").agg(pl.col("epochs_to_target").is_infinite().all())["epochs_to_target"]
    if missed.all():
        return NEVER_REACHED
    if missed.any():
        return BOTH_MISSED.format(missed=missed.sum(), pairs=len(missed))
    return None


def _not_equivalent(judged: Judged, reason: str) -> Judged:
    """Keep a difference that shows; take back an equivalence, which equal failures would fake."""
    if judged.verdict in ("better", "worse"):
        return judged
    return replace(judged, verdict="undecided", reason=reason, pairs_needed=None)


def _effect(evidence: Evidence, metric: Metric, values: np.ndarray, baseline_values: np.ndarray) -> Effect:
    margin = evidence.margin if metric.margin is None else metric.margin
    resolution = metric.resolution
    if resolution is None and evidence.num_test is not None:
        resolution = 1 / evidence.num_test
    scale = float(np.mean(baseline_values))
    return paired_effect(
        values,
        baseline_values,
        margin=margin * scale if metric.margin_is_relative else margin,
        higher_is_better=metric.higher_is_better,
        resolution=resolution,
        clock=metric.clock * scale,
    )


def _row(metric: Metric, arm: str, baseline: str, rate: Rate, judged: Judged, correction: str) -> dict[str, Any]:
    """Return a comparison as `summary.json` keeps it."""
    return {
        "metric": metric.name,
        "label": metric.label,
        "unit": metric.unit,
        "arm": arm,
        "baseline": baseline,
        "rate": rate,
        **asdict(judged.effect),
        "verdict": judged.verdict,
        "p_adjusted": judged.p_adjusted,
        "p_equivalence_adjusted": judged.p_equivalence_adjusted,
        "correction": correction,
        "reason": judged.reason,
        "pairs_needed": judged.pairs_needed,
        "decidable": judged.decidable,
    }


def _means(runs: pl.DataFrame, keys: list[str]) -> list[dict[str, Any]]:
    counted = runs.with_columns(pl.col(f"counted_{name}").alias(name) for name in ("test_loss", "test_accuracy"))
    scores = ["loss", "accuracy", "val_loss", "val_accuracy", "test_loss", "test_accuracy"]
    grouped = counted.group_by(keys, maintain_order=True).agg(
        pl.len().alias("runs"),
        pl.col("diverged").sum(),
        pl.col("epochs_to_target").is_finite().sum().alias("reached"),
        pl.col("watched_epochs").mean().alias("epochs_to_target"),
        pl.col(scores).mean().name.suffix("_mean"),
        pl.col(scores).std().name.suffix("_sd"),
    )
    return grouped.to_dicts()
