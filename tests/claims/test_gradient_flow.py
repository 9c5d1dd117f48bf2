"""The claim about gradients through depth: planted slopes every way, and small deep networks where theory tells."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest

from normlab.claims import deep_gradients, gradient_flow
from normlab.claims.bench import Bench
from normlab.claims.gradient_flow import ACTIVATIONS, CLAIM, LARGEST_SLOPE, slopes_of
from normlab.claims.tower import Runs

Slopes = dict[tuple[str, str], float]
NUM_SEEDS, DEPTH = 12, 6


def _planted(slopes: Slopes, spread: float = 0.01, shares: tuple[float, float] = (0.9, 0.1)) -> pl.DataFrame:
    """Return evidence where (activation, arm) has a slope, at the start and after training alike."""
    rng = np.random.default_rng(0)
    rows = []
    for (activation, arm), slope in slopes.items():
        for time in ("start", "trained"):
            for seed in range(NUM_SEEDS):
                own = slope + spread * rng.normal()
                norms = np.exp(0.5 * (own * np.arange(1, DEPTH + 1) - 3))
                rows += [(arm, activation, DEPTH, seed, time, layer + 1, n) for layer, n in enumerate(norms)]
        for depth, share in zip((2, DEPTH), sorted(shares), strict=True):
            rows.append((arm, activation, depth, 0, "loss", None, share if arm == "none" else 0.1))
    schema = ["arm", "activation", "depth", "seed", "time", "layer", "norm"]
    return pl.DataFrame(rows, schema=schema, orient="row")


def _slopes(none: tuple[float, float, float], batch: tuple[float, float, float]) -> Slopes:
    return {
        (activation, arm): slope
        for arm, slopes in (("none", none), ("batch", batch))
        for activation, slope in zip(ACTIVATIONS, slopes, strict=True)
    }


@pytest.mark.parametrize(
    ("none", "batch", "spread", "verdict"),
    [
        ((3.0, 1.0, -2.0), (0.1, -0.1, -0.4), 0.01, "supported"),  # vanishing and exploding, both mended
        ((0.0, 0.1, 0.0), (-0.2, -0.3, -0.4), 0.01, "refuted"),
        ((1.0, -1.0, 1.0), (1.0, 1.0, -1.0), 0.01, "refuted"),  # the same size, whatever the sign
        ((3.0, 0.1, 0.0), (0.1, -0.3, -0.4), 0.01, "conditional"),
        ((0.5, 0.5, 0.5), (0.4, 0.4, 0.4), 0.5, "undecided"),
    ],
)
def test_verdicts(
    none: tuple[float, float, float], batch: tuple[float, float, float], spread: float, verdict: str
) -> None:
    finding = CLAIM.judge(_planted(_slopes(none, batch), spread))
    assert finding.verdict == verdict
    assert (finding.p_value is None) == (verdict == "undecided")
    assert ("Undecided at " in finding.answer) == (verdict == "undecided")
    if spread < 0.1:
        assert finding.effect == pytest.approx(abs(batch[0]) - abs(none[0]), abs=0.02)
    if verdict == "conditional":
        assert "supported at sigmoid, start, sigmoid, trained; refuted at tanh" in finding.conditions
        assert finding.p_value == pytest.approx(6 * 2 / 2**NUM_SEEDS)  # Holm's correction over the six conditions


def test_the_deepest_trainable_network_is_told() -> None:
    finding = CLAIM.judge(_planted(_slopes((1.0, 1.0, 1.0), (0.1, 0.1, 0.1))))
    assert finding.details["deepest_trainable"] == {
        f"{activation}, {arm}": depth for activation in ACTIVATIONS for arm, depth in (("none", 2), ("batch", DEPTH))
    }


def test_what_leaves_float32_is_not_fitted() -> None:
    evidence = _planted(_slopes((3.0, 1.0, 1.0), (0.0, 0.0, 0.0)), spread=0.0)
    lost = evidence.with_columns(
        pl.when((pl.col("arm") == "none") & (pl.col("layer") <= 2)).then(0.0).otherwise("norm").alias("norm")
    )
    slopes = slopes_of(lost).filter(pl.col("arm") == "none", pl.col("activation") == "sigmoid")["slope"]
    np.testing.assert_allclose(slopes, 3.0, rtol=1e-6)
    lost = evidence.with_columns(pl.when(pl.col("layer") <= 4).then(math.nan).otherwise("norm").alias("norm"))
    assert set(slopes_of(lost)["slope"]) == {LARGEST_SLOPE}


def test_the_drawing_has_a_line_per_arm_and_activation() -> None:
    rows = CLAIM.draw(_planted(_slopes((3.0, 1.0, 1.0), (0.0, 0.0, 0.0)))).rows
    assert {row["series"] for row in rows} == {f"{a}, {arm}" for a in ACTIVATIONS for arm in ("none", "batch")}
    assert sorted({row["x"] for row in rows}) == list(range(1, DEPTH + 1))
    assert all(row["low"] <= row["y"] <= row["high"] for row in rows)


def test_without_a_norm_sigmoid_vanishes_and_large_relu_weights_explode(
    tiny: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deep_gradients, "DEPTHS", {"quick": (8,)})
    program = deep_gradients.program(tiny, "none")
    state = Runs([8] * 3, ["sigmoid", "relu", "relu"], [1.0, 1.0, 2.0])(program, program.start([0] * 3, [0.0] * 3))
    norms = deep_gradients.gradient_norms(tiny, program, state)(state)
    sigmoid, relu, doubled = np.polyfit(np.arange(8), 2 * np.log(np.asarray(norms)[:3].T), 1)[0]
    # Near zero a sigmoid has slope 1/4: with weights of variance 1/width the squared gradient shrinks 16 times.
    assert sigmoid == pytest.approx(math.log(16), abs=0.3)
    assert relu == pytest.approx(0.0, abs=0.25)
    assert doubled == pytest.approx(relu - math.log(4), abs=0.1)


def test_batch_norm_makes_relu_explode_as_theory_says(tiny: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deep_gradients, "DEPTHS", {"quick": (3, 8)})
    monkeypatch.setattr(deep_gradients, "STEPS", {"quick": 8})
    with monkeypatch.context() as one_arm:
        one_arm.setattr(gradient_flow, "ARMS", ("batch",))
        evidence = CLAIM.measure(tiny)
    slopes = slopes_of(evidence).group_by("activation", "time").agg(pl.col("slope").mean())
    mean = {(activation, time): slope for activation, time, slope in slopes.iter_rows()}
    # A finite width and batch raise it a little above theory.
    assert mean["relu", "start"] == pytest.approx(-math.log(math.pi / (math.pi - 1)), abs=0.12)
    assert mean["relu", "start, weights doubled"] == pytest.approx(mean["relu", "start"], abs=0.01)
    assert abs(mean["sigmoid", "start"]) < 0.3
    assert mean["relu", "trained"] != mean["relu", "start"]
    assert evidence.filter(pl.col("time") == "loss").select("activation", "depth").n_unique() == 3 * 2
    assert set(evidence.filter(pl.col("time") == "trained")["seed"]) == set(tiny.seeds)
    against_itself = CLAIM.judge(pl.concat([evidence, evidence.with_columns(arm=pl.lit("none"))]))
    assert (against_itself.effect, against_itself.pairs) == (0.0, 2)
    assert against_itself.verdict != "supported"
