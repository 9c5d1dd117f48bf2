"""The claim about batch sizes: planted evidence with every verdict, and a small real measurement."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest

from normlab.claims import batch_size
from normlab.claims.batch_size import CLAIM
from normlab.claims.bench import Bench
from normlab.norms import NORMS
from tests.claims.conftest import Scripted

NUM_SEEDS = 10


def _planted(gains: dict[int, float], spread: float = 0.0005, gap: float = 0.0) -> pl.DataFrame:
    """Return errors of 0.1 without a norm, and `gains` lower with; running statistics cost `gap`."""
    rng = np.random.default_rng(0)
    rows = []
    for size, gain in gains.items():
        for seed in range(NUM_SEEDS):
            plain, own = 0.1 + 0.01 * rng.normal(), spread * rng.normal()
            rows += [("none", size, 0, 0.1, seed, kind, plain) for kind in ("running", "recomputed")]
            for statistics, more in (("running", gap), ("recomputed", 0.0), ("batch", 0.3)):
                rows.append(("batch", size, 0, 0.1, seed, statistics, plain - gain + own + more))
    columns = ["arm", "batch_size", "choice", "rate", "seed", "statistics", "error"]
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


def test_the_lag_is_told_and_does_not_move_the_verdict() -> None:
    finding = CLAIM.judge(_planted({2: 0.0, 128: 0.0}, gap=0.05))
    assert finding.verdict == "supported"
    lag = finding.details["128"]["lag"]
    assert lag["effect"] == pytest.approx(0.05)
    assert lag["ci_low"] == pytest.approx(0.05)
    assert lag["verdict"] == "worse"
    assert "the lag of its running statistics changes that by +0.050 (+0.050 to +0.050)" in finding.answer
    assert finding.details["128"]["own_statistics_error"] == pytest.approx(0.4, abs=0.02)


def test_a_rate_that_could_have_been_chosen_is_judged_too() -> None:
    planted = _planted({2: 0.03})
    other = planted.filter(pl.col("arm") == "batch").with_columns(choice=1, error=pl.col("error") + 0.06)
    assert CLAIM.judge(planted).verdict == "supported"
    finding = CLAIM.judge(pl.concat([planted, other.cast(planted.schema)]))
    assert finding.verdict == "undecided"
    assert finding.effect == pytest.approx(-0.03, abs=0.001)


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


def test_errors_come_from_the_right_runs(scripted: Callable[..., Scripted], monkeypatch: pytest.MonkeyPatch) -> None:
    """Batch norm is best at 0.1, no norm at 0.01; running statistics cost 0.2; batches of 2 cost 0.1."""

    def error(program: Any, seed: int, rate: float, _: Any) -> tuple[float, float]:
        best = 0.1 if program.norm == "batch" else 0.01
        settled = 0.1 * (program.batch_size == 2) + 0.001 * (seed % 10) + 0.3 * abs(np.log10(rate / best))
        return settled + 0.2 * (program.norm == "batch"), settled

    monkeypatch.setattr(batch_size, "SIZES", {"quick": (2, 32)})
    bench = scripted(batch_size, error)
    evidence = CLAIM.measure(bench)  # type: ignore[arg-type]
    for arm, size, seed, statistics, found, rate in evidence.select(
        "arm", "batch_size", "seed", "statistics", "error", "rate"
    ).iter_rows():
        lag = 0.2 if (arm, statistics) == ("batch", "running") else 0.0
        expected = 0.99 if statistics == "batch" else 0.1 * (size == 2) + 0.001 * seed + lag
        assert found == pytest.approx(expected), (arm, size, seed, statistics)
        assert rate == (0.1 if arm == "batch" else 0.01)
    assert evidence.group_by("arm", "batch_size", "statistics").len()["len"].to_list() == [3] * 10
    # Equally many samples in whole batches, for the choice of the rate and for what is reported.
    for made in bench.trained:
        assert made["epochs"] == 2
        assert len(made["order"](0, 0, 96)) == 96
        assert set(made["seeds"]) == set(bench.seeds if made.get("test", True) else bench.tuning_seeds)


def test_every_size_sees_equally_many_samples(tiny: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """1079 samples leave a batch of one after batches of two: no norm over the batch may see it."""
    monkeypatch.setattr(batch_size, "SIZES", {"quick": (2, 128, 4096)})
    assert batch_size.plan(tiny) == ([2, 128], 1024, 1)


@pytest.mark.parametrize("kept", [0.5, 0.9999])
def test_networks_that_differ_in_the_lag_alone_differ_in_nothing(
    kept: float, tiny: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both arms train as one: the momentum of the moving statistics is no part of training."""
    program = tiny.program
    momentum = {"none": 0.5, "batch": kept}

    def planted(arm: str, **named: Any) -> Any:
        return program(NORMS["batch"].with_options(momentum=momentum[arm]), **named)

    monkeypatch.setattr(tiny, "program", planted)
    monkeypatch.setattr(batch_size, "SIZES", {"quick": (128,)})
    monkeypatch.setattr(batch_size, "with_batch_statistics", lambda bench, *_: np.zeros(len(bench.seeds)))
    evidence = CLAIM.measure(tiny)
    errors = {key: part["error"].to_list() for key, part in evidence.group_by("arm", "choice", "statistics")}
    assert errors["batch", 0, "recomputed"] == errors["none", 0, "recomputed"]
    assert (errors["batch", 0, "running"] == errors["none", 0, "running"]) == (kept == 0.5)
