"""The claim about smoothness along the gradient: planted evidence every way, and a small real measurement."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import polars as pl
import pytest

from normlab.claims import trajectory
from normlab.claims.bench import Bench
from normlab.claims.smoothness import CLAIM, PRIMARY, SECONDARY
from normlab.train.blueprint import blueprint

NUM_SEEDS = 12
COLUMNS = ["arm", "rate_name", "rate", "seed", "step", "layer", "quantity", "value"]


def _planted(factors: tuple[float, float, float], spread: float = 0.02, ahead: float = 1.0) -> pl.DataFrame:
    """Return evidence where batch norm's β is so many times that without: at the low, the shared and the own rates.

    β and the loss fall together with the steps. Batch norm is `ahead` times as fast, on the same curve but for the
    factor.
    """
    rng = np.random.default_rng(0)
    rows = []
    for arm, rates in (("none", (0.01, 0.1, 0.1)), ("batch", (0.01, 0.1, 0.3))):
        for name, rate, factor in zip(("low", "shared", "own"), rates, factors, strict=True):
            for seed in range(NUM_SEEDS):
                times = (factor if arm == "batch" else 1.0) * np.exp(spread * rng.normal())
                for step in (0, 10, 20, 30, 40):
                    loss = np.exp(-(ahead if arm == "batch" else 1.0) * step / 10)
                    at = (arm, name, rate, seed, step, None)
                    rows.append((*at, "loss", loss))
                    rows += [(*at, quantity, 5.0 * times * loss) for quantity in (PRIMARY, *SECONDARY)]
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


def test_an_arm_that_has_merely_learned_more_is_no_smoother() -> None:
    """Step by step its β is smaller at every rate; at equal loss it is the same."""
    finding = CLAIM.judge(_planted((1.0, 1.0, 1.0), ahead=1.5))
    assert finding.verdict == "conditional"
    assert finding.effect == pytest.approx(np.exp(-1), rel=0.05)
    assert finding.details["at_equal_loss"]["effect"] == pytest.approx(1.0, rel=0.05)
    assert finding.conditions.endswith("refuted at the same rate 0.1, at equal loss")
    assert CLAIM.judge(_planted((0.5, 0.5, 0.5), ahead=1.5)).verdict == "supported"


def test_losses_that_never_meet_are_not_compared() -> None:
    planted = _planted((0.5, 0.5, 0.5))
    apart = pl.when(pl.col("arm") == "batch", pl.col("quantity") == "loss").then(1e-6).otherwise(1.0)
    finding = CLAIM.judge(planted.with_columns(value=pl.col("value") * apart))
    assert finding.details["at_equal_loss"] is None
    assert "never meet" in finding.answer
    assert finding.verdict == "supported"


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


def test_both_arms_are_followed_at_three_rates(regression: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted networks: linear ones, whose β is that of the inputs' second moments; batch norm's inputs are halved."""

    def planted(norm: str) -> Any:
        gain = 0.5 if norm == "batch" else 1.0
        layers = [keras.Input((5,)), keras.layers.Rescaling(gain), keras.layers.Dense(1, use_bias=False, name="head")]
        plan = blueprint(lambda: keras.Sequential(layers))
        return regression.population(plan, runs=2, batch_size=32, layout="vmap")

    monkeypatch.setattr(trajectory, "STEPS", {"quick": 6})
    monkeypatch.setattr(trajectory, "MEASUREMENTS", {"quick": 2})
    monkeypatch.setattr(regression, "program", planted)
    monkeypatch.setattr(regression, "possible_rates", {"none": (0.1,), "batch": (0.3,)}.__getitem__)
    evidence = CLAIM.measure(regression)
    assert set(evidence.columns) == set(COLUMNS)
    runs = evidence.group_by("arm", "rate_name", "seed", "quantity").len()
    assert runs.height == 2 * 3 * 2 * 6
    assert set(runs["len"]) == {3}
    rates = evidence.select("arm", "rate_name", "rate").unique()
    assert rates.filter(pl.col("rate_name") == "low")["rate"].to_list() == pytest.approx([0.01, 0.01])
    wide = evidence.pivot("quantity", index=["arm", "rate_name", "seed", "step"], values="value")
    np.testing.assert_allclose(wide["loss_range"], wide["loss_highest"] - wide["loss_lowest"], atol=1e-5)
    assert (wide["loss"] >= wide["loss_lowest"] - 1e-6).all()
    # Before training rates make no difference.
    start = wide.filter(pl.col("step") == 0).group_by("arm", "seed").agg(pl.col(PRIMARY).n_unique())
    assert set(start[PRIMARY]) == {1}
    finding = CLAIM.judge(evidence)
    assert finding.pairs == 2
    assert finding.effect == pytest.approx(0.25, rel=0.2)
    assert finding.details[PRIMARY]["the low rate 0.01"]["effect"] == pytest.approx(0.25, rel=0.2)
