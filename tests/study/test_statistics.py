"""Running statistics separated from training: which arms have them, and what planted ones cost."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import polars as pl
import pytest
from keras import layers

from normlab.data import Dataset, Part
from normlab.norms import NORMS
from normlab.study.design import make_study
from normlab.study.metrics import with_outcomes
from normlab.study.statistics import (
    ArmStatistics,
    arm_statistics,
    compared_recomputed,
    settling_notes,
    with_recomputed_scores,
)
from normlab.study.summary import Evidence
from tests.study.planted import STEPS_PER_EPOCH, planted

PART = Part(np.zeros((70, 5), np.uint8), np.zeros(70, np.int32))
DATASET = Dataset("d", "classification", PART, PART, PART, ("a", "b"), 255.0, ())
UNSETTLED = ArmStatistics("batch", 0.99, 30, 0.74, 0.9, 299)
SETTLED = ArmStatistics("batch", 0.9, 300, 1e-14, None, 29)
PAIRS = 8


def _found(model: keras.Model, norm: str = "batch", **settings: Any) -> ArmStatistics | None:
    """Return the statistics of an arm with a model; 70 samples in batches of 32 for 10 epochs are 30 steps."""
    study = make_study({"arms": ["none", norm], "batch_size": 32, "epochs": 10, **settings})
    plain = keras.Sequential([keras.Input((5,)), layers.Dense(2)])
    plans: Any = {"none": SimpleNamespace(model=plain), norm: SimpleNamespace(model=model)}
    found = arm_statistics(study, DATASET, plans)
    assert "none" not in found
    return found.get(norm)


def _of(*parts: keras.layers.Layer) -> keras.Model:
    return keras.Sequential([keras.Input((5,)), *parts, layers.Dense(2)])


@pytest.mark.parametrize("norm", ["batch", "ghost", "batch-renorm", "scale-only", "center-only", "noisy"])
def test_every_kin_of_batch_norm_keeps_running_statistics(norm: str) -> None:
    found = _found(_of(NORMS[norm]()), norm)
    assert found is not None
    assert (found.norm, found.momentum, found.steps, found.suggested_momentum) == (norm, 0.99, 30, 0.9)
    assert found.share_of_initial_left == pytest.approx(0.99**30)
    assert not found.has_settled


@pytest.mark.parametrize("norm", ["layer", "none", "rms", "weight"])
def test_other_norms_keep_none(norm: str) -> None:
    assert _found(_of(NORMS[norm]()), norm if norm != "none" else "dyt") is None


def test_precise_statistics_are_not_evaluated_twice() -> None:
    assert _found(_of(NORMS["precise"]()), "precise") is None


def test_the_layer_that_has_settled_least_counts() -> None:
    fast, slow, frozen = (layers.BatchNormalization(momentum=momentum) for momentum in (0.5, 0.98, 0.999))
    model = _of(fast, keras.Sequential([slow]), frozen)
    frozen.trainable = False
    found = _found(model)
    assert found is not None
    assert found.momentum == 0.98
    assert found.share_of_initial_left == pytest.approx(0.98**30)


def test_a_layer_called_twice_settles_in_half_the_steps() -> None:
    inputs, norm = keras.Input((5,)), layers.BatchNormalization()
    found = _found(keras.Model(inputs, layers.Dense(2)(norm(inputs) + norm(2 * inputs))))
    assert found is not None
    assert found.share_of_initial_left == pytest.approx(0.99**60)
    assert found.settling_steps == 150


@pytest.mark.parametrize(("epochs", "share"), [(33, 0.9**99), (34, None)])
def test_statistics_that_freeze_before_the_end_are_those_of_training(epochs: int, share: float | None) -> None:
    """The norm freezes at step 100: after 99 steps its statistics still move, after 102 training uses them too."""
    found = _found(_of(NORMS["frozen"]()), "frozen", epochs=epochs)
    assert (found and found.share_of_initial_left) == (share and pytest.approx(share))


def test_one_note_names_the_arms_that_will_not_settle() -> None:
    assert settling_notes({}) == settling_notes({"batch": SETTLED}) == []
    (note,) = settling_notes({"batch": UNSETTLED, "ghost": UNSETTLED, "quick": SETTLED})
    assert "30 steps at momentum 0.99 leave 74 % of the initial running statistics in the arm batch" in note
    assert "arm ghost" in note
    assert "quick" not in note


def _evidence(
    batch: float, recomputed: float, *, arms: tuple[str, str] = ("none", "batch"), diverged: bool = False
) -> Evidence:
    """Return eight pairs: `none` at 0.8, `batch` as given, running and recomputed, with a little chance."""
    chance = np.random.default_rng(0).normal(scale=0.002, size=(2, PAIRS))
    curves = {"none": [[0.8 + c] for c in chance[0]], "batch": [[batch + c] for c in chance[1]]}
    second = {"batch": [(1 - recomputed - c, recomputed + c) for c in chance[1]]}
    lost = {"none": [False] * PAIRS, "batch": [diverged] * PAIRS} if diverged else None
    epochs, runs = planted({arm: curves[arm] for arm in arms}, recomputed=second, diverged=lost)
    runs = with_outcomes(runs, epochs, 0.9, 1.0)
    return Evidence(epochs, runs, list(arms), "classification", 0.005, STEPS_PER_EPOCH, None, 0.1)


def test_a_lag_is_measured_on_the_same_runs_and_the_arm_is_compared_without_it() -> None:
    rows, statistics = compared_recomputed(_evidence(0.7, 0.85), {"batch": UNSETTLED}, 1.0)
    found = statistics["batch"]
    assert (found["momentum"], found["steps"], found["share_of_initial_left"]) == (0.99, 30, 0.74)
    assert (found["metric"], found["pairs"], found["pairs_worse"]) == ("test_accuracy", PAIRS, PAIRS)
    assert found["difference"] == pytest.approx(-0.15)
    assert found["ci_low"] == pytest.approx(-0.15) == found["ci_high"]  # the same runs: nothing else differs
    assert found["test_accuracy_recomputed_mean"] == pytest.approx(found["recomputed"])
    assert [(row["metric"], row["verdict"], row["correction"]) for row in rows] == [
        ("test_accuracy", "better", "benjamini-hochberg"),
        ("test_loss", "better", "benjamini-hochberg"),
    ]
    assert rows[0]["difference"] == pytest.approx(0.05, abs=0.003)


def test_a_deficit_without_a_lag_stays_one() -> None:
    rows, statistics = compared_recomputed(_evidence(0.7, 0.7), {"batch": UNSETTLED}, 1.0)
    assert statistics["batch"]["difference"] == pytest.approx(0)
    assert statistics["batch"]["pairs_worse"] == 0
    assert [row["verdict"] for row in rows] == ["worse", "worse"]


def test_the_lag_of_a_baseline_counts_for_every_arm() -> None:
    rows, statistics = compared_recomputed(_evidence(0.7, 0.85, arms=("batch", "none")), {"batch": UNSETTLED}, 1.0)
    assert list(statistics) == ["batch"]
    assert [(row["arm"], row["baseline"], row["verdict"]) for row in rows] == [("none", "batch", "worse")] * 2


def test_without_running_statistics_nothing_is_compared_twice() -> None:
    assert compared_recomputed(_evidence(0.7, 0.85), {}, 1.0) == ([], {})


def test_a_diverged_run_counts_as_one_with_recomputed_statistics_too() -> None:
    evidence = _evidence(0.7, 0.85, diverged=True)
    second = with_recomputed_scores(evidence.runs, 1.0)
    assert second.filter(pl.col("arm") == "batch")["counted_test_loss"].to_list() == [2.0] * PAIRS


def test_scores_of_other_arms_stay() -> None:
    evidence = _evidence(0.7, 0.85)
    before, after = (
        runs.filter(pl.col("arm") == "none").select("val_loss", "test_loss", "test_accuracy", "counted_test_loss")
        for runs in (evidence.runs, with_recomputed_scores(evidence.runs, 1.0))
    )
    assert before.equals(after)
