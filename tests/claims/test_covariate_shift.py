"""The claim about internal covariate shift: planted evidence every way, and a small real measurement."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from normlab.claims import covariate_shift, trajectory
from normlab.claims.bench import Bench
from normlab.claims.covariate_shift import CLAIM

NUM_SEEDS = 12
COLUMNS = ["arm", "rate_name", "rate", "seed", "step", "layer", "quantity", "value"]


def _planted(shared: float, own: float, spread: float = 0.02, size: float = 1.0) -> pl.DataFrame:
    """Return evidence where batch norm's relative shift is so many times that without, at either rate.

    Its gradients are `size` times as large, and its absolute shifts with them.
    """
    rng = np.random.default_rng(0)
    rows = []
    for arm, rates in (("none", {"shared": 0.1, "own": 0.1}), ("batch", {"shared": 0.1, "own": 0.3})):
        for (name, rate), factor in zip(rates.items(), (shared, own), strict=True):
            for seed in range(NUM_SEEDS):
                times = (factor if arm == "batch" else 1.0) * np.exp(spread * rng.normal())
                for step in (0, 10, 20):
                    at = (arm, name, rate, seed, step)
                    rows += [
                        (*at, layer, quantity, value)
                        for layer, norm in (("hidden_1", 1.0), ("head", 100.0))
                        for quantity, value in (
                            ("relative_shift", times / 2),
                            ("gradient_shift", norm * times * (size if arm == "batch" else 1.0)),
                            ("gradient_norm", 2 * norm * (size if arm == "batch" else 1.0)),
                            ("gradient_cosine", 0.9),
                            ("input_drift", 0.5),
                        )
                    ]
                    rows.append((*at, None, "loss", 0.2))
    noisy = [
        ("noisy", "shared", 0.1, seed, 0, *rest)
        for seed in range(NUM_SEEDS)
        for rest in (("hidden_1", "input_drift", 5.0), (None, "loss", 0.25))
    ]
    return pl.DataFrame(rows + noisy, schema=COLUMNS, orient="row")


@pytest.mark.parametrize(
    ("shared", "own", "spread", "verdict"),
    [
        (0.5, 0.5, 0.02, "supported"),
        (2.0, 2.0, 0.02, "refuted"),
        (1.0, 0.9, 0.02, "refuted"),
        (0.5, 2.0, 0.02, "conditional"),
        (0.8, 0.8, 1.5, "undecided"),
    ],
)
def test_verdicts(shared: float, own: float, spread: float, verdict: str) -> None:
    finding = CLAIM.judge(_planted(shared, own, spread))
    assert finding.verdict == verdict
    assert (finding.p_value is None) == (verdict == "undecided")
    assert ("Undecided at " in finding.answer) == (verdict == "undecided")
    if spread < 1:
        assert finding.effect == pytest.approx(shared, rel=0.05)
        assert finding.details["input_drift_ratio"]["noisy over batch"] == pytest.approx(10.0)
        assert finding.details["relative_shift_ratio"]["the same rate 0.1"]["effect"] == pytest.approx(shared, rel=0.05)
    if verdict == "conditional":
        assert "supported at the same rate 0.1, relative, the same rate 0.1, absolute" in finding.conditions
        assert "refuted at the own best rates" in finding.conditions


def test_gradients_of_another_size_alone_support_nothing() -> None:
    """At a smaller loss all gradients are smaller, and so are their changes."""
    finding = CLAIM.judge(_planted(1.0, 1.0, size=0.3))
    assert finding.verdict == "conditional"
    assert finding.effect == pytest.approx(1.0, rel=0.05)
    supported, refuted = finding.conditions.split("; ")
    assert supported.count("absolute") == 2
    assert "relative" not in supported
    assert refuted.count("relative") == 2
    assert CLAIM.judge(_planted(0.5, 0.5, size=0.3)).verdict == "supported"
    assert CLAIM.judge(_planted(0.5, 0.5, size=5.0)).verdict == "conditional"


def test_the_drawing_has_a_line_per_arm_and_layer() -> None:
    rows = CLAIM.draw(_planted(0.5, 0.5)).rows
    assert {row["series"] for row in rows} == {f"{a}, {b}" for a in ("none", "batch") for b in ("hidden_1", "head")}
    assert {row["x"] for row in rows} == {0, 10, 20}


def test_drift_is_in_units_of_the_deviation() -> None:
    before, after = np.array([[0.0, 0.0], [3.0, 4.0]]), np.array([[0.0, 10.0], [3.0, 4.0]])
    assert covariate_shift._drift(before, after) == pytest.approx(2.0)
    assert np.isnan(covariate_shift._drift(np.zeros((2, 2)), after))


def test_the_head_is_followed_in_all_arms(tiny: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trajectory, "STEPS", {"quick": 6})
    monkeypatch.setattr(trajectory, "MEASUREMENTS", {"quick": 2})
    monkeypatch.setattr(tiny, "possible_rates", {"none": (0.0,), "batch": (0.3,)}.__getitem__)
    assert CLAIM.applies(tiny) == ""
    evidence = CLAIM.measure(tiny)
    # The only layer that both networks have with another before it; batch norm's own is in one of them alone.
    assert set(evidence["layer"].drop_nulls()) == {"head"}
    values = {key: part["value"].to_numpy() for key, part in evidence.group_by("arm", "rate_name", "quantity", "layer")}
    # At rate 0 no step moves anything: the same gradient twice, and inputs that stay.
    for arm in ("none", "batch"):
        assert values[arm, "shared", "gradient_shift", "head"].max() == 0.0
        assert values[arm, "shared", "relative_shift", "head"].max() == 0.0
        np.testing.assert_allclose(values[arm, "shared", "gradient_cosine", "head"], 1.0, rtol=1e-5)
    shift, relative, size = (
        values["batch", "own", name, "head"] for name in ("gradient_shift", "relative_shift", "gradient_norm")
    )
    assert shift.min() > 0.0
    np.testing.assert_allclose(relative, shift / size, rtol=1e-6)
    assert values["none", "own", "gradient_shift", "head"].max() == 0.0  # its own rate is 0 too
    assert values["none", "shared", "input_drift", "head"].max() == 0.0
    # The noise moves the inputs though nothing is learned.
    assert values["batch", "shared", "input_drift", "head"].max() == 0.0
    assert values["noisy", "shared", "input_drift", "head"].min() > 0.1
    assert set(evidence.filter(pl.col("arm") == "noisy")["quantity"]) == {"loss", "input_drift"}
    assert CLAIM.judge(evidence).pairs == 2
