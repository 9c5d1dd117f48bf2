"""Claims put to a bench, and corrected together: planted claims whose verdict is known."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from normlab.claims.answer import Answer, answer, corrected
from normlab.claims.claim import Claim
from normlab.claims.drawing import Drawing
from normlab.claims.finding import Finding
from normlab.claims.record import Record


def _finding(p_value: float | None, verdict: Any = "supported", pairs: int = 8) -> Finding:
    return Finding(verdict, 0.1, 0.05, 0.15, pairs, "It is so.", conditions="At batch 4.", p_value=p_value)


def _claim(name: str, finding: Finding, why_not: str = "") -> Claim:
    return Claim(
        id=name,
        kind="benefit",
        statement=f"The claim {name} holds.",
        protocol="planted",
        metric="a difference",
        expected="nothing",
        source="nowhere",
        measure=lambda bench: pl.DataFrame({"x": [1.0, 2.0]}),
        judge=lambda evidence: finding,
        draw=lambda evidence: Drawing("lines", "t", "x", "y", [{"series": "a", "x": 1.0, "y": float("nan")}], "c"),
        applies=lambda bench: why_not,
    )


def _answers(*p_values: float | None) -> list[Answer]:
    findings = [_finding(p, pairs=0 if p is None else 8) for p in p_values]
    return [Answer(_claim(f"c{i}", finding), finding, None, 1.0) for i, finding in enumerate(findings)]


@pytest.mark.parametrize(
    ("p_values", "verdicts"),
    [
        ([0.04], ["supported"]),
        ([0.04, 0.04], ["undecided", "undecided"]),  # Holm: 0.08 each
        ([0.01, 0.04], ["supported", "supported"]),  # 0.02, then 0.04
        ([0.02, 0.02, 0.001], ["supported", "supported", "supported"]),
        ([0.03, 0.02, 0.02], ["undecided", "undecided", "undecided"]),
        ([0.04, None, None], ["supported", "supported", "supported"]),  # exact claims are no part of the family
    ],
)
def test_holms_correction_takes_verdicts_back(p_values: list[float | None], verdicts: list[str]) -> None:
    after = corrected(_answers(*p_values))
    assert [one.finding.verdict for one in after] == verdicts
    for one in after:
        if one.finding.verdict == "undecided":
            assert "Holm's correction raises p to" in one.finding.answer
            assert re.search(r"not decided; about \d+ pairs in all would decide\.$", one.finding.answer)
            assert one.finding.conditions == ""


def test_claims_that_their_test_left_undecided_are_part_of_the_family() -> None:
    open_ones = [Answer(_claim(f"u{i}", f), f, None, 1.0) for i, f in enumerate([_finding(None, "undecided")] * 3)]
    for p_value, verdict in ((0.04, "undecided"), (0.01, "supported")):  # times four: 0.16, 0.04
        first, *others = corrected([*_answers(p_value), *open_ones])
        assert first.finding.verdict == verdict
        assert first.finding.p_value == pytest.approx(4 * p_value)
        assert [one.finding for one in others] == [one.finding for one in open_ones]


def test_evidence_is_kept_and_answers_told_as_they_come(tiny, tmp_path: Path) -> None:
    told: list[int] = []
    claims = [_claim("first", _finding(0.001)), _claim("second", _finding(None), "it is no image")]
    record = Record(tmp_path)
    with record.opened({"data": "tiny"}, {}):
        answers = answer(claims, tiny, record, lambda so_far: told.append(len(so_far)))
    assert told == [1, 2]
    assert pl.read_parquet(tmp_path / "evidence" / "first.parquet")["x"].to_list() == [1.0, 2.0]
    assert not (tmp_path / "evidence" / "second.parquet").exists()
    first, second = (json.loads(json.dumps(one.as_json(), allow_nan=False)) for one in answers)
    assert (first["verdict"], first["figure"]["rows"][0]["y"]) == ("supported", None)
    assert (second["verdict"], second["figure"]) == ("not applicable", None)
    assert "it is no image" in second["answer"]
    needed = "id statement protocol metric effect ci_low ci_high pairs verdict conditions expected source seconds"
    assert set(needed.split()) <= set(first)


def test_details_of_runs_that_diverged_do_not_lose_the_answers() -> None:
    details = {"gap_by_epoch": [0.5, float("nan")], "spread": {"batch": float("inf")}, "rates": (0.1, "own"), "n": 3}
    finding = replace(_finding(0.01), details=details)
    written = json.dumps(Answer(_claim("c", finding), finding, None, 1.0).as_json(), allow_nan=False)
    expected = {"gap_by_epoch": [0.5, None], "spread": {"batch": None}, "rates": [0.1, "own"], "n": 3}
    assert json.loads(written)["details"] == expected


class _Bench:
    """A bench whose network prepares its inputs itself, beside one with scaled inputs."""

    def __init__(self, scaled: Any = None) -> None:
        self.with_scaled_inputs = scaled or self


def test_a_claim_with_a_network_of_its_own_is_put_to_scaled_inputs(tmp_path: Path) -> None:
    scaled = _Bench()
    bench, seen = _Bench(scaled), {}

    def noted(name: str, own_network: bool) -> Claim:
        def measure(one: Any) -> pl.DataFrame:
            seen[name] = one
            return pl.DataFrame({"x": [1.0]})

        return replace(_claim(name, _finding(0.001)), measure=measure, own_network=own_network)

    record = Record(tmp_path)
    with record.opened({"data": "planted"}, {}):
        answer([noted("of the bench", False), noted("of its own", True)], bench, record)  # type: ignore[arg-type]
    assert seen == {"of the bench": bench, "of its own": scaled}
