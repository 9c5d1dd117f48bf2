"""The claim about initial weights: planted evidence both ways, and the scaling of real initial weights."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from normlab.claims import initialization
from normlab.claims.initialization import CLAIM


def _planted(gain: float, spread: float = 0.01) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    rows = [
        {
            "arm": arm,
            "seed": seed,
            "exponent": exponent,
            "rate": 0.1,
            "score": 0.5 + (arm == "batch") * gain + e,
        }
        for seed in range(8)
        for exponent in initialization.EXPONENTS
        for arm, on, e in (("none", 0, 0.0), ("batch", 1, spread * rng.normal()))
    ]
    return pl.DataFrame(rows)


@pytest.mark.parametrize(
    ("gain", "spread", "verdict"),
    [(0.2, 0.01, "supported"), (-0.2, 0.01, "refuted"), (0.0, 0.001, "refuted"), (0.012, 0.1, "undecided")],
)
def test_verdicts(gain: float, spread: float, verdict: str) -> None:
    finding = CLAIM.judge(_planted(gain, spread))
    assert finding.verdict == verdict
    assert finding.pairs == 8
    assert finding.effect == pytest.approx(gain, abs=0.03)


def test_each_run_starts_from_its_own_scale(tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(initialization, "EXPONENTS", (-5, 0, 5))
    evidence = CLAIM.measure(tiny)
    assert evidence.height == 2 * 3 * 2
    assert evidence.group_by("arm", "seed").len()["len"].to_list() == [3] * 4
    by_scale = evidence.filter(pl.col("arm") == "none").group_by("exponent").agg(pl.col("score").mean())
    accuracy = dict(by_scale.iter_rows())
    assert accuracy[0] > accuracy[-5]  # a thirty-second of the scale learns nothing in an epoch
    assert {row["x"] for row in CLAIM.draw(evidence).rows} == {2**-5, 1.0, 2**5}


def test_the_rate_is_tuned_at_the_length_of_the_runs(tiny, trainings, monkeypatch: pytest.MonkeyPatch) -> None:
    """On large data the runs are shorter than the bench's epochs, where another rate is best."""
    monkeypatch.setattr(initialization, "EXPONENTS", (0,))
    monkeypatch.setattr(initialization, "MOST_SAMPLES", len(tiny.dataset.train))
    monkeypatch.setattr(tiny, "epochs", 2)
    CLAIM.measure(tiny)
    assert trainings == [(7, 1), (2, 1)] * 2


def test_without_classes_the_loss_counts(regression, monkeypatch: pytest.MonkeyPatch) -> None:
    """Accuracy is 0 for every regression run: it would call all arms equivalent, and the claim refuted."""
    monkeypatch.setattr(initialization, "EXPONENTS", (-5, 0))
    scores = dict(CLAIM.measure(regression).group_by("exponent").agg(pl.col("score").mean()).iter_rows())
    assert -1 <= scores[-5] < scores[0] < 1


def test_kernels_are_scaled_and_nothing_else(tiny) -> None:
    program = tiny.program("none", runs=2)
    state = program.start([0, 1], [0.1, 0.1])
    scaled = initialization._Scaled([2.0, 3.0])(program, state)
    paths = [program.plan.paths[id(v)] for v in program.plan.model.trainable_variables]
    for path, before, after in zip(paths, state.trainable, scaled.trainable, strict=True):
        factors = (2.0, 3.0) if path.endswith("kernel") else (1.0, 1.0)
        for run in (0, 1):
            np.testing.assert_allclose(np.asarray(after)[run], factors[run] * np.asarray(before)[run], rtol=1e-6)
