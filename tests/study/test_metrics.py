"""Values that are compared: by seed, by round, restricted and capped."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest

from normlab.study.metrics import METRICS, pairs, rounds, with_outcomes
from tests.study.planted import STEPS_PER_EPOCH, planted

CURVES = {
    "none": [[0.5, 0.6, 0.7], [0.5, 0.5, 0.5], [0.9, 0.2, 0.2]],
    "batch": [[0.7, 0.8, 0.9], [0.6, 0.7, 0.6], [0.1, 0.1, 0.7]],
}


def test_the_first_epoch_that_reaches_the_target_counts_and_never_is_infinite() -> None:
    epochs, runs = planted(CURVES)
    outcomes = with_outcomes(runs, epochs, 0.7, 1.0)
    assert outcomes["run"].to_list() == runs["run"].to_list()
    expected = [3.0, math.inf, 1.0, 1.0, 2.0, 3.0]
    assert outcomes["epochs_to_target"].to_list() == expected
    assert outcomes["steps_to_target"].to_list() == [STEPS_PER_EPOCH * e for e in expected]
    # Restricted to the three epochs that were watched.
    assert outcomes["watched_epochs"].to_list() == [3.0, 3.0, 1.0, 1.0, 2.0, 3.0]


def test_a_loss_is_reached_from_above_where_there_is_no_accuracy() -> None:
    epochs, runs = planted({"none": [[2.0, 1.0, 1.5]], "batch": [[3.0, 3.0, 3.0]]}, task="regression")
    assert with_outcomes(runs, epochs, 1.0, 1.0)["epochs_to_target"].to_list() == [2.0, math.inf]
    assert with_outcomes(runs, epochs, -math.inf, 1.0)["epochs_to_target"].to_list() == [math.inf] * 2


@pytest.mark.parametrize(("largest", "counted_as"), [(2.0, 3.0), (7.0, 7.0)])
def test_a_diverged_run_counts_as_no_better_than_any_other(largest: float, counted_as: float) -> None:
    losses = {"none": [0.5, largest, math.nan], "batch": [math.inf, 0.25, 2.0]}
    diverged = {"none": [False] * 3, "batch": [False, True, False]}
    epochs, runs = planted(CURVES, losses=losses, diverged=diverged)
    outcomes = with_outcomes(runs, epochs, 0.7, 1.5)
    assert outcomes["counted_test_loss"].to_list() == [0.5, largest, counted_as, counted_as, counted_as, 2.0]
    assert outcomes["counted_test_accuracy"].to_list() == [0.7, 0.5, 0.2, 0.9, 0.0, 0.7]
    assert outcomes["test_accuracy"].to_list() == runs["test_accuracy"].to_list()
    assert np.array_equal(outcomes["test_loss"], runs["test_loss"], equal_nan=True)


def test_pairs_go_by_seed_whatever_the_order_of_rows() -> None:
    epochs, runs = planted(CURVES)
    outcomes = with_outcomes(runs, epochs, 0.7, 1.0)
    for table in (outcomes, outcomes.reverse(), outcomes.sample(fraction=1.0, shuffle=True, seed=1)):
        arm, baseline = pairs(table, "test_accuracy", "batch", "none")
        assert arm.tolist() == [0.9, 0.6, 0.7]
        assert baseline.tolist() == [0.7, 0.5, 0.2]


def test_times_pair_by_round_and_leave_the_warming_up_out() -> None:
    epochs, _ = planted(CURVES, seconds={"none": 1.0, "batch": 2.0})
    arm, baseline = rounds(epochs, STEPS_PER_EPOCH, "batch", "none")
    assert arm == pytest.approx([2 * 1.002 / STEPS_PER_EPOCH, 2 * 1.003 / STEPS_PER_EPOCH])
    assert arm / baseline == pytest.approx([2.0, 2.0])
    only = epochs.filter(pl.col("epoch") == 1)
    assert rounds(only, STEPS_PER_EPOCH, "batch", "none")[0] == pytest.approx([200 / STEPS_PER_EPOCH])


def test_every_metric_has_its_direction_and_a_margin_but_the_one_that_the_study_states() -> None:
    assert {name: metric.higher_is_better for name, metric in METRICS.items()} == {
        "test_accuracy": True,
        "test_loss": False,
        "epochs_to_target": False,
        "seconds_per_step": False,
    }
    assert [name for name, metric in METRICS.items() if metric.margin is None] == ["test_accuracy"]
    assert all(name == metric.name for name, metric in METRICS.items())
