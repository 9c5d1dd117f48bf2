"""The claim about smoothness along the gradient: planted evidence every way, and a small real measurement."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from normlab.claims import trajectory
from normlab.claims.bench import Bench
from normlab.claims.smoothness import CLAIM, PRIMARY, SECONDARY

NUM_SEEDS = 12
COLUMNS = ["arm", "rate_name", "rate", "seed", "step", "layer", "quantity", "value"]


def _planted(factors: tuple[float, float, float], spread: float = 0.02) -> pl.DataFrame:
    """Return evidence where batch norm's β is so many times that without: at the low, the shared and the own rates."""
    rng = np.random.default_rng(0)
    rows = []
    for arm, rates in (("none", (0.01, 0.1, 0.1)), ("batch", (0.01, 0.1, 0.3))):
        for name, rate, factor in zip(("low", "shared", "own"), rates, factors, strict=True):
            for seed in range(NUM_SEEDS):
                times = (factor if arm == "batch" else 1.0) * np.exp(spread * rng.normal())
                rows += [
                    (arm, name, rate, seed, step, None, quantity, 5.0 * times)
                    for step in (0, 10, 20)
                    for quantity in (PRIMARY, *SECONDARY)
                ]
    return pl.DataFrame(rows, schema=COLUMNS, schema_overrides={"layer": pl.String}, orient="row")


@pytest.mark.parametrize(
    ("factors", "spread", "verdict"),
    [
        ((0.5, 0.5, 0.4), 0.02, "supported"),
        ((2.0, 1.5, 1.0), 0.02, "refuted"),
        ((1.5, 0.5, 0.4), 0.02, "conditional"),
        ((0.8, 0.8, 0.8), 1.5, "undecided"),
    ],
)
def test_verdicts(factors: tuple[float, float, float], spread: float, verdict: str) -> None:
    finding = CLAIM.judge(_planted(factors, spread))
    assert finding.verdict == verdict
    assert (finding.p_value is None) == (verdict == "undecided")
    assert ("Undecided at " in finding.answer) == (verdict == "undecided")
    if spread < 1:
        assert finding.effect == pytest.approx(factors[1], rel=0.05)
        low = finding.details[SECONDARY[0]]["the low rate 0.01"]["effect"]
        assert low == pytest.approx(factors[0], rel=0.05)
    if verdict == "conditional":
        assert "refuted at the low rate 0.01" in finding.conditions


def test_the_drawing_has_a_line_per_arm_and_rate() -> None:
    rows = CLAIM.draw(_planted((0.5, 0.5, 0.5))).rows
    assert {row["series"] for row in rows} == {
        "none, rate 0.01",
        "none, rate 0.1",
        "batch, rate 0.01",
        "batch, rate 0.1",
        "batch, rate 0.3",
    }
    assert all(row["low"] <= row["y"] <= row["high"] for row in rows)


def test_both_arms_are_followed_at_three_rates(tiny: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trajectory, "STEPS", {"quick": 6})
    monkeypatch.setattr(trajectory, "MEASUREMENTS", {"quick": 2})
    monkeypatch.setattr(tiny, "best_rate", {"none": 0.1, "batch": 0.3}.__getitem__, raising=False)
    evidence = CLAIM.measure(tiny)
    assert set(evidence.columns) == set(COLUMNS)
    runs = evidence.group_by("arm", "rate_name", "seed", "quantity").len()
    assert runs.height == 2 * 3 * 2 * 5
    assert set(runs["len"]) == {3}
    wide = evidence.pivot("quantity", index=["arm", "rate_name", "seed", "step"], values="value")
    np.testing.assert_allclose(wide["loss_range"], wide["loss_highest"] - wide["loss_lowest"], atol=1e-5)
    assert wide[PRIMARY].min() > 0
    # Before training rates make no difference.
    start = wide.filter(pl.col("step") == 0).group_by("arm", "seed").agg(pl.col(PRIMARY).n_unique())
    assert set(start[PRIMARY]) == {1}
    assert CLAIM.judge(evidence).pairs == 2
