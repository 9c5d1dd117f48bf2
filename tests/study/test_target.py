"""The target: given, or one that favours no arm."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest

from normlab.study.target import set_target


def _runs(none: list[float], batch: list[float], metric: str = "val_accuracy", stage: str = "report") -> pl.DataFrame:
    return pl.DataFrame({"arm": ["none"] * len(none) + ["batch"] * len(batch), metric: none + batch}).with_columns(
        stage=pl.lit(stage)
    )


def test_one_point_below_the_pooled_median_accuracy() -> None:
    none, batch = [0.80, 0.90, 0.85], [0.95, 0.97, 0.50]
    target = set_target(_runs(none, batch), "classification", None)
    assert target.metric == "val_accuracy"
    assert target.value == pytest.approx(np.median(none + batch) - 0.01)
    assert "runs reported on" in target.rule
    assert "tuning runs" in set_target(_runs(none, batch, stage="tuning"), "classification", None).rule


def test_swapping_the_arms_of_any_pair_changes_nothing() -> None:
    rng = np.random.default_rng(0)
    none, batch = rng.uniform(0.5, 0.9, 9), rng.uniform(0.6, 1.0, 9)
    expected = set_target(_runs(none.tolist(), batch.tolist()), "classification", None)
    for swaps in rng.integers(2, size=(20, 9)).astype(bool):
        swapped = np.where(swaps, batch, none).tolist(), np.where(swaps, none, batch).tolist()
        assert set_target(_runs(*swapped), "classification", None) == expected


LOSSES = [
    ([1.0, 2.0], [3.0, 4.0], 2.5 * 1.05),
    ([1.0, 2.0], [3.0, math.nan], 2.5 * 1.05),  # no number counts as infinite
    ([1.0, 2.0, 3.0], [math.inf, math.nan], 3.0 * 1.05),
    ([1.0, 2.0], [math.inf, math.nan], -math.inf),  # nothing to reach
]


@pytest.mark.parametrize(("none", "batch", "value"), LOSSES)
def test_five_per_cent_above_the_pooled_median_loss(none: list[float], batch: list[float], value: float) -> None:
    target = set_target(_runs(none, batch, "val_loss"), "regression", None)
    assert target.metric == "val_loss"
    assert target.value == pytest.approx(value)


def test_a_target_below_zero_is_zero() -> None:
    assert set_target(_runs([0.0], [0.005]), "classification", None).value == 0.0


@pytest.mark.parametrize(("task", "metric"), [("classification", "val_accuracy"), ("regression", "val_loss")])
def test_a_target_given_beforehand_stands(task: str, metric: str) -> None:
    target = set_target(_runs([0.1], [0.2], metric), task, 0.7)
    assert (target.metric, target.value, target.rule) == (metric, 0.7, "given beforehand")
