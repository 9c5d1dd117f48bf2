"""The claim about recurrent networks: planted evidence every way, and a small real measurement."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest

from normlab.claims import recurrent, sequences
from normlab.claims.bench import Bench
from normlab.claims.recurrent import ARMS, CLAIM, GAMMAS
from tests.claims.conftest import Scripted

NUM_SEEDS = 10
NUM_STEPS = 8
NAIVE, MENDED = recurrent.CONDITIONS.values()


def _planted(naive: float, mended: float, spread: float = 0.002, lag: float = 0.0) -> pl.DataFrame:
    """Batch norm, naive and mended, scores so much more than layer norm; running statistics cost it `lag`."""
    rng = np.random.default_rng(0)
    rows: list[tuple[Any, ...]] = []
    for arm in ARMS:
        for gamma in GAMMAS if arm != "none" else (None,):
            more = {NAIVE: naive, MENDED: mended}.get((arm, gamma), 0.0)
            for seed in range(NUM_SEEDS):
                score = 0.9 + more + spread * rng.normal()
                running = score - lag * arm.startswith("batch")
                for quantity, value in (("settled", score), ("running", running), ("own_score", 0.95)):
                    rows.append((arm, gamma, 0, 0.01, seed, quantity, None, value))
            if arm in recurrent.GRADIENT_ARMS:
                for step in range(1, NUM_STEPS + 1):
                    kept = 0.5 ** (NUM_STEPS - step) if arm != "layer" else 1.0
                    rows += [(arm, gamma, 0, 0.0, seed, "gradient", step, kept * (1 + seed)) for seed in range(2)]
    columns = ["arm", "gamma", "choice", "rate", "seed", "quantity", "step", "value"]
    return pl.DataFrame(rows, schema=columns, orient="row", infer_schema_length=None)


@pytest.mark.parametrize(
    ("naive", "mended", "spread", "verdict"),
    [
        (-0.1, -0.1, 0.002, "supported"),
        (0.1, 0.1, 0.002, "refuted"),
        (0.0, 0.0, 0.002, "refuted"),
        (-0.1, 0.0, 0.002, "conditional"),
        (0.0, -0.1, 0.002, "conditional"),
        (-0.1, 0.0, 0.05, "undecided"),
        (0.0, 0.0, 0.05, "undecided"),
    ],
)
def test_verdicts(naive: float, mended: float, spread: float, verdict: str) -> None:
    finding = CLAIM.judge(_planted(naive, mended, spread))
    assert finding.verdict == verdict
    assert finding.effect == pytest.approx(naive, abs=0.05 if spread == 0.05 else 0.005)
    assert (finding.p_value is None) == (verdict == "undecided")
    assert ("Undecided at " in finding.answer) == (verdict == "undecided")
    assert bool(finding.conditions) == (verdict == "conditional")


def test_a_condition_names_where_the_claim_holds() -> None:
    finding = CLAIM.judge(_planted(-0.1, 0.0))
    supported, refuted = finding.conditions.split("; ")
    assert supported == "supported at statistics shared over time, gamma from 1"
    assert refuted == "refuted at statistics per time step, gamma from 0.1"


def test_the_lag_is_told_and_does_not_move_the_verdict() -> None:
    settled, lagging = (CLAIM.judge(_planted(0.0, 0.0, lag=lag)) for lag in (0.0, 0.1))
    assert settled.verdict == lagging.verdict == "refuted"
    assert settled.effect == lagging.effect
    for lag in lagging.details["lag"].values():
        assert lag["effect"] == pytest.approx(-0.1)
        assert lag["verdict"] == "worse"
    assert "the lag of its running statistics changes that by -0.100" in lagging.answer


def test_the_gradient_kept_is_that_of_the_first_step_over_the_last() -> None:
    kept = CLAIM.judge(_planted(0.0, 0.0)).details["gradient_first_over_last"]
    assert kept["batch, shared, gamma 1"] == pytest.approx(0.5**7)
    assert kept["layer, gamma 0.1"] == pytest.approx(1.0)


def test_the_drawing_has_a_mark_per_arm_and_gamma() -> None:
    rows = {(row["x"], row["series"]): row["y"] for row in CLAIM.draw(_planted(-0.1, 0.05)).rows}
    assert len(rows) == 7
    assert rows["batch, shared", "gamma from 1"] == pytest.approx(0.8, abs=0.01)
    assert rows["batch, per step", "gamma from 0.1"] == pytest.approx(0.95, abs=0.01)
    assert rows["none", "no gamma"] == pytest.approx(0.9, abs=0.01)


def test_a_gamma_put_in_is_one_built_in(tiny: Bench) -> None:
    options = {"cell": "lstm", "units": 3, "statistics": "per-step"}
    one, tenth = (
        sequences.sequence_program(tiny, "batch", "recurrent", **options, gamma=gamma) for gamma in (1.0, 0.1)
    )
    put_in = recurrent._with_gamma(0.1, one, one.start([5, 6], [0.1, 0.1]))
    built_in = tenth.start([5, 6], [0.1, 0.1])
    paths = [variable.path for variable in one.plan.model.trainable_variables]
    for path, left, right in zip(paths, put_in.trainable, built_in.trainable, strict=True):
        np.testing.assert_array_equal(np.asarray(left), np.asarray(right), err_msg=path)


def test_scores_come_from_the_right_runs(scripted: Callable[..., Scripted], monkeypatch: pytest.MonkeyPatch) -> None:
    """Every arm has a level and a best rate of its own; running statistics cost batch norm 0.2."""
    levels = {"none": 0.0, "layer": 0.02, "batch shared": 0.04, "batch per-step": 0.06}

    def error(program: Any, seed: int, rate: float, _: Any) -> tuple[float, float]:
        is_batch = program.norm == "batch"
        name = f"batch {program.statistics}" if is_batch else program.norm
        best = 0.01 if is_batch else 0.03
        settled = levels[name] + 0.001 * (seed % 10) + 0.3 * abs(np.log10(rate / best))
        return settled + 0.2 * is_batch, settled

    monkeypatch.setattr(recurrent, "with_batch_statistics", lambda *_: np.full(3, 0.01))
    monkeypatch.setattr(recurrent, "_gradients", lambda *_: [(1.0, 0, "gradient", 1, 0.5)])
    bench = scripted(sequences, error)
    evidence = CLAIM.measure(bench)  # type: ignore[arg-type]
    scores = evidence.filter(pl.col("quantity") != "gradient")
    for arm, gamma, rate, seed, quantity, value in scores.select(
        "arm", "gamma", "rate", "seed", "quantity", "value"
    ).iter_rows():
        name = {"batch, shared": "batch shared", "batch, per step": "batch per-step"}.get(arm, arm)
        lag = 0.2 if quantity == "running" and arm.startswith("batch") else 0.0
        expected = 0.99 if quantity == "own_score" else 1 - levels[name] - 0.001 * seed - lag
        assert value == pytest.approx(expected), (arm, gamma, seed, quantity)
        assert rate == pytest.approx(0.01 if arm.startswith("batch") else 0.03)
    own = scores.filter(pl.col("quantity") == "own_score").select("arm", "gamma").unique(maintain_order=True)
    assert own.rows() == [NAIVE, MENDED]
    assert evidence.filter(pl.col("quantity") == "gradient")["arm"].to_list() == list(recurrent.GRADIENT_ARMS)
    # Gamma is put in before the first step, of the runs that choose a rate too.
    starts = [made["start"] for made in bench.trained if made["program"].norm == "batch"]
    assert {start.args for start in starts} == {(1.0,), (0.1,)}
    assert all(made["start"] is None for made in bench.trained if made["program"].norm == "none")


def test_one_arm_for_real(tiny: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recurrent, "ARMS", {"batch, shared": ("batch", "shared")})
    monkeypatch.setattr(recurrent, "NETWORK", {"cell": "simple", "units": 4})
    monkeypatch.setattr(sequences, "RATES", (0.01,))
    # Tested by itself; here it would only be compiled once more.
    monkeypatch.setattr(recurrent, "with_batch_statistics", lambda bench, *_: np.full(len(bench.seeds), 0.5))
    evidence = CLAIM.measure(tiny)
    scores = evidence.filter(pl.col("quantity") == "settled", pl.col("choice") == 0)
    assert scores.select("gamma", "seed").rows() == [(gamma, seed) for gamma in GAMMAS for seed in tiny.seeds]
    assert scores["value"].is_between(0, 1).all()
    gradients = evidence.filter(pl.col("quantity") == "gradient")
    assert gradients["step"].unique().sort().to_list() == list(range(1, 9))
    # With gamma 0.1 the tanh is hardly saturated, and hardly any of the first step's state is left at the last.
    kept = {gamma: recurrent._kept(evidence, "batch, shared", gamma) for gamma in GAMMAS}
    assert 0 < kept[0.1] < kept[1.0]
