"""The claim about memory: planted evidence both ways, and what a network is known to hold."""

from __future__ import annotations

import polars as pl
import pytest

from normlab.claims.bench import Bench
from normlab.claims.memory import CLAIM, FOLDED


def _planted(ratio: float, rest: float = 0.0) -> pl.DataFrame:
    rows = []
    for network, factor, running in (("none", 1.0, 0.0), ("batch", ratio, 80.0)):
        rows += [
            (network, "saved_bytes_per_sample", 100 * factor),
            (network, "saved_bytes", 3200 * factor),
            (network, "temporary_bytes", 5000.0),
            (network, "training_flops", 1e6),
            (network, "parameter_bytes", 400.0),
            (network, "running_bytes", running),
        ]
    rows += [(FOLDED, "parameter_bytes", 400.0 + rest), (FOLDED, "running_bytes", 0.0)]
    return pl.DataFrame(rows, schema=["network", "quantity", "value"], orient="row")


@pytest.mark.parametrize(
    ("ratio", "verdict"), [(2.5, "supported"), (1.06, "supported"), (1.04, "refuted"), (0.5, "refuted")]
)
def test_verdicts(ratio: float, verdict: str) -> None:
    finding = CLAIM.judge(_planted(ratio))
    assert (finding.verdict, finding.p_value, finding.pairs) == (verdict, None, 0)
    assert finding.effect == pytest.approx(ratio)
    assert "no more than those without" in finding.answer


def test_what_could_not_be_folded_is_said() -> None:
    assert "folded for inference 24 more than" in CLAIM.judge(_planted(2.0, rest=24.0)).answer


def test_the_drawing_has_a_mark_per_network_and_kind() -> None:
    rows = CLAIM.draw(_planted(2.0)).rows
    kept = {row["series"]: row["y"] for row in rows if row["x"] == "kept for the backward pass"}
    assert kept == {"none": 3200, "batch": 6400}
    assert {row["series"] for row in rows if row["x"] == "parameters"} == {"none", "batch", FOLDED}


def test_bytes_of_a_network_are_those_of_its_layers(tiny: Bench) -> None:
    """64 inputs, 16 units and 10 classes in float32; a norm has gamma, beta, mean, variance and spares the bias."""
    evidence = CLAIM.measure(tiny)
    values = {(network, quantity): value for network, quantity, value in evidence.iter_rows()}
    dense = 4 * (64 * 16 + 16 + 16 * 10 + 10)
    assert values["none", "parameter_bytes"] == values[FOLDED, "parameter_bytes"] == dense
    assert values["batch", "parameter_bytes"] == dense + 4 * 16
    assert values["batch", "running_bytes"] == 4 * 2 * 16
    assert values["none", "running_bytes"] == values[FOLDED, "running_bytes"] == 0
    assert values["batch", "saved_bytes"] > values["none", "saved_bytes"]
    assert CLAIM.judge(evidence).verdict == "supported"
