"""The claim about self-attention: planted evidence every way, and a small real measurement."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from normlab.claims import attention, sequences
from normlab.claims.attention import CLAIM, NORMS
from normlab.claims.bench import Bench

NUM_SEEDS = 8
NUM_EPOCHS = 3


def _planted(more: float, spread: float = 0.002, norms: tuple[str, ...] = NORMS["full"]) -> pl.DataFrame:
    """Batch norm scores `more` than all others; its statistics come nearer to the running ones."""
    rng = np.random.default_rng(0)
    rows = []
    for norm in norms:
        for seed in range(NUM_SEEDS):
            score = 0.8 + (more if norm == "batch" else 0.0) + spread * rng.normal()
            rows += [(norm, seed, "score", None, score), (norm, seed, "rate", None, 0.01)]
    rows += [("batch", seed, "own_score", None, 0.85) for seed in range(NUM_SEEDS)]
    for epoch in range(1, NUM_EPOCHS + 1):
        rows += [("batch", 0, "fluctuation", epoch, 1 / epoch), ("batch", 0, "lag", epoch, 0.5 / epoch)]
    return pl.DataFrame(rows, schema=["norm", "seed", "quantity", "epoch", "value"], orient="row")


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
    scores = evidence.filter(pl.col("quantity").is_in(["score", "own_score"]))
    assert scores.height == 2 * len(tiny.seeds)
    assert scores["value"].is_between(0, 1).all()
    gaps = evidence.filter(pl.col("epoch").is_not_null()).pivot("quantity", index=["seed", "epoch"], values="value")
    assert gaps.select("seed", "epoch").rows() == [(seed, 1) for seed in tiny.seeds]
    # The mean distance of the batches' means is at least the distance of their mean.
    assert (gaps["fluctuation"] >= gaps["lag"]).all()
    assert (gaps["lag"] > 0).all()
