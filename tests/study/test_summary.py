"""Comparisons on planted records: the planted difference must come out, in either direction."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import polars as pl
import pytest

from normlab.study.metrics import ALL_DIVERGED, with_outcomes
from normlab.study.rates import Choice
from normlab.study.summary import NEVER_REACHED, Evidence, area_over_rates, by_arm, by_rate, comparisons
from tests.study.planted import STEPS_PER_EPOCH, planted

SEEDS = 10
NOISE = np.random.default_rng(0).normal(0, 0.002, (2, SEEDS))


def _curves(accuracy: float, arm: int) -> list[list[float]]:
    return [[accuracy / 2, accuracy - 0.01 + noise, accuracy + noise] for noise in NOISE[arm]]


def _evidence(none: float, batch: float, *, target: float = 0.75, seconds: float = 1.0, **options: Any) -> Evidence:
    curves = {"none": _curves(none, 0), "batch": _curves(batch, 1)}
    epochs, runs = planted(curves, seconds={"none": 1.0, "batch": seconds}, **options)
    outcomes = with_outcomes(runs, epochs, target, 2.3)
    return Evidence(epochs, outcomes, ["none", "batch"], "classification", 0.01, STEPS_PER_EPOCH, None, 0.1)


def _found(evidence: Evidence, metric: str) -> dict[str, Any]:
    rows = [row for row in comparisons(evidence) if row["metric"] == metric]
    assert len(rows) == 1
    return rows[0]


DIRECTIONS = [
    # none, batch, test accuracy, test loss, epochs to a target of 0.75
    # Both reach 0.75 in the second epoch in all ten pairs; that some pair in ten comes epochs later is not ruled out.
    (0.80, 0.90, "better", "better", "undecided"),
    (0.90, 0.80, "worse", "worse", "undecided"),
    (0.70, 0.90, "better", "better", "better"),
    (0.90, 0.70, "worse", "worse", "worse"),
    (0.80, 0.80, "equivalent", "equivalent", "undecided"),
]


@pytest.mark.parametrize(("none", "batch", "accuracy", "loss", "epochs"), DIRECTIONS)
def test_the_planted_difference_comes_out(none: float, batch: float, accuracy: str, loss: str, epochs: str) -> None:
    evidence = _evidence(none, batch)
    row = _found(evidence, "test_accuracy")
    assert row["verdict"] == accuracy
    assert row["difference"] == pytest.approx(batch - none + NOISE[1].mean() - NOISE[0].mean())
    assert row["ci_low"] <= row["difference"] <= row["ci_high"]
    assert (row["value"] - row["baseline_value"]) == pytest.approx(row["difference"])
    assert (row["pairs"], row["arm"], row["baseline"], row["rate"]) == (SEEDS, "batch", "none", 0.1)
    assert _found(evidence, "test_loss")["verdict"] == loss
    assert _found(evidence, "epochs_to_target")["verdict"] == epochs


def test_few_noisy_pairs_leave_the_question_undecided() -> None:
    evidence = _evidence(0.80, 0.81)
    noisy = evidence.runs.with_columns(test_accuracy=pl.col("test_accuracy") + (pl.col("seed") % 2) * 0.1)
    noisy = noisy.with_columns(
        test_accuracy=pl.when(pl.col("arm") == "none")
        .then(pl.col("test_accuracy").reverse())
        .otherwise("test_accuracy")
    )
    row = _found(dataclasses.replace(evidence, runs=noisy.filter(pl.col("seed") < 5)), "test_accuracy")
    assert row["verdict"] == "undecided"
    assert row["p_value"] is None  # five pairs can never reach 0.05
    assert row["pairs_needed"] > 5


def test_a_target_that_no_run_reached_decides_nothing() -> None:
    row = _found(_evidence(0.7, 0.9, target=0.99), "epochs_to_target")
    assert row["verdict"] == "undecided"
    assert row["reason"] == NEVER_REACHED
    assert row["pairs_needed"] is None


def test_pairs_that_both_missed_the_target_do_not_make_arms_equivalent() -> None:
    """One run of twenty arrives, in the last epoch: all restricted times are equal, and mean nothing."""
    evidence = _evidence(0.7, 0.7, target=0.99)
    times = pl.when(pl.col("run") == evidence.runs["run"][0]).then(3.0).otherwise("epochs_to_target")
    row = _found(
        dataclasses.replace(evidence, runs=evidence.runs.with_columns(epochs_to_target=times)), "epochs_to_target"
    )
    assert row["difference"] == 0
    assert row["verdict"] == "undecided"
    assert "In 9 of 10 pairs neither arm reached" in row["reason"]


def test_arms_that_diverged_in_every_run_are_not_called_equivalent() -> None:
    always = {"none": [True] * SEEDS, "batch": [True] * SEEDS}
    row = _found(_evidence(0.8, 0.8, diverged=always), "test_loss")
    assert (row["verdict"], row["reason"]) == ("undecided", ALL_DIVERGED)
    once = {"none": [True] * SEEDS, "batch": [True] * (SEEDS - 1) + [False]}
    assert _found(_evidence(0.8, 0.8, diverged=once), "test_loss")["reason"] != ALL_DIVERGED


@pytest.mark.parametrize(("seconds", "difference"), [(2.0, 1.0), (1.0, 0.0), (0.5, -0.5)])
def test_seconds_per_step_are_compared_by_round(seconds: float, difference: float) -> None:
    row = _found(_evidence(0.8, 0.8, seconds=seconds), "seconds_per_step")
    assert row["pairs"] == 2  # three epochs of one chunk; the first warms up
    assert row["difference"] == pytest.approx(difference * 1.0025 / STEPS_PER_EPOCH)


def test_the_question_comes_first_and_alone_in_its_family() -> None:
    rows = comparisons(_evidence(0.7, 0.9))
    assert [row["metric"] for row in rows] == ["test_accuracy", "test_loss", "epochs_to_target", "seconds_per_step"]
    assert [row["correction"] for row in rows] == ["holm"] + ["benjamini-hochberg"] * 3
    assert rows[0]["p_adjusted"] == rows[0]["p_value"]


def _tuned() -> Evidence:
    rates = (1e-5, 3e-5, 0.1)
    frames = [
        planted({"none": _curves(0.5, 0), "batch": _curves(0.6 + i / 10, 1)}, rate=r, stage="tuning")
        for i, r in enumerate(rates)
    ]
    frames.append(planted({"none": _curves(0.7, 0), "batch": _curves(0.9, 1)}, rate=0.1))
    epochs, runs = (pl.concat(part) for part in zip(*frames, strict=True))
    chosen = {"none": Choice(0.1, True, (0.1,)), "batch": Choice(0.1, True, (0.1,))}
    outcomes = with_outcomes(runs, epochs, 0.75, 2.3)
    return Evidence(epochs, outcomes, ["none", "batch"], "classification", 0.01, STEPS_PER_EPOCH, chosen, "tuned")


def test_a_tuned_study_answers_at_own_rates_and_shows_every_shared_one() -> None:
    rows = comparisons(_tuned())
    accuracy = {row["rate"]: row for row in rows if row["metric"] == "test_accuracy"}
    assert list(accuracy) == ["tuned", 1e-5, 3e-5, 0.1]
    assert accuracy["tuned"]["correction"] == "holm"
    assert {row["correction"] for rate, row in accuracy.items() if rate != "tuned"} == {"benjamini-hochberg"}
    assert accuracy["tuned"]["difference"] == pytest.approx(0.2 + NOISE[1].mean() - NOISE[0].mean())
    assert [row["rate"] for row in rows if row["metric"] == "seconds_per_step"] == ["tuned"]


def test_the_area_is_the_mean_over_the_logarithm_of_the_rate() -> None:
    """Rates that print differently in Python (3e-05) and in a table (0.00003) must still find their columns."""
    (row,) = area_over_rates(_tuned())
    shift = NOISE.mean(axis=1)
    weights = np.trapezoid([0.6, 0.7, 0.8], np.log10([1e-5, 3e-5, 0.1])) / 4
    assert row["rate"] == "grid"
    assert row["pairs"] == SEEDS
    assert row["value"] == pytest.approx(weights + shift[1])
    assert row["baseline_value"] == pytest.approx(0.5 + shift[0])
    assert row["verdict"] == "better"


def test_one_rate_has_no_area() -> None:
    assert area_over_rates(_evidence(0.7, 0.9)) == []


def test_rows_per_rate_and_per_arm_are_means_and_deviations_over_seeds() -> None:
    diverged = {"none": [True] * 2 + [False] * 8, "batch": [False] * 10}
    evidence = _evidence(0.7, 0.9, diverged=diverged, seconds=3.0)
    first, second = by_rate(evidence.runs)
    assert (first["arm"], first["runs"], first["diverged"], first["reached"]) == ("none", SEEDS, 2, 0)
    assert first["epochs_to_target"] == 3.0
    assert second["test_accuracy_mean"] == pytest.approx(0.9 + NOISE[1].mean())
    assert second["test_accuracy_sd"] == pytest.approx(NOISE[1].std(ddof=1))
    arms = by_arm(evidence, {"none": {"num_parameters": 5}, "batch": {"num_parameters": 7}})
    assert [row["num_parameters"] for row in arms] == [5, 7]
    assert arms[1]["seconds_per_step"] == pytest.approx(3 * 1.003 / STEPS_PER_EPOCH)  # the median epoch
    assert arms[1]["seconds_per_epoch"] == pytest.approx(3 * 1.003)


def test_regression_is_judged_by_its_loss() -> None:
    curves = {
        arm: [[3.0, loss + noise] for noise in NOISE[i]]
        for i, (arm, loss) in enumerate([("none", 0.5), ("batch", 0.3)])
    }
    epochs, runs = planted(curves, task="regression")
    outcomes = with_outcomes(runs, epochs, 0.4, 1.0)
    evidence = Evidence(epochs, outcomes, ["none", "batch"], "regression", 0.005, STEPS_PER_EPOCH, None, 0.1)
    assert evidence.primary_metric == "test_loss"
    assert "test_accuracy" not in {row["metric"] for row in comparisons(evidence)}
    row = _found(evidence, "test_loss")
    assert (row["verdict"], row["correction"]) == ("better", "holm")
    assert by_rate(outcomes)[0]["test_accuracy_mean"] is None
