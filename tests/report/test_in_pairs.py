"""What a report says of pairs: savings in words, divergences as a table, nothing of studies without either."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from normlab.report.in_pairs import divergence_notes, divergence_table, saving_sentences
from normlab.report.page import render_page
from normlab.report.records import Records
from tests.report.conftest import Make

ROW = {
    "label": "test accuracy",
    "arm": "batch",
    "baseline": "none",
    "pairs": 10,
    "correlation": 0.62,
    "correlation_low": -0.01,
    "correlation_high": 0.9,
    "saved": 0.61,
    "saved_low": 0.3,
    "saved_high": 0.8,
}
OPENING = "Test accuracy of batch and none correlates with 0.62 (95 % interval −0.01 to 0.90, 10 pairs): "
CASES: dict[str, tuple[dict[str, Any], str]] = {
    "saves": ({}, f"{OPENING}pairing saves 61 % of the runs (95 % interval 30 to 80 %)."),
    "open": (
        {"saved": 0.1, "saved_low": -0.5},
        f"{OPENING}pairing saves 10 % of the runs (95 % interval −50 to 80 %); whether it saves any stays open.",
    ),
    "costs": (
        {"saved": -0.2, "saved_low": -0.5, "saved_high": -0.1},
        f"{OPENING}pairing saves nothing here, it costs 20 % more runs (saved: 95 % interval −50 to −10 %).",
    ),
    "no spread": (
        {"saved": None, "correlation": None},
        "Neither batch nor none varies in test accuracy over 10 pairs, so what pairing saves is unknown.",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_savings_in_words(case: str) -> None:
    changes, expected = CASES[case]
    assert saving_sentences({"savings": [{**ROW, **changes}]}) == [expected]


def test_the_page_shows_savings_and_divergences_where_there_are_some(make_records: Make, tuned: Records) -> None:
    page = render_page(tuned)
    (sentence,) = saving_sentences(tuned.summary)
    assert "What pairing saves" in page
    assert sentence.replace(" %", "\N{NO-BREAK SPACE}%") in page
    assert divergence_table(tuned) == ""
    diverging = make_records(rates=(0.1, 1.0), seeds=16, diverging=[("none", 1.0)])
    (row,) = diverging.summary["divergences"]
    assert (row["only_baseline"], row["only_arm"], row["rate"]) == (8, 0, 1.0)
    assert divergence_table(diverging) in render_page(diverging).replace("\N{NO-BREAK SPACE}%", " %")
    assert "−50.00 points" in divergence_table(diverging)
    assert divergence_notes(diverging.summary) == [
        "batch diverged in 0 and none in 8 of 16 pairs, both at rate 1 (McNemar’s test, corrected p 0.0078)."
    ]


def test_few_discordant_pairs_are_no_note(make_records: Make) -> None:
    few = make_records(rates=(0.1, 1.0), seeds=8, diverging=[("none", 1.0)])
    assert few.summary["divergences"]
    assert divergence_notes(few.summary) == []


def test_a_study_from_before_is_shown_without(tuned: Records) -> None:
    old = {name: value for name, value in tuned.summary.items() if name not in ("savings", "divergences")}
    page = render_page(replace(tuned, summary=old))
    assert "What pairing saves" not in page
    assert "Divergence in pairs" not in page
    assert (saving_sentences(old), divergence_notes(old)) == ([], [])
