"""The claim about gradients through depth: planted slopes every way, and small deep networks where theory tells."""

from __future__ import annotations

import math
from types import SimpleNamespace

import keras
import numpy as np
import polars as pl
import pytest

from normlab.claims import deep_gradients
from normlab.claims.bench import Bench
from normlab.claims.gradient_flow import ACTIVATIONS, CLAIM, LARGEST_SLOPE, slopes_of
from normlab.claims.tower import Runs
from normlab.norms import NORMS, Norm
from normlab.train.optimizers import OPTIMIZERS

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
                rows += [(arm, activation, DEPTH, 0, seed, time, layer + 1, n) for layer, n in enumerate(norms)]
        for depth, share in zip((2, DEPTH), sorted(shares), strict=True):
            rows.append((arm, activation, depth, None, None, "loss", None, share if arm == "none" else 0.1))
    schema = ["arm", "activation", "depth", "choice", "seed", "time", "layer", "norm"]
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


def test_the_size_of_the_gradient_moves_nothing() -> None:
    """Without a norm gradients are a thousand times larger, as at a larger loss; only slopes are judged."""
    evidence = _planted(_slopes((1.0, 1.0, 1.0), (0.1, 0.1, 0.1)))
    larger = pl.when((pl.col("arm") == "none") & (pl.col("time") != "loss")).then(1000 * pl.col("norm"))
    finding = CLAIM.judge(evidence.with_columns(norm=larger.otherwise("norm")))
    assert finding.effect == pytest.approx(CLAIM.judge(evidence).effect)
    assert finding.verdict == "supported"


def test_a_verdict_must_hold_at_every_rate_that_could_have_been_chosen() -> None:
    evidence = _planted(_slopes((1.0, 1.0, 1.0), (0.1, 0.1, 0.1)))
    steep = _planted(_slopes((1.0, 1.0, 1.0), (1.5, 1.5, 1.5)))
    other = steep.filter(pl.col("time") == "trained", pl.col("arm") == "batch", pl.col("activation") == "relu")
    finding = CLAIM.judge(pl.concat([evidence, other.with_columns(choice=pl.lit(1, pl.Int64))]))
    assert finding.verdict == "undecided"
    assert "Undecided at relu, trained" in finding.answer
    assert finding.details["slopes"]["relu, trained, batch"] == pytest.approx(0.1, abs=0.02)


def _losses(*rows: tuple[str, int, float, int, float]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=["activation", "depth", "rate", "seed", "norm"], orient="row")


def test_rates_that_may_be_the_best_at_the_largest_depth() -> None:
    """Of two seeds each prefers another rate; at 0.1 they do best on average. Shallower networks do not count."""
    tanh = [("tanh", 8, 0.03, 0, 0.3), ("tanh", 8, 0.03, 1, 0.6), ("tanh", 8, 0.1, 0, 0.4), ("tanh", 8, 0.1, 1, 0.2)]
    clear = [("relu", 8, rate, seed, norm) for rate, norm in ((0.03, 0.5), (0.1, math.inf)) for seed in (0, 1)]
    losses = _losses(*tanh, *clear, ("tanh", 3, 1.0, 0, 0.0))
    assert deep_gradients.possible_rates(losses) == {"tanh": [0.1, 0.03], "relu": [0.03]}
    best = (
        deep_gradients.best_by_depth(losses).select("activation", "depth", "rate", "norm").sort("activation", "depth")
    )
    assert best.rows() == [("relu", 8, 0.03, 0.5), ("tanh", 3, 1.0, 0.0), ("tanh", 8, 0.1, pytest.approx(0.3))]


