"""Generalization at matched fit: planted trajectories, judged each way; one small real measurement."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest

from normlab.claims import generalization
from normlab.claims.bench import Bench
from normlab.claims.equal_fit import matched
from normlab.claims.generalization import CLAIM, DOSE, FEWER, RELIANCE, SCHEMA
from tests.claims.conftest import Scripted

EPOCHS = 6
NOISE = 0.001 * np.random.default_rng(0).normal(size=12)


def _runs(
    arm: str, pace: float, shift: float, noise: np.ndarray = NOISE, dose: int | None = None, samples: str = "all"
) -> list[dict[str, object]]:
    """Return runs with loss 2 e^(-pace epoch) and error 0.3 - 0.04 ln(2 / loss) + shift, the shift at equal fit."""
    return [
        {
            "arm": arm,
            "samples": samples,
            "dose": dose,
            "choice": 0,
            "seed": seed,
            "epoch": epoch,
            "rate": 0.1,
            "train_loss": 2 * math.exp(-pace * epoch),
            "test_error": 0.3 - 0.04 * pace * epoch + shift + extra,
            "metric": "test error",
            "hardly_learned": 1.0,
        }
        for seed, extra in enumerate(noise)
        for epoch in range(EPOCHS + 1)
    ]


def _removed(arm: str, level: float, lost: float) -> list[dict[str, object]]:
    """Return errors of `level`, and so much more with units or weights removed."""
    told = {"arm": arm, "samples": "all", "choice": 0, "rate": 0.1, "epoch": EPOCHS}
    return [
        {**told, "seed": seed, "kind": kind, "removed": share, "test_error": level + (share > 0) * (lost + extra)}
        for seed, extra in enumerate(NOISE)
        for kind, share in (("units", 0.0), ("units", 0.5), ("weights", 0.5))
    ]


def _evidence(
    shift: float,
    noise: np.ndarray = NOISE,
    slope: float = 0.003,
    pace: float = 0.5,
    few: float | None = None,
    lost: tuple[float, float] | None = None,
) -> pl.DataFrame:
    rows = _runs("none", pace, 0.0, 0 * noise) + _runs("batch", 1.7 * pace, shift, noise)
    for dose in (8, 32, 128):
        rows += _runs(f"ghost {dose}", 0.3 + dose / 300, slope * math.log2(dose), NOISE, dose)
    if few is not None:
        rows += _runs("none", pace, 0.0, 0 * NOISE, samples="few") + _runs("batch", pace, few, NOISE, samples="few")
    if lost is not None:
        rows += _removed("none", 0.1, lost[0]) + _removed("batch", 0.4, lost[1])
    told = {"metric": "test error", "hardly_learned": 1.0}
    return pl.DataFrame([{name: (told | row).get(name) for name in SCHEMA} for row in rows], schema=SCHEMA)


CASES = {
    "lower error, and the noise lowers it": (-0.02, 0.003, NOISE, "supported"),
    "lower error, and the noise raises it": (-0.02, -0.003, NOISE, "conditional"),
    "lower error, and the noise does nothing": (-0.02, 0.0, NOISE, "conditional"),
    "higher error, and the noise raises it": (0.02, -0.003, NOISE, "refuted"),
    "higher error, and the noise lowers it": (0.02, 0.003, NOISE, "conditional"),
    "equal error": (0.0, 0.0, NOISE, "refuted"),
    "scatter": (-0.01, 0.003, 30 * NOISE, "undecided"),
}


@pytest.mark.parametrize("case", CASES)
def test_planted_errors_are_judged_at_equal_fit_and_by_the_dose(case: str) -> None:
    shift, slope, noise, verdict = CASES[case]
    # Batch norm trains faster here, and ends with a lower error whatever the shift: only the match shows it.
    finding = CLAIM.judge(_evidence(shift, noise, slope))
    assert finding.verdict == verdict
    assert (finding.p_value is None) == (verdict == "undecided")
    assert ("contradict each other" in finding.answer) == (verdict == "conditional")
    assert (DOSE in finding.conditions) == (verdict == "conditional")
    assert finding.effect == pytest.approx(shift + noise.mean())
    assert finding.details["test_error_at_the_end"]["batch"] < finding.details["test_error_at_the_end"]["none"]
    # From 8 to 128 samples are four doublings.
    assert finding.details["by_condition"][DOSE]["effect"] == pytest.approx(4 * slope)
    assert ("as a regularizing noise would" in finding.answer) == (slope > 0)


@pytest.mark.parametrize(
    ("few", "lost", "verdict"),
    [
        (-0.02, (0.3, 0.2), "supported"),
        (0.02, (0.3, 0.2), "conditional"),
        (-0.02, (0.2, 0.3), "conditional"),
        (-0.02, (0.2, 0.2), "conditional"),
    ],
)
def test_few_samples_and_reliance_restrict_the_verdict(few: float, lost: tuple[float, float], verdict: str) -> None:
    """What is lost is set against the whole network's own error: the levels, 0.1 and 0.4, play no part."""
    finding = CLAIM.judge(_evidence(-0.02, few=few, lost=lost))
    assert finding.verdict == verdict
    conditions = finding.details["by_condition"]
    assert conditions[FEWER]["effect"] == pytest.approx(few, abs=0.001)
    assert conditions[RELIANCE]["effect"] == pytest.approx(lost[1] - lost[0])
    assert (FEWER in finding.conditions) == (verdict == "conditional")
    found = finding.details["error_lost_by_kind"]["weights"]
    assert found["none"] == pytest.approx(lost[0] + NOISE.mean())


