"""The claim about time: planted rounds both ways, and a short real measurement without asserting on the clock."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from normlab import surgery
from normlab.claims import time as claim
from normlab.claims.bench import Bench
from normlab.claims.time import CLAIM, FOLDED
from normlab.probes import step_time


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


class _Clocked:
    """A program whose steps take a known time on a clock of its own, beside what a call takes without steps."""

    capacity, compile_seconds = 1, 2.0

    def __init__(self, clock: _Clock, seconds: float, overhead: float = 0.5) -> None:
        self.clock, self.seconds, self.overhead = clock, seconds, overhead
        self.pauses = iter([0.0, 3.0, 0.0] * 1000)

    def start(self, *_: object) -> int:
        return 0

    def train(self, state: int, _: object, steps: int) -> tuple[int, None]:
        self.clock.now += self.overhead + steps * self.seconds + next(self.pauses)
        return state, None


class _Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(("batch", "verdict"), [(1.5, "supported"), (1.01, "refuted"), (0.8, "refuted")])
def test_planted_programs_on_a_planted_clock(
    tiny: Bench, monkeypatch: pytest.MonkeyPatch, batch: float, verdict: str
) -> None:
    """Steps take 1 ms and `batch` ms; the call itself and a pause in every third one are no step."""
    clock = _Clock()
    seconds = {"none": 1e-3, "batch": batch * 1e-3}
    folding = SimpleNamespace(model="folded")

    def inference(_: object, model: str) -> Callable[[], None]:
        def infer() -> None:
            clock.now += {"none": 1.0, "batch": 3.0, "folded": 1.0}[model]

        return infer

    monkeypatch.setattr(tiny, "program", lambda arm, **_: _Clocked(clock, seconds[arm]))
    monkeypatch.setattr(claim, "model_of", lambda _, arm, __: arm)
    monkeypatch.setattr(claim, "_inference", inference)
    monkeypatch.setattr(surgery, "fold", lambda _: folding)
    monkeypatch.setattr(step_time.step_times, "__defaults__", (20, clock))
    evidence = CLAIM.measure(tiny)
    finding = CLAIM.judge(evidence)
    assert finding.verdict == verdict
    assert finding.effect == pytest.approx(batch)
    steps = evidence.filter(pl.col("phase") == "step")
    for arm, own in seconds.items():
        np.testing.assert_allclose(steps.filter(pl.col("network") == arm)["seconds"], own)
    assert finding.details["inference_seconds"] == pytest.approx(
        {"none": 1 / claim.INFERENCES, "batch": 3 / claim.INFERENCES, FOLDED: 1 / claim.INFERENCES}
    )
    assert finding.details["compile_seconds"] == {"none": 2.0, "batch": 2.0}


def test_every_network_is_timed_in_every_round(tiny: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claim, "ROUNDS", {"quick": 3})
    monkeypatch.setattr(claim, "STEPS", 4)
    monkeypatch.setattr(claim, "TURNS", 2)
    evidence = CLAIM.measure(tiny)
    assert (evidence["seconds"] > 0).all()
    counts = dict(evidence.group_by("phase").len().iter_rows())
    assert counts == {"step": 2 * 3, "inference": 3 * 3, "compile": 2}
    assert CLAIM.judge(evidence).pairs == 3
