"""Rates of the paired statistics over thousands of simulated studies: in their bands, as documented, and sensitive."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.stats import fixed_cases, sequential_cases
from tests.stats.calibration import Case, in_band

CASES: dict[str, Case] = {case.name: case for case in [*sequential_cases.CASES, *fixed_cases.CASES]}
DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "statistics.md"
ROW = re.compile(
    r"^\| (?P<name>[^|]+) \| (?P<studies>\d+) \| (?P<allowed>[^|]+) \| (?P<rate>0\.\d{4}) \|$", re.MULTILINE
)


def row_of(case: Case, rate: float) -> str:
    """Return a case's row in the document."""
    allowed = f"at most {case.high:g}" if case.low == 0.0 else f"{case.low:.4g} to {case.high:.4g}"
    return f"| {case.name} | {case.studies} | {allowed} | {rate:.4f} |"


def documented() -> dict[str, float]:
    return {row["name"]: float(row["rate"]) for row in ROW.finditer(DOCUMENT.read_text(encoding="utf-8"))}


@pytest.mark.parametrize("name", CASES)
def test_the_rate_lies_in_its_band_and_is_the_one_documented(name: str) -> None:
    case = CASES[name]
    hits = case.measure()
    assert case.holds(hits), f"{hits / case.studies:.4f} is not credible for {case.low:.4f} to {case.high:.4f}"
    rate = documented()[name]
    assert in_band(hits, rate, trials=case.studies)
    assert row_of(case, rate) in DOCUMENT.read_text(encoding="utf-8")


def test_the_document_has_no_other_rates() -> None:
    assert set(documented()) == set(CASES)


@pytest.mark.parametrize(
    ("name", "broken"),
    [pytest.param(*one, id=f"{one[1].__name__}-{one[0]}") for one in [*sequential_cases.BROKEN, *fixed_cases.BROKEN]],
)
def test_a_broken_procedure_leaves_the_band(name: str, broken: Callable[..., Any]) -> None:
    case = CASES[name]
    assert not case.holds(case.measure(broken))
