"""Made-up studies: records of literal curves, summarized by the same code as real ones."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import polars as pl
import pytest

from normlab.report.records import Records
from normlab.study.in_pairs import divergences, savings
from normlab.study.metrics import with_outcomes
from normlab.study.rates import RULE, Choice, choose_rates
from normlab.study.summary import Evidence, area_over_rates, by_arm, by_rate, comparisons

STEPS_PER_EPOCH = 32
GRID = (0.01, 0.1, 1.0)
SIZES = {"num_parameters": 50_610, "num_buffers": 0, "bytes_per_run": 202_440}
LARGER_SIZES = {"num_parameters": 51_010, "num_buffers": 800, "bytes_per_run": 208_440}

Make = Callable[..., Records]


@pytest.fixture(scope="session")
def make_records() -> Make:
    """Return `make`, which makes up the records of a study."""
    return make


@pytest.fixture(scope="session")
def tuned(make_records: Make) -> Records:
    """Two arms, tuned, `batch` better by three points and slower."""
    return make_records()


def make(
    arms: Sequence[str] = ("none", "batch"),
    *,
    gain: float = 0.03,
    task: Literal["classification", "regression"] = "classification",
    rates: Literal["tuned"] | tuple[float, ...] = "tuned",
    seeds: int = 8,
    epochs: int = 5,
    slowdown: float = 0.3,
    diverging: Sequence[tuple[str, float]] = (),
    example: dict[str, Any] | None = None,
    data_name: str = "made-up",
) -> Records:
    """Return records in which arm k (the baseline is 0) is `k * gain` better in accuracy than the baseline.

    Args:
        arms: Names, the baseline first.
        gain: Accuracy, or relative decrease of the loss; negative for worse arms.
        task: As in a study.
        rates: As in a study; "tuned" searches `GRID`.
        seeds: Reported on.
        epochs: Trained.
        slowdown: Relative increase of seconds of every arm but the baseline.
        diverging: (arm, rate) whose odd seeds diverge at the second epoch.
        example: The worked example.
        data_name: Of the data.
    """
    grid = GRID if rates == "tuned" else tuple(sorted(rates))
    shape = {"arms": arms, "gain": gain, "task": task, "epochs": epochs, "slowdown": slowdown, "diverging": diverging}
    tuning_seeds = list(range(1_000_000, 1_000_006)) if rates == "tuned" else []
    tuning = _rows("tuning", [(seed, rate) for rate in grid for seed in tuning_seeds], **shape)
    chosen = choose_rates(_last(tuning), task) if rates == "tuned" else None
    tuned_rates = {arm: [choice.rate] for arm, choice in (chosen or {}).items()}
    report_rates = tuned_rates or {arm: list(grid) for arm in arms}
    reported: list[dict[str, Any]] = []
    for arm in arms:
        cells = [(seed, rate) for rate in report_rates[arm] for seed in range(seeds)]
        reported += [row for row in _rows("report", cells, **shape) if row["arm"] == arm]
    runs, epoch_rows = _last(reported + tuning), _frame(reported + tuning)
    target = 0.9 if task == "classification" else 0.3
    runs = with_outcomes(runs, epoch_rows, target, 2.3)
    evidence = Evidence(
        epoch_rows, runs, list(arms), task, 0.005, STEPS_PER_EPOCH, chosen, "tuned" if chosen else grid[0]
    )
    summary = {
        "normlab": "0.1.0",
        "complete": True,
        "task": task,
        "baseline": arms[0],
        "arms": list(arms),
        "primary": {
            "metric": evidence.primary_metric,
            "arm": arms[1],
            "rate": "tuned" if chosen else grid[0],
        },
        "rates": {
            "mode": "tuned" if chosen else "fixed",
            "grid": list(grid),
            "report_seeds": list(range(seeds)),
            **(_tuning(chosen, task, tuning_seeds) if chosen else {}),
        },
        "target": {
            "metric": "val_accuracy" if task == "classification" else "val_loss",
            "value": target,
            "rule": "given beforehand",
        },
        "pairing": {
            "shared_parameters": ["mlp/hidden_0/kernel"],
            "initial_values_equal": True,
            "orders_equal": True,
            "seeds": list(range(seeds)) + tuning_seeds,
            "statement": "For each seed, the initial value of the shared parameter was equal by hash.",
        },
        "comparisons": comparisons(evidence),
        "divergences": divergences(evidence),
        "savings": savings(evidence),
        "area_over_rates": area_over_rates(evidence),
        "by_rate": by_rate(runs),
        "by_arm": by_arm(evidence, {arm: LARGER_SIZES if index else SIZES for index, arm in enumerate(arms)}),
        "timing": {"total_seconds": 30.0, "compile_seconds": 10.0, "layout": "map", "devices": 2, "runs": len(runs)},
    }
    plain = json.loads(json.dumps(summary), parse_constant=lambda _: None)
    return Records(
        _study(arms, task, rates, seeds, epochs, data_name), plain, epoch_rows, runs, example, "runs/made-up"
    )


def _tuning(chosen: Mapping[str, Choice], task: str, tuning_seeds: list[int]) -> dict[str, Any]:
    return {
        "chosen": {arm: choice.rate for arm, choice in chosen.items()},
        "at_edge": {arm: choice.at_edge for arm, choice in chosen.items()},
        "rule": RULE[task],
        "tuning_seeds": tuning_seeds,
    }


def _rows(
    stage: str,
    cells: list[tuple[int, float]],
    *,
    arms: Sequence[str],
    gain: float,
    task: str,
    epochs: int,
    slowdown: float,
    diverging: Sequence[tuple[str, float]],
) -> list[dict[str, Any]]:
    """One row per arm, cell and epoch. Scores rise with the epoch, peak at rate 0.1, and scatter by seed."""
    rows = []
    for index, arm in enumerate(arms):
        for seed, rate in cells:
            chance = np.random.default_rng([seed, index]).normal()
            shared = np.random.default_rng([seed, 99]).normal()
            is_bad = (arm, rate) in diverging and seed % 2 == 1
            for epoch in range(1, epochs + 1):
                error = 0.06 + 0.3 * 0.5**epoch + 0.05 * abs(np.log10(rate) + 1) + 0.002 * chance + 0.003 * shared
                error -= index * gain
                has_diverged = is_bad and epoch > 1
                loss = float("inf") if has_diverged else max(4 * error, 1e-3) * (1 - 0.1 * (index > 0) * np.sign(gain))
                accuracy = 0.1 if has_diverged else 1 - error
                scored = task == "classification"
                rows.append(
                    {
                        "run": f"{stage}/{arm}/{rate:g}/{seed}",
                        "stage": stage,
                        "chunk": 0 if stage == "report" else 1,
                        "arm": arm,
                        "seed": seed,
                        "rate": rate,
                        "batch_size": 32,
                        "epoch": epoch,
                        "step": epoch * STEPS_PER_EPOCH,
                        "loss": 0.5 * loss,
                        "accuracy": min(accuracy + 0.01, 1.0) if scored else None,
                        "val_loss": loss,
                        "val_accuracy": accuracy if scored else None,
                        "seconds": (0.4 + 0.002 * epoch) * (1 + slowdown * (index > 0)),
                        "diverged": has_diverged,
                        "test_loss": 1.05 * loss,
                        "test_accuracy": accuracy - 0.004 if scored else None,
                    }
                )
    return rows


def _frame(rows: list[dict[str, Any]]) -> pl.DataFrame:
    floats = dict.fromkeys(("accuracy", "val_accuracy", "test_accuracy"), pl.Float64)
    return pl.DataFrame(rows, schema_overrides=floats, infer_schema_length=None).drop("test_loss", "test_accuracy")


def _last(rows: list[dict[str, Any]]) -> pl.DataFrame:
    """One row per run."""
    floats = dict.fromkeys(("accuracy", "val_accuracy", "test_accuracy"), pl.Float64)
    if not rows:
        return pl.DataFrame()
    frame = pl.DataFrame(rows, schema_overrides=floats, infer_schema_length=None)
    total = pl.col("seconds").sum().over("run")
    last = frame.with_columns(total).filter(pl.col("epoch") == pl.col("epoch").max())
    return last.rename({"epoch": "epochs"}).with_columns(
        diverged_step=pl.when("diverged").then(STEPS_PER_EPOCH + 1),
        initial_hash=pl.lit("a"),
        order_hash=pl.lit("b"),
    )


def _study(
    arms: Sequence[str], task: str, rates: str | tuple[float, ...], seeds: int, epochs: int, data_name: str
) -> dict[str, Any]:
    network = {
        "widths": [300, 100],
        "activation": "relu",
        "initializer": "he_normal",
        "input_norm": False,
        "placement": "before",
    }
    return {
        "study": {
            "data": data_name,
            "model": "mlp",
            "network": network,
            "arms": [{"norm": arm, "name": arm, **dict.fromkeys(network)} for arm in arms],
            "optimizer": "sgd",
            "schedule": "constant",
            "warmup": 0.0,
            "label_smoothing": 0.0,
            "augment": "none",
            "rates": rates if rates == "tuned" else list(rates),
            "seeds": seeds,
            "tuning_seeds": 6,
            "epochs": epochs,
            "batch_size": 32,
            "margin": 0.005,
            "reach": None,
            "split_seed": 0,
        },
        "data": {
            "name": data_name,
            "task": task,
            "input_shape": [8, 8],
            "classes": ["0", "1"] if task == "classification" else None,
            "description": ["Made-up numbers."],
            "counts": {"train": 1024, "validation": 200, "test": 200},
            "hashes": {},
        },
        "code_sha256": "0123456789abcdef0123",
        "normlab": "0.1.0",
        "versions": {"python": "3.11.7"},
        "machine": {"system": "Linux", "cores": 2, "devices": ["cpu", "cpu"], "memory_gigabytes": 23.5},
        "started": "2026-01-02T03:04:05+00:00",
    }