def test_a_grid_whose_best_rate_lies_at_its_edge_is_extended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sigmoid does best at the highest rate up to 10, where it trains; tanh does best at the lowest, and does not."""
    tried = []

    def losses(_bench: object, _program: object, cells: list[tuple[str, int, float, int]]) -> pl.DataFrame:
        tried.extend(cells)
        shares = {
            "sigmoid": lambda r: 0.3 - 0.01 * min(r, 10.0),
            "tanh": lambda r: 0.9 + r,
            "relu": lambda r: abs(r - 0.1),
        }
        return _losses(*((*cell, shares[cell[0]](cell[2])) for cell in cells))

    monkeypatch.setattr(deep_gradients, "_losses", losses)
    bench = SimpleNamespace(budget="quick", tuning_seeds=[7, 8, 9])
    found = deep_gradients.losses_by_depth(bench, None)  # type: ignore[arg-type]
    assert found.height == len(tried)
    deepest = max(deep_gradients.DEPTHS["quick"])
    by_name = {name: {rate for one, depth, rate, _ in tried if (one, depth) == (name, deepest)} for name in ACTIVATIONS}
    assert max(by_name["sigmoid"]) == 30.0
    assert by_name["tanh"] == by_name["relu"] == set(OPTIMIZERS["sgd"].grid)
    assert {seed for _, depth, _, seed in tried if depth == deepest} == {7, 8}
    assert {seed for _, depth, _, seed in tried if depth < deepest} == {7}


class _Shrink(keras.layers.Layer):
    """Multiplies by a half: ∂L/∂h shrinks by that per layer towards the input, where ReLU alone keeps it."""

    def call(self, inputs):
        return 0.5 * inputs


def test_planted_norms_are_measured_at_every_layer(tiny: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deep_gradients, "DEPTHS", {"quick": (3, 6)})
    monkeypatch.setattr(deep_gradients, "STEPS", {"quick": 4})
    shrink = Norm("shrink", _Shrink, False, "x / 2", "planted")
    monkeypatch.setattr(deep_gradients, "NORMS", {"none": NORMS["none"], "batch": shrink})
    evidence = CLAIM.measure(tiny)
    slopes = slopes_of(evidence).filter(pl.col("time") == "start", pl.col("activation") == "relu")
    mean = dict(slopes.group_by("arm").agg(pl.col("slope").mean()).iter_rows())
    # A layer passes on half of the gradient, and the square of that is judged; the sign says that it vanishes.
    assert mean["batch"] - mean["none"] == pytest.approx(math.log(4), abs=0.05)
    assert mean["none"] == pytest.approx(0.0, abs=0.3)
    relu = evidence.filter(pl.col("activation") == "relu", pl.col("choice") == 0)
    doubled = slopes_of(relu.filter(pl.col("time") == "start, weights doubled"))
    by_arm = dict(doubled.group_by("arm").agg(pl.col("slope").mean()).iter_rows())
    assert by_arm["none"] == pytest.approx(mean["none"] - math.log(4), abs=0.1)
    for arm in ("none", "batch"):
        own = evidence.filter(pl.col("arm") == arm)
        assert own["layer"].drop_nulls().unique().sort().to_list() == [1, 2, 3, 4, 5, 6]
        assert sorted(own.filter(pl.col("time") == "trained")["seed"].unique()) == tiny.seeds
        at_start, after = (
            relu.filter(pl.col("arm") == arm, pl.col("time") == time)["norm"] for time in ("start", "trained")
        )
        assert (at_start - after).abs().max() > 0
        chosen = own.filter(pl.col("time") == "trained").group_by("activation", "choice").agg(pl.col("rate").unique())
        best = dict(own.filter(pl.col("time") == "loss", pl.col("depth") == 6).select("activation", "rate").iter_rows())
        assert {name: rates[0] for name, choice, rates in chosen.iter_rows() if choice == 0} == best
        assert own.filter(pl.col("time") == "start")["choice"].unique().to_list() == [0]


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
    monkeypatch.setattr(deep_gradients, "DEPTHS", {"quick": (8,)})
    program = deep_gradients.program(tiny, "batch")
    state = Runs([8] * 2, ["sigmoid", "relu"])(program, program.start([0] * 2, [0.0] * 2))
    norms = deep_gradients.gradient_norms(tiny, program, state)(state)
    sigmoid, relu = np.polyfit(np.arange(8), 2 * np.log(np.asarray(norms)[:2].T), 1)[0]
    # A finite width and batch raise it a little above theory.
    assert relu == pytest.approx(-math.log(math.pi / (math.pi - 1)), abs=0.15)
    assert abs(sigmoid) < 0.3
