"""The records of a real study: their columns, the pairing they prove, and what the summary holds."""

from __future__ import annotations

import hashlib
import json
import math
from typing import Any

import polars as pl
import pytest

from normlab.data import load
from normlab.study.seeds import FIRST_TUNING_SEED
from normlab.train.optimizers import OPTIMIZERS
from normlab.train.order import epoch_order
from tests.command import Finished

EPOCH_COLUMNS = {
    "run": pl.String,
    "arm": pl.String,
    "seed": pl.Int64,
    "rate": pl.Float64,
    "batch_size": pl.Int32,
    "epoch": pl.Int32,
    "step": pl.Int64,
    "loss": pl.Float64,
    "accuracy": pl.Float64,
    "val_loss": pl.Float64,
    "val_accuracy": pl.Float64,
    "seconds": pl.Float64,
}
RUN_COLUMNS = {
    **{name: EPOCH_COLUMNS[name] for name in ("run", "arm", "seed", "rate", "batch_size")},
    "test_loss": pl.Float64,
    "test_accuracy": pl.Float64,
    "diverged": pl.Boolean,
    "steps_to_target": pl.Float64,
    "initial_hash": pl.String,
    "order_hash": pl.String,
    "final_hash": pl.String,
}
COMPARISON_KEYS = {
    "metric",
    "arm",
    "baseline",
    "rate",
    "value",
    "baseline_value",
    "difference",
    "ci_low",
    "ci_high",
    "pairs",
    "verdict",
}
NUM_SEEDS, NUM_EPOCHS = 6, 3
GRID = OPTIMIZERS["sgd"].grid


@pytest.fixture(scope="module")
def epochs(finished: Finished) -> pl.DataFrame:
    return pl.read_parquet(finished.folder / "epochs.parquet")


@pytest.fixture(scope="module")
def runs(finished: Finished) -> pl.DataFrame:
    return pl.read_parquet(finished.folder / "runs.parquet")


def _json(finished: Finished, name: str) -> dict[str, Any]:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    content = json.loads((finished.folder / name).read_text(encoding="utf-8"), parse_constant=refuse)
    assert isinstance(content, dict)
    return content


def test_there_is_one_row_per_run_and_one_per_run_and_epoch(epochs: pl.DataFrame, runs: pl.DataFrame) -> None:
    assert EPOCH_COLUMNS.items() <= dict(epochs.schema).items()
    assert RUN_COLUMNS.items() <= dict(runs.schema).items()
    assert len(runs) == runs["run"].n_unique() == 2 * (len(GRID) + NUM_SEEDS)
    assert len(epochs) == NUM_EPOCHS * len(runs)
    assert epochs.select("run", "epoch").is_unique().all()
    assert set(epochs["run"]) == set(runs["run"])
    assert sorted(set(epochs["epoch"])) == [1, 2, 3]
    num_steps = math.ceil(len(load("digits").train) / 32)
    assert (epochs["step"] == epochs["epoch"] * num_steps).all()
    assert epochs["seconds"].min() > 0


def test_the_last_epoch_of_a_run_is_in_its_row(epochs: pl.DataFrame, runs: pl.DataFrame) -> None:
    last = epochs.filter(pl.col("epoch") == NUM_EPOCHS).select("run", "loss", "accuracy", "val_loss", "val_accuracy")
    both = runs.join(last, on="run", suffix="_last")
    assert len(both) == len(runs)
    for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
        assert (both[name] == both[f"{name}_last"]).all()


def test_arms_of_a_seed_begin_alike_and_see_one_order(runs: pl.DataFrame) -> None:
    for column in ("initial_hash", "order_hash"):
        by_seed = runs.group_by("seed").agg(
            pl.col("arm").n_unique(), pl.col(column).n_unique(), first=pl.col(column).first()
        )
        assert (by_seed["arm"] == 2).all()
        assert (by_seed[column] == 1).all()
        assert by_seed["first"].n_unique() == len(by_seed) == NUM_SEEDS + 1
    num_samples = len(load("digits").train)
    for row in runs.iter_rows(named=True):
        chain = hashlib.sha256()
        for epoch in range(NUM_EPOCHS):
            chain = hashlib.sha256(chain.digest() + epoch_order(row["seed"], epoch, num_samples).tobytes())
        assert row["order_hash"] == chain.hexdigest()
    assert runs["final_hash"].n_unique() == len(runs)  # every run ends with weights of its own


