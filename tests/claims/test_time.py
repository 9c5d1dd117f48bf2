"""The claim about time: planted rounds both ways, and a short real measurement without asserting on the clock."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from normlab.claims import time as claim
from normlab.claims.bench import Bench
from normlab.claims.time import CLAIM, FOLDED


def _planted(ratio: float, spread: float) -> pl.DataFrame:
    """Rounds whose pace changes by tens of percent, for both networks alike."""
    rng = np.random.default_rng(0)
    rows = [(network, "compile", 0, 1.0) for network in ("none", "batch")]
    for number in range(20):
        pace = 1e-4 * np.exp(0.3 * rng.normal())
        rows += [
            ("none", "step", number, pace),
            ("batch", "step", number, pace * ratio * np.exp(spread * rng.normal())),
            ("none", "inference", number, 1e-3),
            ("batch", "inference", number, 2e-3),
            (FOLDED, "inference", number, 1e-3),
        ]
    return pl.DataFrame(rows, schema=["network", "phase", "round", "seconds"], orient="row")


@pytest.mark.parametrize(
    ("ratio", "spread", "verdict"),
    [(1.5, 0.1, "supported"), (0.7, 0.1, "refuted"), (1.0, 0.01, "refuted"), (1.05, 0.3, "undecided")],
)
def test_verdicts(ratio: float, spread: float, verdict: str) -> None:
    finding = CLAIM.judge(_planted(ratio, spread))
    assert finding.verdict == verdict
    assert finding.effect == pytest.approx(ratio, rel=0.15)
    assert finding.ci_low < finding.effect < finding.ci_high
    assert finding.pairs == 20
    assert ("would decide" in finding.answer) == (verdict == "undecided")
    assert "2.00 times as long, and 1.00 times once folded" in finding.answer


def test_the_drawing_leaves_compiling_out() -> None:
    rows = CLAIM.draw(_planted(1.5, 0.0)).rows
    assert {(row["series"], row["x"]) for row in rows} == {
        ("none", "training step"),
        ("batch", "training step"),
        ("none", "inference"),
        ("batch", "inference"),
        (FOLDED, "inference"),
    }
    medians = {row["series"]: row["y"] for row in rows if row["x"] == "training step"}
    assert medians["batch"] == pytest.approx(1.5 * medians["none"])


def test_every_network_is_timed_in_every_round(tiny: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claim, "ROUNDS", {"quick": 3})
    monkeypatch.setattr(claim, "STEPS", 4)
    monkeypatch.setattr(claim, "TURNS", 2)
    evidence = CLAIM.measure(tiny)
    assert (evidence["seconds"] > 0).all()
    counts = dict(evidence.group_by("phase").len().iter_rows())
    assert counts == {"step": 2 * 3, "inference": 3 * 3, "compile": 2}
    assert CLAIM.judge(evidence).pairs == 3
