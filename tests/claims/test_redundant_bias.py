"""The claim about the bias: planted evidence both ways, and norms for which it is known to hold or to fail."""

from __future__ import annotations

import polars as pl
import pytest

from normlab.claims import redundant_bias
from normlab.claims.bench import Bench
from normlab.claims.redundant_bias import CLAIM

COLUMNS = ["arm", "seed", "quantity", "batches_seen", "value"]


def _planted(training: float, gradient: float, evaluation: float) -> pl.DataFrame:
    rows = []
    for arm, change, slope in (("none", 1.0, 0.3), ("batch", training, gradient)):
        for seed in (0, 1):
            rows += [(arm, seed, "training", 0, change), (arm, seed, "gradient", 0, slope)]
            rows += [
                (arm, seed, "evaluation", seen, 1.0 if arm == "none" else evaluation * 0.99**seen)
                for seen in (0, 100, 1000)
            ]
    return pl.DataFrame(rows, schema=COLUMNS, orient="row")


@pytest.mark.parametrize(
    ("training", "gradient", "evaluation", "verdict"),
    [
        (1e-6, 1e-7, 2.0, "conditional"),
        (1e-6, 1e-7, 1e-6, "supported"),
        (0.5, 1e-7, 2.0, "refuted"),
        (1e-6, 0.2, 2.0, "refuted"),
    ],
)
def test_verdicts(training: float, gradient: float, evaluation: float, verdict: str) -> None:
    finding = CLAIM.judge(_planted(training, gradient, evaluation))
    assert (finding.verdict, finding.p_value, finding.pairs) == (verdict, None, 0)
    assert finding.effect == gradient
    assert bool(finding.conditions) == (verdict == "conditional")


def test_the_drawing_shows_both_modes() -> None:
    rows = CLAIM.draw(_planted(1e-6, 1e-7, 2.0)).rows
    lines: dict[str, list[float]] = {}
    for row in rows:
        lines.setdefault(row["series"], []).append(row["y"])
    assert lines["evaluation mode"] == pytest.approx([2.0, 2 * 0.99**100, 2 * 0.99**1000])
    assert lines["training mode"] == [1e-6] * 3
    assert lines["without batch norm"] == [1.0] * 3


def _with(bench: Bench, norm: str, monkeypatch: pytest.MonkeyPatch) -> pl.DataFrame:
    """Measure another norm in batch norm's place."""
    network = redundant_bias._Network
    monkeypatch.setattr(redundant_bias, "BATCHES_SEEN", (0, 500, 3000))
    monkeypatch.setattr(redundant_bias, "SEEDS", 2)
    monkeypatch.setattr(redundant_bias, "_Network", lambda bench, arm: network(bench, norm if arm == "batch" else arm))
    return CLAIM.measure(bench)


def test_batch_norm_cancels_a_bias_and_the_running_mean_follows(tiny: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    evidence = _with(tiny, "batch", monkeypatch)
    finding = CLAIM.judge(evidence)
    assert finding.verdict == "conditional"
    assert evidence.group_by("arm", "seed").len()["len"].to_list() == [2 + 3] * 4
    # Without a norm every change passes, in both modes alike, and the two seeds are two networks.
    plain = evidence.filter(pl.col("arm") == "none")
    assert plain.filter(pl.col("quantity") == "training")["value"].min() > 0.1  # type: ignore[operator]
    assert plain.filter(pl.col("quantity") != "gradient").group_by("seed").agg(pl.col("value").n_unique())[
        "value"
    ].to_list() == [1, 1]
    assert plain.filter(pl.col("quantity") == "gradient")["value"].n_unique() == 2
    assert plain.filter(pl.col("quantity") == "gradient")["value"].max() < 1.0  # type: ignore[operator]
    own = evidence.filter(pl.col("arm") == "batch", pl.col("seed") == 0)
    moved = own.filter(pl.col("quantity") == "evaluation")["value"].to_list()
    assert moved[0] > 0.1
    assert moved[1] == pytest.approx(moved[0] * 0.99**500, rel=2)  # ReLUs bend the path
    assert moved[2] < 1e-3


def test_a_norm_that_subtracts_no_mean_refutes_it(tiny: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    assert CLAIM.judge(_with(tiny, "scale-only", monkeypatch)).verdict == "refuted"


def test_a_norm_of_samples_refutes_it(tiny: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Layer norm subtracts the mean over the units: a bias that differs between units stays."""
    assert CLAIM.judge(_with(tiny, "layer", monkeypatch)).verdict == "refuted"