def test_an_undecided_condition_leaves_the_verdict() -> None:
    planted = _evidence(-0.02, few=-0.02)
    scattered = pl.when(pl.col("samples") == "few", pl.col("arm") == "batch").then(
        40 * (pl.col("seed") % 2 - 0.5) / 100
    )
    loose = planted.with_columns(test_error=pl.col("test_error") + scattered.otherwise(0.0))
    finding = CLAIM.judge(loose)
    assert finding.details["by_condition"][FEWER]["verdict"] == "undecided"
    assert finding.verdict == "supported"


def test_a_rate_that_could_have_been_chosen_is_judged_too() -> None:
    planted = _evidence(-0.02)
    other = planted.filter(pl.col("arm") == "batch").with_columns(choice=1, test_error=pl.col("test_error") + 0.04)
    finding = CLAIM.judge(pl.concat([planted, other.cast(planted.schema)]))
    assert finding.verdict == "undecided"
    assert finding.effect == pytest.approx(-0.02, abs=0.001)


def test_runs_that_hardly_learned_show_no_equivalence() -> None:
    assert CLAIM.judge(_evidence(0.0, slope=0.0, pace=0.05)).verdict == "undecided"
    assert CLAIM.judge(_evidence(0.02, slope=-0.003, pace=0.05)).verdict == "refuted"


def test_the_match_is_interpolated_where_the_slower_run_ends() -> None:
    found = matched(_evidence(-0.02, 0 * NOISE).filter(pl.col("arm").is_in(["none", "batch"])))
    np.testing.assert_allclose(found["level"], 2 * math.exp(-0.5 * EPOCHS))
    errors = found.sort("arm")["test_error"].to_numpy()
    np.testing.assert_allclose(errors[:12], 0.3 - 0.04 * 0.5 * EPOCHS - 0.02)  # batch, between two epochs
    np.testing.assert_allclose(errors[12:], 0.3 - 0.04 * 0.5 * EPOCHS)


def test_a_run_that_diverged_is_matched_where_it_began() -> None:
    late = pl.when((pl.col("arm") == "batch") & (pl.col("epoch") > 0))
    broken = _evidence(0.0).with_columns(late.then(math.nan).otherwise(pl.col("train_loss")).alias("train_loss"))
    found = matched(broken.filter(pl.col("arm").is_in(["none", "batch"])))
    np.testing.assert_allclose(found["level"], 2.0)
    assert CLAIM.judge(broken).verdict == "undecided"


def test_the_figure_follows_the_runs() -> None:
    drawing = CLAIM.draw(_evidence(-0.02, 0 * NOISE))
    for row in drawing.rows:
        if row["series"] in ("none", "batch"):
            expected = 0.3 - 0.04 * math.log(2 / row["x"]) - 0.02 * (row["series"] == "batch")
            assert row["y"] == pytest.approx(expected)
    assert {row["series"] for row in drawing.rows} == {"none", "batch", "ghost 8", "ghost 32", "ghost 128"}


