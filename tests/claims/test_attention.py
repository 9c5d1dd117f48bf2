"""The claim about self-attention: planted evidence every way, and a small real measurement."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest

from normlab.claims import attention, sequences
from normlab.claims.attention import CLAIM, NORMS
from normlab.claims.bench import Bench
from tests.claims.conftest import Scripted

NUM_SEEDS = 8
NUM_EPOCHS = 3


def _planted(
    more: float, spread: float = 0.002, norms: tuple[str, ...] = NORMS["full"], lag: float = 0.0
) -> pl.DataFrame:
    """Batch norm scores `more` than all others, `lag` less of it with running statistics; these come nearer."""
    rng = np.random.default_rng(0)
    rows: list[tuple[Any, ...]] = []
    for norm in norms:
        for seed in range(NUM_SEEDS):
            score = 0.8 + (more if norm == "batch" else 0.0) + spread * rng.normal()
            rows.append((norm, 0, 0.01, seed, "settled", None, score))
            rows.append((norm, 0, 0.01, seed, "running", None, score - lag * (norm == "batch")))
    rows += [("batch", 0, 0.01, seed, "own_score", None, 0.85) for seed in range(NUM_SEEDS)]
    for epoch in range(1, NUM_EPOCHS + 1):
        rows += [("batch", 0, 0.01, 0, name, epoch, v / epoch) for name, v in (("fluctuation", 1), ("lag", 0.5))]
    columns = ["norm", "choice", "rate", "seed", "quantity", "epoch", "value"]
    return pl.DataFrame(rows, schema=columns, orient="row", infer_schema_length=None)


@pytest.mark.parametrize(
    ("more", "spread", "verdict"),
    [
        (-0.1, 0.002, "supported"),
        (0.1, 0.002, "refuted"),
        (0.0, 0.002, "refuted"),
        (-0.03, 0.05, "undecided"),
    ],
)
def test_verdicts(more: float, spread: float, verdict: str) -> None:
    finding = CLAIM.judge(_planted(more, spread))
    assert finding.verdict == verdict
    assert finding.effect == pytest.approx(more, abs=0.1 if spread == 0.05 else 0.005)
    assert (finding.p_value is None) == (verdict == "undecided")


def test_the_finding_tells_of_the_other_norms_and_the_statistics() -> None:
    finding = CLAIM.judge(_planted(0.0))
    assert set(finding.details["minus_layer"]) == {"rms", "dyt"}
    assert finding.details["fluctuation_by_epoch"] == pytest.approx([1, 1 / 2, 1 / 3])
    assert "by 33% of their length" in finding.answer
    assert "by 17% even when averaged" in finding.answer


def test_the_lag_is_told_and_does_not_move_the_verdict() -> None:
    finding = CLAIM.judge(_planted(0.0, lag=0.1))
    assert finding.verdict == "refuted"
    assert finding.details["lag"]["effect"] == pytest.approx(-0.1)
    assert finding.details["lag"]["verdict"] == "worse"
    assert "As deployed, the lag of its running statistics changes that by -0.100" in finding.answer


def test_scores_come_from_the_right_runs(scripted: Callable[..., Scripted], monkeypatch: pytest.MonkeyPatch) -> None:
    """Every norm has a level of its own; running statistics cost batch norm 0.2; layer norm may have either rate."""
    levels = {"batch": 0.02, "layer": 0.04, "dyt": 0.06}

    def error(program: Any, seed: int, rate: float, _: Any) -> tuple[float, float]:
        is_batch = program.norm == "batch"
        far = abs(np.log10(rate / 0.01))
        if program.norm == "layer" and rate == 0.03:
            far = -0.001 if seed == 1_000_001 else 0.001
        settled = levels[program.norm] + 0.001 * (seed % 10) + 0.3 * far
        return settled + 0.2 * is_batch, settled

    monkeypatch.setattr(attention, "with_batch_statistics", lambda *_: np.full(3, 0.01))
    monkeypatch.setattr(attention, "_follow", lambda _: None)
    bench = scripted(sequences, error)
    bench.observed = [[[{}], [{"fluctuation": 2.0, "lag": 1.0}]]]
    evidence = CLAIM.measure(bench)  # type: ignore[arg-type]
    scores = evidence.filter(pl.col("epoch").is_null())
    for norm, choice, rate, seed, quantity, value in scores.select(
        "norm", "choice", "rate", "seed", "quantity", "value"
    ).iter_rows():
        lag = 0.2 if (norm, quantity) == ("batch", "running") else 0.0
        other = 0.0003 if choice else 0.0
        expected = 0.99 if quantity == "own_score" else 1 - levels[norm] - 0.001 * seed - lag - other
        assert value == pytest.approx(expected), (norm, choice, seed, quantity)
        assert rate == (0.03 if choice else 0.01)
    assert scores.filter(pl.col("choice") == 1)["norm"].unique().to_list() == ["layer"]
    assert scores.filter(pl.col("quantity") == "own_score")["norm"].unique().to_list() == ["batch"]
    gaps = evidence.filter(pl.col("epoch") == 1)
    assert gaps.select("norm", "seed", "quantity", "value").rows() == [
        ("batch", 0, "fluctuation", 2.0),
        ("batch", 0, "lag", 1.0),
    ]


@pytest.mark.parametrize("norms", NORMS.values())
def test_the_drawing_has_a_mark_per_norm(norms: tuple[str, ...]) -> None:
    drawing = CLAIM.draw(_planted(-0.1, norms=norms))
    values = {row["x"]: row["y"] for row in drawing.rows}
    assert tuple(values) == norms
    assert values["batch"] == pytest.approx(0.7, abs=0.01)
    assert drawing.reference == values["layer"]


def test_one_norm_for_real(tiny: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention, "NORMS", {"quick": ("batch",)})
    monkeypatch.setattr(attention, "NETWORK", {"patch": 4, "dim": 4, "depth": 1, "heads": 1})
    monkeypatch.setattr(sequences, "RATES", (0.01,))
    # Tested by itself; here it would only be compiled once more.
    monkeypatch.setattr(attention, "with_batch_statistics", lambda bench, *_: np.full(len(bench.seeds), 0.5))
    evidence = CLAIM.measure(tiny)
    scores = evidence.filter(pl.col("epoch").is_null(), pl.col("choice") == 0)
    assert scores.height == 3 * len(tiny.seeds)
    assert scores["value"].is_between(0, 1).all()
    running, settled = (scores.filter(pl.col("quantity") == kind)["value"].mean() for kind in ("running", "settled"))
    assert settled > running + 0.05  # type: ignore[operator]  # 33 steps leave 72 % of the initial statistics
    gaps = evidence.filter(pl.col("epoch").is_not_null()).pivot("quantity", index=["seed", "epoch"], values="value")
    assert gaps.select("seed", "epoch").rows() == [(seed, 1) for seed in tiny.seeds]
    # The mean distance of the batches' means is at least the distance of their mean.
    assert (gaps["fluctuation"] >= gaps["lag"]).all()
    assert (gaps["lag"] > 0).all()
