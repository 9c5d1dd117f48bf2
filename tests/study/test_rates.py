"""The choice of rates, on planted tuning runs."""

from __future__ import annotations

import math

import polars as pl
import pytest

from normlab.study.rates import choose_rates

GRID = [0.01, 0.1, 1.0]
Scores = dict[float, list[tuple[float, float, bool]]]  # per rate: (val_accuracy, val_loss, diverged) per seed


def _runs(scores: Scores, arm: str = "none") -> pl.DataFrame:
    return pl.DataFrame(
        [
            {
                "arm": arm,
                "rate": rate,
                "seed": seed,
                "val_accuracy": accuracy,
                "val_loss": loss,
                "diverged": diverged,
            }
            for rate, runs in scores.items()
            for seed, (accuracy, loss, diverged) in enumerate(runs)
        ]
    )


CASES: dict[str, tuple[Scores, str, float, bool]] = {
    "highest mean accuracy": (
        {0.01: [(0.5, 1.0, False)] * 2, 0.1: [(0.6, 1.0, False), (0.8, 1.0, False)], 1.0: [(0.69, 0.1, False)] * 2},
        "classification",
        0.1,
        False,
    ),
    "diverged rates are avoided": (
        {0.01: [(0.5, 1.0, False)], 0.1: [(0.6, 1.0, False)], 1.0: [(0.9, 0.1, True)]},
        "classification",
        0.1,
        False,
    ),
    "ties go by the loss": (
        {0.01: [(0.6, 1.0, False)], 0.1: [(0.6, 0.9, False)], 1.0: [(0.6, 1.1, False)]},
        "classification",
        0.1,
        False,
    ),
    "the largest rate is an edge": (
        {0.01: [(0.5, 1.0, False)], 0.1: [(0.6, 1.0, False)], 1.0: [(0.7, 1.0, False)]},
        "classification",
        1.0,
        True,
    ),
    "the smallest rate is an edge": (
        {0.01: [(0.9, 1.0, False)], 0.1: [(0.6, 1.0, False)], 1.0: [(0.7, 1.0, False)]},
        "classification",
        0.01,
        True,
    ),
    "where all diverged, the fewest": (
        {
            0.01: [(0.9, 1.0, True)] * 3,
            0.1: [(0.1, 1.0, True), (0.1, 1.0, False), (0.1, 1.0, False)],
            1.0: [(0.9, 1.0, True)] * 3,
        },
        "classification",
        0.1,
        False,
    ),
    "a loss that is no number loses": (
        {0.01: [(0.6, math.nan, False)], 0.1: [(0.6, 5.0, False)], 1.0: [(0.6, math.inf, False)]},
        "classification",
        0.1,
        False,
    ),
    "regression: the lowest mean loss": (
        {0.01: [(0.0, 1.0, False)], 0.1: [(0.0, 0.2, False)], 1.0: [(0.0, 0.1, True)]},
        "regression",
        0.1,
        False,
    ),
    "regression: a loss that is no number": (
        {0.01: [(0.0, math.nan, False)], 0.1: [(0.0, 0.2, False)], 1.0: [(0.0, math.inf, False)]},
        "regression",
        0.1,
        False,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_planted_best_rate_is_chosen(case: str) -> None:
    scores, task, rate, at_edge = CASES[case]
    runs = _runs(scores)
    if task == "regression":
        runs = runs.with_columns(val_accuracy=pl.lit(None, pl.Float64))
    for table in (runs, runs.reverse()):
        choice = choose_rates(table, task)["none"]
        assert (choice.rate, choice.at_edge) == (rate, at_edge)


def test_every_arm_gets_its_own_best_rate() -> None:
    good = {0.01: [(0.5, 1.0, False)], 0.1: [(0.6, 1.0, False)], 1.0: [(0.7, 1.0, False)]}
    bad = {0.01: [(0.5, 1.0, False)], 0.1: [(0.6, 1.0, False)], 1.0: [(0.1, 1.0, True)]}
    chosen = choose_rates(pl.concat([_runs(bad, "none"), _runs(good, "batch")]), "classification")
    assert {arm: choice.rate for arm, choice in chosen.items()} == {"none": 0.1, "batch": 1.0}


def test_a_grid_of_one_rate_has_no_edge() -> None:
    assert not choose_rates(_runs({0.1: [(0.5, 1.0, False)]}), "classification")["none"].at_edge