def test_rates_were_tuned_on_seeds_of_their_own(finished: Finished, runs: pl.DataFrame) -> None:
    tuning, report = (runs.filter(pl.col("stage") == stage) for stage in ("tuning", "report"))
    assert set(tuning["seed"]) == {FIRST_TUNING_SEED}
    assert sorted(set(report["seed"])) == list(range(NUM_SEEDS))
    chosen = _json(finished, "summary.json")["rates"]["chosen"]
    for arm, rate in chosen.items():
        own = tuning.filter((pl.col("arm") == arm) & ~pl.col("diverged"))
        assert own.filter(pl.col("rate") == rate)["val_accuracy"].item() == own["val_accuracy"].max()
        assert set(report.filter(pl.col("arm") == arm)["rate"]) == {rate}


def test_the_target_is_reached_in_the_epoch_that_says_so(
    finished: Finished, epochs: pl.DataFrame, runs: pl.DataFrame
) -> None:
    target = _json(finished, "summary.json")["target"]["value"]
    for row in runs.iter_rows(named=True):
        reached = epochs.filter((pl.col("run") == row["run"]) & (pl.col("val_accuracy") >= target))
        expected = math.inf if reached.is_empty() else float(reached["step"].min())
        assert row["steps_to_target"] == expected
    assert {math.isinf(value) for value in runs["steps_to_target"]} == {True, False}


def test_study_json_says_what_was_run_with_what_on_what(finished: Finished) -> None:
    study = _json(finished, "study.json")
    assert study["study"]["data"] == "digits"
    assert study["study"]["network"]["widths"] == [8]
    assert [arm["norm"] for arm in study["study"]["arms"]] == ["none", "batch"]
    assert (study["study"]["margin"], study["study"]["rates"], study["study"]["seeds"]) == (0.005, "tuned", NUM_SEEDS)
    assert {"python", "jax", "keras", "numpy"} <= set(study["versions"])
    assert {"system", "processor", "cores", "devices"} <= set(study["machine"])
    assert study["data"]["hashes"] == load("digits").hashes
    assert study["data"]["counts"] == {"train": 1079, "validation": 359, "test": 359}
    assert len(study["code_sha256"]) == 64


def test_summary_json_holds_every_comparison(finished: Finished, runs: pl.DataFrame) -> None:
    summary = _json(finished, "summary.json")
    rows = summary["comparisons"]
    tuned = {row["metric"]: row for row in rows if row["rate"] == "tuned" and row["statistics"] == "running"}
    second = {row["metric"]: row for row in rows if row["statistics"] == "recomputed"}
    assert set(second) == {"test_accuracy", "test_loss"}
    assert set(tuned) == {"test_accuracy", "test_loss", "epochs_to_target", "seconds_per_step"}
    for row in rows:
        assert set(row) >= COMPARISON_KEYS
        assert row["rate"] == "tuned" or row["rate"] in GRID
        assert row["verdict"] in ("better", "worse", "equivalent", "undecided")
        assert (row["arm"], row["baseline"]) == ("batch", "none")
        assert isinstance(row["pairs"], int)
    report = runs.filter(pl.col("stage") == "report")
    for metric in ("test_accuracy", "test_loss"):
        means = {arm: report.filter(pl.col("arm") == arm)[metric].mean() for arm in ("none", "batch")}
        assert tuned[metric]["value"] == pytest.approx(means["batch"])
        again = report.filter(pl.col("arm") == "batch")[f"{metric}_recomputed"].mean()
        assert second[metric]["value"] == pytest.approx(again)
        assert second[metric]["baseline_value"] == pytest.approx(means["none"])
        assert tuned[metric]["baseline_value"] == pytest.approx(means["none"])
        assert tuned[metric]["difference"] == pytest.approx(means["batch"] - means["none"])
        assert tuned[metric]["pairs"] == NUM_SEEDS
    assert {row["rate"] for row in rows} == {"tuned", *GRID}
    assert summary["complete"] is True


def test_the_pairing_is_stated_with_what_is_shared(finished: Finished) -> None:
    pairing = _json(finished, "summary.json")["pairing"]
    assert pairing["initial_values_equal"] is True
    assert pairing["orders_equal"] is True
    assert pairing["shared_parameters"] == ["mlp/head/bias", "mlp/head/kernel", "mlp/hidden_0/kernel"]
    assert "were equal by hash" in pairing["statement"]
