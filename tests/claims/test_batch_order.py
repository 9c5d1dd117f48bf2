"""The claim about the order of samples: planted evidence both ways, and a small real measurement."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest

from normlab.claims import batch_order
from normlab.claims.batch_order import CLAIM
from normlab.claims.bench import Bench
from normlab.claims.orders import orders_of
from tests.claims.conftest import Scripted

NUM_SEEDS = 8


def _planted(
    more: float, left: float = 0.0, spread: float = 0.002, level: float = 0.1, lag: float = 0.0
) -> pl.DataFrame:
    """Sorting costs 0.3 without a norm, and `more` than that with batch norm, of which `left` stays after shuffling."""
    rng = np.random.default_rng(0)
    costs = {"shuffled": 0.0, "fixed": 0.01, "sorted": 0.3, "pairs": 0.0, "mended": 0.05}
    rows: list[tuple[Any, ...]] = []
    for arm in ("none", "batch"):
        for order, cost in costs.items():
            for seed in range(NUM_SEEDS):
                extra = {"sorted": more, "mended": left}.get(order, 0.0) if arm == "batch" else 0.0
                error = (level if arm == "batch" else 0.2) + cost + extra + spread * rng.normal()
                running = error + lag * (order == "sorted") * (arm == "batch")
                at = (arm, order, 0, 0.1, seed)
                rows += [(*at, "settled", error), (*at, "running", running)]
    for arm, leak in (("batch", 3.0), ("layer", 0.0)):
        at = (arm, "shuffled", 0, 0.1, 0)
        rows += [(*at, "leak", leak), (*at, "relative_spread", leak / 10)]
    columns = ["arm", "order", "choice", "rate", "seed", "quantity", "value"]
    return pl.DataFrame(rows, schema=columns, orient="row")


@pytest.mark.parametrize(
    ("more", "left", "spread", "verdict"),
    [
        (0.2, 0.0, 0.002, "supported"),
        (0.2, -0.05, 0.002, "supported"),
        (0.2, 0.1, 0.002, "conditional"),
        (0.2, 0.005, 0.01, "undecided"),
        (-0.2, 0.0, 0.002, "refuted"),
        (0.0, 0.0, 0.002, "refuted"),
        (0.0, 0.1, 0.002, "refuted"),  # what sorting does not cost, shuffling need not mend
        (0.02, 0.0, 0.1, "undecided"),
    ],
)
def test_verdicts(more: float, left: float, spread: float, verdict: str) -> None:
    finding = CLAIM.judge(_planted(more, left, spread))
    assert finding.verdict == verdict
    assert finding.effect == pytest.approx(more, abs=0.1 if spread == 0.1 else 0.01)
    assert finding.details["left_after_shuffling"]["effect"] == pytest.approx(left, abs=0.1 if spread == 0.1 else 0.01)
    assert (finding.p_value is None) == (verdict == "undecided")
    assert ("shuffling does not mend" in finding.conditions) == (verdict == "conditional")
    assert finding.details["batch_leak"] == 3.0


def test_neither_the_level_nor_the_lag_moves_the_verdict() -> None:
    plain, level, lag = (CLAIM.judge(_planted(0.0, **more)) for more in ({}, {"level": 0.6}, {"lag": 0.3}))
    assert plain.verdict == level.verdict == lag.verdict == "refuted"
    assert plain.effect == pytest.approx(level.effect)
    assert plain.effect == lag.effect
    assert lag.details["lag"]["sorted"]["effect"] == pytest.approx(0.3)
    assert lag.details["lag"]["shuffled"]["effect"] == 0.0


def test_the_drawing_has_a_mark_per_order_and_arm() -> None:
    rows = CLAIM.draw(_planted(0.2)).rows
    assert {(row["series"], row["x"]) for row in rows} == {
        (arm, order) for arm in ("none", "batch") for order in ("shuffled", "fixed", "sorted", "pairs", "mended")
    }
    values = {(row["series"], row["x"]): row["y"] for row in rows}
    assert values["batch", "sorted"] == pytest.approx(0.6, abs=0.01)


def test_errors_come_from_the_right_runs(scripted: Callable[..., Scripted], monkeypatch: pytest.MonkeyPatch) -> None:
    """Each order has a cost of its own, told by the second epoch's order; sorted samples want a smaller rate."""
    costs = {"shuffled": 0.0, "fixed": 0.01, "sorted": 0.3, "pairs": 0.02, "mended": 0.05}

    def name_of(bench: Scripted, order: Any) -> str:
        known = orders_of(bench.dataset, 2)
        sample = [] if order is None else [order(3, epoch, 96).tolist() for epoch in (0, 1)]
        return next((n for n, o in known.items() if [o(3, e, 96).tolist() for e in (0, 1)] == sample), "shuffled")

    def error(program: Any, seed: int, rate: float, order: Any) -> tuple[float, float]:
        name = name_of(bench, order)
        best = 0.003 if name == "sorted" else 0.1
        settled = 0.1 * (program.norm == "batch") + costs[name] + 0.001 * (seed % 10) + abs(np.log10(rate / best)) / 9
        return settled + 0.2 * (program.norm == "batch"), settled

    monkeypatch.setattr(batch_order, "_companions", lambda *_: [])
    bench = scripted(batch_order, error)
    evidence = CLAIM.measure(bench)  # type: ignore[arg-type]
    chosen = evidence.filter(pl.col("choice") == 0)
    assert chosen.height == 2 * 5 * 3 * 2
    for arm, order, rate, seed, quantity, value in chosen.select(
        "arm", "order", "rate", "seed", "quantity", "value"
    ).iter_rows():
        assert rate == (0.003 if order == "sorted" else 0.1)
        lag = 0.2 if (arm, quantity) == ("batch", "running") else 0.0
        far = abs(np.log10(0.1 / 0.1)) / 9 if order != "sorted" else 0.0
        expected = 0.1 * (arm == "batch") + costs[order] + 0.001 * seed + lag + far
        assert value == pytest.approx(expected), (arm, order, seed, quantity)
    # What the verdict rests on is trained at the other possible rate too.
    assert set(evidence.filter(pl.col("choice") == 1)["order"]) == {"shuffled", "mended"}
    assert {made["epochs"] for made in bench.trained} == {2}


def test_companions_leak_through_batch_norm_alone(tiny: Bench) -> None:
    evidence = CLAIM.measure(tiny)
    leaks = {
        arm: evidence.filter((pl.col("arm") == arm) & (pl.col("quantity") == "leak"))["value"]
        for arm in ("layer", "batch")
    }
    assert leaks["layer"].max() == 0.0
    assert leaks["batch"].min() > 0.0  # type: ignore[operator]
    errors = evidence.filter(pl.col("quantity") == "settled", pl.col("choice") == 0)
    assert errors.height == 2 * 5 * len(tiny.seeds)
    assert errors["value"].is_between(0, 1).all()
    assert CLAIM.judge(evidence).pairs == len(tiny.seeds)
