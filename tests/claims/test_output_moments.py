"""The claim about the output's moments: true of batch norm, and refuted by moments that are off."""

from __future__ import annotations

import polars as pl

from normlab.claims.output_moments import CLAIM


def test_it_holds_on_real_data(tiny) -> None:
    evidence = CLAIM.measure(tiny)
    finding = CLAIM.judge(evidence)
    assert finding.verdict == "supported"
    assert finding.effect is not None
    assert finding.effect < 1e-5
    drawing = CLAIM.draw(evidence)
    assert {row["series"] for row in drawing.rows} == {"mean", "deviation"}


def test_moments_that_are_off_refute_it(tiny) -> None:
    evidence = CLAIM.measure(tiny).with_columns(measured=pl.col("measured") * 1.2)
    assert CLAIM.judge(evidence).verdict == "refuted"
