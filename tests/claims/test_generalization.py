"""Generalization at matched fit: planted trajectories, judged each way; one small real measurement."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest

from normlab.claims.bench import Bench
from normlab.claims.generalization import CLAIM, matched

EPOCHS = 6
NOISE = 0.001 * np.random.default_rng(0).normal(size=12)


def _runs(
    arm: str, pace: float, shift: float, noise: np.ndarray = NOISE, dose: int | None = None
) -> list[dict[str, object]]:
    """Return runs with loss 2 e^(-pace epoch) and error 0.3 - 0.04 ln(2 / loss) + shift, the shift at equal fit."""
    return [
        {
            "arm": arm,
            "dose": dose,
            "seed": seed,
            "epoch": epoch,
            "rate": 0.1,
            "train_loss": 2 * math.exp(-pace * epoch),
            "test_error": 0.3 - 0.04 * pace * epoch + shift + extra,
            "metric": "test error",
            "hardly_learned": 1.0,
        }
        for seed, extra in enumerate(noise)
        for epoch in range(EPOCHS + 1)
    ]


def _evidence(shift: float, noise: np.ndarray = NOISE, slope: float = 0.0, pace: float = 0.5) -> pl.DataFrame:
    rows = _runs("none", pace, 0.0, 0 * noise) + _runs("batch", 1.7 * pace, shift, noise)
    for dose in (8, 32, 128):
        rows += _runs(f"ghost {dose}", 0.3 + dose / 300, slope * math.log2(dose), NOISE, dose)
    return pl.DataFrame(rows, schema_overrides={"dose": pl.Int64}, infer_schema_length=None)


CASES = {
    "lower error": (-0.02, NOISE, "supported"),
    "higher error": (0.02, NOISE, "refuted"),
    "equal error": (0.0, NOISE, "refuted"),
    "noise": (-0.01, 30 * NOISE, "undecided"),
}


@pytest.mark.parametrize("case", CASES)
def test_planted_errors_are_judged_at_equal_fit(case: str) -> None:
    shift, noise, verdict = CASES[case]
    # Batch norm trains faster here, and ends with a lower error whatever the shift: only the match shows it.
    finding = CLAIM.judge(_evidence(shift, noise))
    assert finding.verdict == verdict
    assert finding.effect == pytest.approx(shift + noise.mean())
    assert finding.details["test_error_at_the_end"]["batch"] < finding.details["test_error_at_the_end"]["none"]


def test_runs_that_hardly_learned_show_no_equivalence() -> None:
    assert CLAIM.judge(_evidence(0.0, pace=0.05)).verdict == "undecided"
    assert CLAIM.judge(_evidence(0.02, pace=0.05)).verdict == "refuted"


def test_the_match_is_interpolated_where_the_slower_run_ends() -> None:
    found = matched(_evidence(-0.02, 0 * NOISE).filter(pl.col("arm").is_in(["none", "batch"])))
    np.testing.assert_allclose(found["level"], 2 * math.exp(-0.5 * EPOCHS))
    errors = found.sort("arm")["test_error"].to_numpy()
    np.testing.assert_allclose(errors[:12], 0.3 - 0.04 * 0.5 * EPOCHS - 0.02)  # batch, between two epochs
    np.testing.assert_allclose(errors[12:], 0.3 - 0.04 * 0.5 * EPOCHS)


def test_a_run_that_diverged_is_matched_where_it_began() -> None:
    late = pl.when((pl.col("arm") == "batch") & (pl.col("epoch") > 0))
    broken = _evidence(0.0).with_columns(late.then(math.nan).otherwise(pl.col("train_loss")).alias("train_loss"))
    found = matched(broken.filter(pl.col("arm").is_in(["none", "batch"])))
    np.testing.assert_allclose(found["level"], 2.0)
    assert CLAIM.judge(broken).verdict == "undecided"


@pytest.mark.parametrize("slope", [0.003, -0.003])
def test_the_response_to_the_dose_is_found(slope: float) -> None:
    finding = CLAIM.judge(_evidence(0.0, slope=slope))
    assert finding.details["per_doubling_of_the_ghost_batch"]["effect"] == pytest.approx(slope)
    assert ("as a regularizing noise would" in finding.answer) == (slope > 0)


def test_the_figure_follows_the_runs() -> None:
    drawing = CLAIM.draw(_evidence(-0.02, 0 * NOISE))
    for row in drawing.rows:
        if row["series"] in ("none", "batch"):
            expected = 0.3 - 0.04 * math.log(2 / row["x"]) - 0.02 * (row["series"] == "batch")
            assert row["y"] == pytest.approx(expected)
    assert {row["series"] for row in drawing.rows} == {"none", "batch", "ghost 8", "ghost 32", "ghost 128"}


def test_a_real_measurement(tiny: Bench) -> None:
    evidence = CLAIM.measure(tiny)
    assert evidence.group_by("arm", "seed").len()["len"].to_list() == [tiny.epochs + 1] * 8
    assert evidence["dose"].drop_nulls().unique().sort().to_list() == [4, 16, 32]
    assert evidence.filter(pl.col("dose").is_not_null())["rate"].n_unique() == 1
    before, after = (evidence.filter(pl.col("epoch") == epoch)["train_loss"] for epoch in (0, 1))
    assert (after < before).all()
    # Before the first step the networks with batch norm are one and the same function, whatever its ghosts.
    normed = evidence.filter(pl.col("epoch") == 0, pl.col("arm") != "none").sort("seed")
    np.testing.assert_allclose(normed.group_by("seed").agg(pl.col("train_loss").std())["train_loss"], 0, atol=1e-5)
    assert CLAIM.judge(evidence).pairs == 2
