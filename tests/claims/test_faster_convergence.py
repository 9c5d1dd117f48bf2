"""Faster convergence: planted times and planted networks, judged each way."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
import pytest

from normlab.claims import faster_convergence
from normlab.claims.faster_convergence import CLAIM
from normlab.claims.fit import watched
from tests.claims.planted import INSENSITIVE, LAGGING, LOW, SENSITIVE, SETTLED, PlantedBench, judged, measured

HORIZON = 8
NEVER = HORIZON + 1
VARIED = [3, 4, 5, 4, 3, 5, 4, 4, 5, 3, 4, 4]
SLOWER = [time + 2 + index % 2 for index, time in enumerate(VARIED)]


def _evidence(
    none: Sequence[int], batch: Sequence[int], has_classes: bool = True, ends: tuple[float, float] = (0.9, 0.9)
) -> pl.DataFrame:
    """Return runs whose score jumps from 0.5 to 0.9 (the loss from 1 to 0.2) at the given epochs, at one rate.

    `ends` are other last scores of none and batch. Running statistics follow an epoch later with batch norm.
    """
    rows = []
    for arm, times, end in (("none", none, ends[0]), ("batch", batch, ends[1])):
        lag, seconds = (1, 2.0) if arm == "batch" else (0, 1.0)
        for stage, runs in (("tuning", [1, 1, 1]), ("fresh", list(times))):
            for index, time in enumerate(runs):
                for epoch in range(1, HORIZON + 1):
                    cell = (arm, stage, index + 1000 * (stage == "tuning"), 0.1, 0, epoch, 10 * epoch, seconds)
                    told = []
                    for there in (epoch >= time + (lag if stage == "fresh" else 0), epoch >= time):
                        told += [(end if there else 0.5) if has_classes else None, 0.2 if there else 1.0]
                    rows.append((*cell, *told, 0.5 if has_classes else 0.0))
    columns = ["arm", "stage", "seed", "rate", "choice", "epoch", "step", "seconds"]
    columns += ["val_accuracy", "val_loss", "settled_accuracy", "settled_loss", "nothing"]
    schema = dict.fromkeys(columns[-5:], pl.Float64)
    return pl.DataFrame(rows, schema=columns, orient="row", schema_overrides=schema)


CASES = {
    "batch is faster": (SLOWER, VARIED, "supported"),
    "batch is slower": (VARIED, SLOWER, "refuted"),
    "no difference": (VARIED, VARIED, "undecided"),  # see above
    "none never gets there": ([NEVER] * 12, VARIED, "supported"),
    "both never get there": ([NEVER] * 12, [NEVER] * 12, "undecided"),
    "five pairs": (SLOWER[:5], VARIED[:5], "undecided"),
    "either way": ([3, 6] * 6, [6, 3] * 6, "undecided"),
}


@pytest.fixture(scope="module")
def networks(planted: PlantedBench) -> pl.DataFrame:
    return measured(faster_convergence, planted, SENSITIVE, INSENSITIVE, LOW, SETTLED, LAGGING)


@pytest.mark.parametrize(
    ("none", "batch", "allowed"),
    [
        (SENSITIVE, INSENSITIVE, {"supported"}),  # at its end from the start
        (INSENSITIVE, SENSITIVE, {"refuted"}),
        (LOW, SENSITIVE, {"refuted", "undecided"}),  # ends higher, and passes the common target sooner
        (SENSITIVE, LOW, {"refuted", "undecided"}),
    ],
)
def test_planted_networks_are_judged_by_speed_and_not_by_level(
    networks: pl.DataFrame, none: str, batch: str, allowed: set[str]
) -> None:
    finding = judged(faster_convergence, networks, none, batch)
    assert finding.verdict in allowed
    if (none, batch) == (LOW, SENSITIVE):
        assert finding.effect < 0.9
        assert finding.ci_high < 1


def test_running_statistics_that_lag_move_nothing(networks: pl.DataFrame) -> None:
    fresh = networks.filter(pl.col("stage") == "fresh")
    one, other = (fresh.filter(pl.col("arm") == arm) for arm in (SETTLED, LAGGING))
    shared = one.join(other, on=["rate", "seed", "epoch"], suffix="_lagging")
    assert len(shared) >= 12 * 8
    assert (shared["settled_accuracy"] - shared["settled_accuracy_lagging"]).abs().mean() < 1e-3
    assert (shared["val_accuracy"] - shared["val_accuracy_lagging"]).mean() > 0.1


def test_runs_of_planted_networks(networks: pl.DataFrame, planted: PlantedBench) -> None:
    for arm in (SENSITIVE, LOW):
        fresh = networks.filter(pl.col("arm") == arm, pl.col("stage") == "fresh")
        assert sorted(fresh["seed"].unique()) == planted.seeds
        rates = fresh.sort("choice")["rate"].unique(maintain_order=True).to_list()
        assert rates == list(planted.possible_rates(arm))
        last = fresh.filter(pl.col("choice") == 0, pl.col("epoch") == 8).sort("seed")["val_loss"]
        np.testing.assert_allclose(last, watched(planted, arm, rates[0]).val_loss[-1])  # each seed its own run
        tuning = networks.filter(pl.col("arm") == arm, pl.col("stage") == "tuning")
        assert sorted(tuning["seed"].unique()) == planted.tuning_seeds
        assert set(tuning["rate"]) >= set(planted.tried_rates(SENSITIVE)) | set(planted.tried_rates(LOW))
        assert (fresh["step"] == 8 * fresh["epoch"]).all()
        assert sorted(fresh["epoch"].unique()) == list(range(1, 9))
        # Without running statistics there is nothing to settle.
        assert (fresh["settled_accuracy"] - fresh["val_accuracy"]).abs().max() < 1e-6
        by_epoch = dict(
            fresh.filter(pl.col("choice") == 0).group_by("epoch").agg(pl.col("val_loss").mean()).iter_rows()
        )
        assert by_epoch[8] < by_epoch[1]


def test_an_arm_that_ends_higher_is_not_faster_for_that() -> None:
    """Both arms come to their own ends in the same epochs; the one that ends lower never reaches the common target."""
    finding = CLAIM.judge(_evidence(VARIED, VARIED, ends=(0.8, 0.9)))
    assert finding.effect < 1
    assert finding.verdict == "undecided"  # twelve pairs of whole epochs do not show that their ends are equal


def test_a_verdict_must_hold_at_every_rate_that_could_have_been_chosen() -> None:
    evidence = _evidence(SLOWER, VARIED)
    slow = _evidence(SLOWER, [time + 1 for time in SLOWER]).filter(pl.col("arm") == "batch", pl.col("stage") == "fresh")
    other = slow.with_columns(rate=pl.lit(0.3), choice=pl.lit(1, pl.Int64))
    finding = CLAIM.judge(pl.concat([evidence, other]))
    assert finding.verdict == "undecided"
    assert finding.effect == pytest.approx(np.mean(VARIED) / np.mean(SLOWER))
    assert finding.details["possible_rates"] == {"none": [0.1], "batch": [0.1, 0.3]}
    assert finding.details["epochs_with_running_statistics"]["batch"] == pytest.approx(np.mean(VARIED) + 1)


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
        choice=pl.lit(None, pl.Int64),
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
