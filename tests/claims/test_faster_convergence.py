"""Faster convergence: planted times, judged each way; one small real measurement."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import polars as pl
import pytest

from normlab.claims.bench import Bench
from normlab.claims.faster_convergence import CLAIM

HORIZON = 8
NEVER = HORIZON + 1
VARIED = [3, 4, 5, 4, 3, 5, 4, 4, 5, 3, 4, 4]
SLOWER = [time + 2 + index % 2 for index, time in enumerate(VARIED)]


def _evidence(none: Sequence[int], batch: Sequence[int], has_classes: bool = True) -> pl.DataFrame:
    """Return runs whose score jumps from 0.5 to 0.9 (the loss from 1 to 0.2) at the given epochs, at two rates."""
    rows = []
    for arm, times in (("none", none), ("batch", batch)):
        for stage, runs, offset in (("tuning", [1, 1, 1], 1000), ("fresh", list(times), 0)):
            for index, time in enumerate(runs):
                for epoch in range(1, HORIZON + 1):
                    there = epoch >= time
                    score = (0.9 if there else 0.5) if has_classes else None
                    rows.append(
                        (arm, stage, offset + index, 0.1, True, epoch, 10 * epoch, 2.0 if arm == "batch" else 1.0)
                    )
                    rows[-1] += (score, 0.2 if there else 1.0)
    columns = ["arm", "stage", "seed", "rate", "own_best", "epoch", "step", "seconds", "val_accuracy", "val_loss"]
    return pl.DataFrame(rows, schema=columns, orient="row", schema_overrides={"val_accuracy": pl.Float64})


CASES = {
    "batch is faster": (SLOWER, VARIED, "supported"),
    "batch is slower": (VARIED, SLOWER, "refuted"),
    "no difference": (VARIED, VARIED, "refuted"),
    "none never gets there": ([NEVER] * 12, VARIED, "supported"),
    "both never get there": ([NEVER] * 12, [NEVER] * 12, "undecided"),
    "five pairs": (SLOWER[:5], VARIED[:5], "undecided"),
    "either way": ([3, 6] * 6, [6, 3] * 6, "undecided"),
}


@pytest.mark.parametrize("has_classes", [True, False])
@pytest.mark.parametrize("case", CASES)
def test_planted_times_are_judged(case: str, has_classes: bool) -> None:
    none, batch, verdict = CASES[case]
    finding = CLAIM.judge(_evidence(none, batch, has_classes))
    assert finding.verdict == verdict
    assert (finding.p_value is None) == (verdict == "undecided")
    assert finding.effect == pytest.approx(np.minimum(batch, HORIZON).mean() / np.minimum(none, HORIZON).mean())
    assert finding.pairs == len(none)


def test_a_miss_counts_as_the_horizon_and_is_reported() -> None:
    finding = CLAIM.judge(_evidence([NEVER] * 6 + [4] * 6, [2] * 12))
    assert finding.effect == pytest.approx(2 / 6)
    assert finding.details["missed"] == {"none": 6, "batch": 0}


def test_steps_and_seconds_follow_from_the_epochs() -> None:
    details = CLAIM.judge(_evidence([4] * 12, [2] * 12)).details
    assert details["steps"] == {"none": 40.0, "batch": 20.0}
    assert details["seconds"] == {"none": 4.0, "batch": 4.0}
    assert details["seconds_ratio"] == pytest.approx(1.0)
    assert details["epochs_at_shared_rates"] == [{"rate": 0.1, "none": 1.0, "batch": 1.0, "ratio": 1.0}]


def test_the_area_over_the_grid_is_the_mean_over_the_shared_rates() -> None:
    """At 0.1 both arms get there in an epoch, at 0.3 batch norm in four, and none never does."""
    evidence = _evidence([4] * 12, [2] * 12)
    late = pl.when(pl.col("arm") == "batch").then(pl.lit(4)).otherwise(pl.lit(NEVER))
    second = evidence.filter(pl.col("stage") == "tuning").with_columns(
        rate=pl.lit(0.3),
        own_best=pl.lit(False),
        val_accuracy=pl.when(pl.col("epoch") >= late).then(pl.lit(0.9)).otherwise(pl.lit(0.5)),
    )
    finding = CLAIM.judge(pl.concat([evidence, second]))
    area = finding.details["epochs_over_the_grid"]
    assert area == {"none": (1 + HORIZON) / 2, "batch": (1 + 4) / 2, "ratio": pytest.approx(5 / 9)}
    assert "it took 2.5 epochs on average and its absence 4.5." in finding.answer
    assert [at["ratio"] for at in finding.details["epochs_at_shared_rates"]] == [1.0, 0.5]


def test_the_figure_shows_both_arms_and_the_target() -> None:
    drawing = CLAIM.draw(_evidence(SLOWER, VARIED))
    assert len(drawing.rows) == 2 * HORIZON
    assert drawing.reference == pytest.approx(0.89)
    assert drawing.rows[-1] == {"series": "none", "x": HORIZON, "y": 0.9, "low": 0.9, "high": 0.9}


def test_a_real_measurement(tiny: Bench) -> None:
    evidence = CLAIM.measure(tiny)
    assert evidence["val_accuracy"].is_between(0, 1).all()
    fresh = evidence.filter(pl.col("stage") == "fresh")
    assert sorted(fresh["seed"].unique()) == tiny.seeds
    assert fresh["own_best"].all()
    assert not set(fresh["seed"]) & set(evidence.filter(pl.col("stage") == "tuning")["seed"])
    assert evidence.filter(pl.col("stage") == "tuning").group_by("arm").agg(pl.col("rate").n_unique())[
        "rate"
    ].to_list() == [7, 7]
    assert (evidence["step"] == math.ceil(len(tiny.dataset.train) / 32) * evidence["epoch"]).all()
    finding = CLAIM.judge(evidence)
    assert (finding.verdict, finding.pairs) == ("undecided", 2)
