"""The claim about batch sizes: planted evidence with every verdict, and a small real measurement."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from normlab.claims import batch_size
from normlab.claims.batch_size import CLAIM
from normlab.claims.bench import Bench

NUM_SEEDS = 10


def _planted(gains: dict[int, float], spread: float = 0.0005, gap: float = 0.0) -> pl.DataFrame:
    """Return errors of 0.1 without a norm, and `gains` lower with; running statistics cost `gap`."""
    rng = np.random.default_rng(0)
    rows = []
    for size, gain in gains.items():
        for seed in range(NUM_SEEDS):
            plain, own = 0.1 + 0.01 * rng.normal(), spread * rng.normal()
            rows.append(("none", size, seed, 0.1, "running", plain))
            for statistics, more in (("running", 0.0), ("precise", -gap), ("batch", 0.3)):
                rows.append(("batch", size, seed, 0.1, statistics, plain - gain + own + more))
    columns = ["arm", "batch_size", "seed", "rate", "statistics", "error"]
    return pl.DataFrame(rows, schema=columns, orient="row")


@pytest.mark.parametrize(
    ("gains", "verdict", "conditions"),
    [
        ({2: 0.02, 32: 0.03}, "supported", ""),
        ({2: 0.0, 32: 0.03}, "supported", ""),  # as good as without, to within the margin
        ({2: -0.05, 32: -0.02}, "refuted", ""),
        ({2: -0.05, 32: 0.005}, "refuted", ""),
        ({2: -0.05, 32: 0.03}, "conditional", "on the batch size: it copes with 32, fails at 2"),
        (
            {2: -0.05, 8: 0.005, 32: 0.03},
            "conditional",
            "on the batch size: it copes with 32, fails at 2; undecided at 8",
        ),
        ({2: 0.005, 32: 0.03}, "undecided", ""),
    ],
)
def test_verdicts(gains: dict[int, float], verdict: str, conditions: str) -> None:
    planted = pl.concat(_planted({size: gain}, 0.02 if gain == 0.005 else 0.0005) for size, gain in gains.items())
    finding = CLAIM.judge(planted)
    assert (finding.verdict, finding.conditions) == (verdict, conditions)
    assert (finding.p_value is None) == (verdict == "undecided")
    assert ("Undecided at batch size" in finding.answer) == (0.005 in gains.values())
    assert finding.effect == pytest.approx(-gains[2], abs=0.015)
    assert finding.pairs == NUM_SEEDS


def test_bad_statistics_are_told_from_bad_training() -> None:
    details = CLAIM.judge(_planted({2: -0.05, 128: -0.05}, gap=0.05)).details["128"]
    assert details["running_minus_precise"] == pytest.approx(0.05)
    assert details["precise_minus_none"] == pytest.approx(0.0, abs=0.001)
    assert details["own_statistics_error"] == pytest.approx(0.45, abs=0.02)


def test_the_correction_is_over_the_sizes() -> None:
    """Six pairs reach p = 2/2^6 at one size; times four sizes that is too much."""
    planted = _planted(dict.fromkeys((2, 8, 32, 128), 0.05)).filter(pl.col("seed") < 6)
    assert CLAIM.judge(planted.filter(pl.col("batch_size") == 2)).verdict == "supported"
    assert CLAIM.judge(planted).verdict == "undecided"


def test_the_drawing_has_a_line_per_way_of_evaluating() -> None:
    drawing = CLAIM.draw(_planted({2: -0.05, 32: 0.03}, gap=0.01))
    lines = {row["series"]: row for row in drawing.rows if row["x"] == 2}
    assert set(lines) == {"none", "batch, running statistics", "batch, recomputed", "batch, the batch's own"}
    assert all(row["low"] <= row["y"] <= row["high"] for row in drawing.rows)
    assert lines["batch, recomputed"]["y"] == pytest.approx(lines["batch, running statistics"]["y"] - 0.01)


def test_every_size_sees_equally_many_samples(tiny: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """1079 samples leave a batch of one after batches of two: no norm over the batch may see it."""
    monkeypatch.setattr(batch_size, "SIZES", {"quick": (2, 128, 4096)})
    assert batch_size.plan(tiny) == ([2, 128], 1024, 1)
    evidence = CLAIM.measure(tiny)
    assert evidence.height == 2 * 2 * (1 + 3)
    assert evidence["error"].is_between(0, 1).all()
    own = evidence.filter((pl.col("statistics") == "batch") & (pl.col("batch_size") == 2))["error"]
    running = evidence.filter((pl.col("statistics") == "running") & (pl.col("batch_size") == 2))["error"]
    assert own.min() > running.max()  # type: ignore[operator]  # of two samples, only which is larger is left
