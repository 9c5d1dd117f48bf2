"""The claim about the order of samples: planted evidence both ways, and a small real measurement."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from normlab.claims import batch_order
from normlab.claims.batch_order import CLAIM
from normlab.claims.bench import Bench

NUM_SEEDS = 8


def _planted(more: float, spread: float = 0.002) -> pl.DataFrame:
    """Sorting costs 0.3 without a norm, and `more` than that with batch norm."""
    rng = np.random.default_rng(0)
    costs = {"shuffled": 0.0, "fixed": 0.01, "sorted": 0.3, "pairs": 0.0}
    rows = []
    for arm in ("none", "batch"):
        for order, cost in costs.items():
            for seed in range(NUM_SEEDS):
                extra = more if (arm, order) == ("batch", "sorted") else 0.0
                error = (0.1 if arm == "batch" else 0.2) + cost + extra + spread * rng.normal()
                rows += [(arm, order, seed, "error", error), (arm, order, seed, "rate", 0.1)]
                if arm == "batch":
                    rows.append((arm, order, seed, "recomputed_error", error))
    for arm, leak in (("batch", 3.0), ("layer", 0.0)):
        rows += [(arm, "shuffled", 0, "leak", leak), (arm, "shuffled", 0, "relative_spread", leak / 10)]
    return pl.DataFrame(rows, schema=["arm", "order", "seed", "quantity", "value"], orient="row")


@pytest.mark.parametrize(
    ("more", "spread", "verdict"),
    [
        (0.2, 0.002, "supported"),
        (-0.2, 0.002, "refuted"),
        (0.0, 0.002, "refuted"),
        (0.02, 0.1, "undecided"),
    ],
)
def test_verdicts(more: float, spread: float, verdict: str) -> None:
    finding = CLAIM.judge(_planted(more, spread))
    assert finding.verdict == verdict
    assert finding.effect == pytest.approx(more, abs=0.1 if spread == 0.1 else 0.005)
    assert (finding.p_value is None) == (verdict == "undecided")
    assert finding.details["batch_leak"] == 3.0


def test_the_drawing_has_a_mark_per_order_and_arm() -> None:
    rows = CLAIM.draw(_planted(0.2)).rows
    assert {(row["series"], row["x"]) for row in rows} == {
        (arm, order) for arm in ("none", "batch") for order in ("shuffled", "fixed", "sorted", "pairs")
    }
    values = {(row["series"], row["x"]): row["y"] for row in rows}
    assert values["batch", "sorted"] == pytest.approx(0.6, abs=0.01)


def test_companions_leak_through_batch_norm_alone(tiny: Bench) -> None:
    evidence = CLAIM.measure(tiny)
    leaks = {
        arm: evidence.filter((pl.col("arm") == arm) & (pl.col("quantity") == "leak"))["value"]
        for arm in ("layer", "batch")
    }
    assert leaks["layer"].max() == 0.0
    assert leaks["batch"].min() > 0.0  # type: ignore[operator]
    errors = evidence.filter(pl.col("quantity") == "error")
    assert errors.height == 2 * 4 * len(tiny.seeds)
    assert errors["value"].is_between(0, 1).all()
    assert CLAIM.judge(evidence).pairs == len(tiny.seeds)


def test_rates_are_tuned_with_one_budget_at_the_length_of_the_runs(
    tiny: Bench, trainings: list[tuple[int, int | None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On large data the runs are shorter than the bench's epochs, where another rate is best."""
    monkeypatch.setattr(tiny, "epochs", 2)
    monkeypatch.setattr(tiny, "tuning_seeds", [1_000_010, 1_000_011, 1_000_012, 1_000_013])
    monkeypatch.setattr(batch_order, "SAMPLES", len(tiny.dataset.train))
    CLAIM.measure(tiny)
    assert trainings == [(4 * 7, 1), (4 * 7, 1), (4 * 2, 1)] * 2  # shuffled, sorted, and the runs; of both arms