def test_curves_come_from_the_right_runs(scripted: Callable[..., Scripted], monkeypatch: pytest.MonkeyPatch) -> None:
    """Of each norm and rate the settled curves tell of themselves: (loss, error) = (norm's number, rate) + epoch."""
    numbers = {"none": 0.0, "batch": 10.0, "ghost 4": 20.0, "ghost 16": 30.0}
    asked = []

    def name_of(norm: Any) -> str:
        return norm if isinstance(norm, str) else f"ghost {dict(norm.options)['ghost_batch_size']}"

    def followed(bench: Any, norm: Any, rate: float) -> Any:
        asked.append((bench, name_of(norm), rate))
        seen = np.full((bench.epochs + 1, 3, 3), -1.0)
        for epoch in range(bench.epochs + 1):
            seen[epoch, 0] = numbers[name_of(norm)] + epoch
            seen[epoch, 2] = 1 - rate - epoch - np.arange(3) / 100
        return None, np.arange(bench.epochs + 1), seen

    def error(program: Any, seed: int, rate: float, order: Any) -> tuple[float, float]:
        return 0.0, abs(rate - (0.1 if program.norm == "batch" else 0.01))

    bench, small = scripted(generalization, error), scripted(generalization, error)
    small.epochs = 4
    monkeypatch.setattr(generalization, "followed", followed)
    monkeypatch.setattr(generalization, "limited", lambda _: small)
    monkeypatch.setattr(
        generalization, "errors_without", lambda *_: [("units", 0.0, np.zeros(3)), ("weights", 0.5, np.ones(3))]
    )
    evidence = CLAIM.measure(bench)  # type: ignore[arg-type]
    fits = evidence.filter(pl.col("kind").is_null())
    for arm, rate, seed, epoch, loss, wrong in fits.select(
        "arm", "rate", "seed", "epoch", "train_loss", "test_error"
    ).iter_rows():
        assert loss == numbers[arm] + epoch
        assert wrong == pytest.approx(rate + epoch + seed / 100)
    first = (
        fits.filter(pl.col("choice") == 0)
        .group_by("samples", "arm", maintain_order=True)
        .agg(pl.col("rate").unique(), pl.col("dose").unique(), pl.col("epoch").max())
    )
    assert first.rows() == [
        ("all", "none", [0.01], [None], 2),
        ("all", "batch", [0.1], [32], 2),
        ("all", "ghost 4", [0.1], [4], 2),
        ("all", "ghost 16", [0.1], [16], 2),
        ("few", "none", [0.01], [None], 4),
        ("few", "batch", [0.1], [None], 4),
    ]
    removed = evidence.filter(pl.col("kind").is_not_null(), pl.col("choice") == 0)
    assert removed.filter(pl.col("removed") > 0)["test_error"].to_list() == [1.0] * 6
    assert removed.filter(pl.col("removed") > 0)["kind"].unique().to_list() == ["weights"]
    assert {rate for one, _, rate in asked if one is small} == {0.01, 0.1}


def test_few_samples_are_a_part_of_all_and_take_twice_the_epochs(tiny: Bench) -> None:
    small = generalization.limited(tiny)
    assert small is not None
    assert len(small.dataset.train) == len(tiny.dataset.train) // 4
    assert small.epochs == 2 * tiny.epochs
    assert (small.seeds, small.tuning_seeds) == (tiny.seeds, tiny.tuning_seeds)
    known = {one.tobytes(): y for one, y in zip(tiny.dataset.train.x, tiny.dataset.train.y, strict=True)}
    assert all(known[one.tobytes()] == y for one, y in zip(small.dataset.train.x, small.dataset.train.y, strict=True))
    assert small.dataset.test is tiny.dataset.test
    tiny_part = copy.copy(tiny)
    tiny_part.batch_size = 200
    assert generalization.limited(tiny_part) is None


def test_a_real_measurement(tiny: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generalization, "limited", lambda _: None)  # its programs would be compiled for this alone
    monkeypatch.setattr(generalization, "GHOSTS", (4,))
    evidence = CLAIM.measure(tiny)
    fits = evidence.filter(pl.col("kind").is_null())
    assert fits["epoch"].unique().sort().to_list() == [0.0, 0.25, 0.5, 0.75, 1.0]
    before, after = (fits.filter(pl.col("epoch") == epoch)["train_loss"] for epoch in (0, 1))
    assert (after < before).all()
    # What is removed is removed from the network that the curves end with.
    whole = evidence.filter(pl.col("removed") == 0).sort("arm", "choice", "seed")
    ends = fits.filter(pl.col("epoch") == tiny.epochs, pl.col("arm").is_in(["none", "batch"]))
    np.testing.assert_allclose(whole["test_error"], ends.sort("arm", "choice", "seed")["test_error"], atol=1e-6)
    assert CLAIM.judge(evidence).pairs == 2
