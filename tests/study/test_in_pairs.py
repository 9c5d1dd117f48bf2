"""Divergences in pairs and what pairing saves, on planted records."""

from __future__ import annotations

import dataclasses

import numpy as np
import polars as pl
import pytest

from normlab.study.in_pairs import divergences, savings
from normlab.study.metrics import with_outcomes
from normlab.study.rates import Choice
from normlab.study.summary import Evidence
from tests.study.planted import STEPS_PER_EPOCH, planted

SEEDS = 10
RANDOM = np.random.default_rng(3)
SHARED, OWN = RANDOM.normal(0, 0.02, SEEDS), RANDOM.normal(0, 0.01, (2, SEEDS))


def _evidence(lost: dict[float, tuple[int, int]], sign: float = 1.0) -> Evidence:
    """A tuned study; by rate, how many of the first seeds of none and of batch diverged. 0.1 is the chosen one."""
    scores = {"none": 0.8 + SHARED + OWN[0], "batch": 0.9 + sign * SHARED + OWN[1]}
    curves = {arm: [[float(score)] for score in values] for arm, values in scores.items()}
    frames = []
    for rate, counts in lost.items():
        diverged = {arm: [seed < n for seed in range(SEEDS)] for arm, n in zip(curves, counts, strict=True)}
        stage = "report" if rate == 0.1 else "tuning"
        frames.append(planted(curves, rate=rate, stage=stage, diverged=diverged))
    epochs, runs = (pl.concat(part) for part in zip(*frames, strict=True))
    chosen = {"none": Choice(0.1, False, (0.1,)), "batch": Choice(0.1, False, (0.1,))}
    outcomes = with_outcomes(runs, epochs, 0.75, 2.3)
    arms = ["none", "batch"]
    return Evidence(epochs, outcomes, arms, "classification", 0.01, STEPS_PER_EPOCH, chosen, "tuned")


def test_divergences_are_compared_where_a_run_diverged_and_nowhere_else() -> None:
    assert divergences(_evidence({0.1: (0, 0), 1.0: (0, 0)})) == []
    rows = divergences(_evidence({0.1: (0, 1), 0.01: (0, 0), 1.0: (10, 2)}))
    assert [row["rate"] for row in rows] == ["tuned", 1.0]
    tuned, large = rows
    assert (large["only_arm"], large["only_baseline"], large["both"], large["neither"]) == (0, 8, 2, 0)
    assert large["p_value"] == pytest.approx(2 * 0.5**8)
    assert (large["difference"], large["pairs"]) == (-0.8, SEEDS)
    assert (tuned["only_arm"], tuned["p_value"]) == (1, 1.0)
    assert [row["p_adjusted"] for row in rows] == pytest.approx([1.0, 2 * 2 * 0.5**8])  # of two tests


def test_pairs_are_made_by_seed_whatever_the_order_of_rows() -> None:
    evidence = _evidence({0.1: (3, 3)})
    turned = pl.concat([evidence.runs.filter(pl.col("arm") == "none").reverse(), evidence.runs.slice(SEEDS)])
    (row,) = divergences(dataclasses.replace(evidence, runs=turned))
    assert (row["both"], row["only_arm"], row["only_baseline"]) == (3, 0, 0)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_pairing_saves_the_variance_that_arms_share_and_costs_it_where_they_move_apart(sign: float) -> None:
    (row,) = savings(_evidence({0.1: (0, 0)}, sign))
    none, batch = 0.8 + SHARED + OWN[0], 0.9 + sign * SHARED + OWN[1]
    apart = np.var(none, ddof=1) + np.var(batch, ddof=1)
    assert row["saved"] == pytest.approx(1 - np.var(batch - none, ddof=1) / apart)
    assert row["saved"] * sign > 0.3
    assert row["saved_low"] < row["saved"] < row["saved_high"]
    assert row["correlation"] == pytest.approx(np.corrcoef(none, batch)[0, 1])
    assert (row["metric"], row["rate"], row["pairs"]) == ("test_accuracy", "tuned", SEEDS)


def test_two_pairs_say_nothing_of_what_pairing_saves() -> None:
    evidence = _evidence({0.1: (0, 0)})
    assert savings(dataclasses.replace(evidence, runs=evidence.runs.filter(pl.col("seed") < 2))) == []
