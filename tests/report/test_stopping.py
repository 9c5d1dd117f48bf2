"""What is said of a study with looks: why it stopped, what its interval is, what is exploratory."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from normlab.report.page import render_page
from normlab.report.records import Records
from normlab.report.stopping import seeds_words, stopping_notes, stopping_rules
from normlab.report.words import sentence

STOPPING: dict[str, Any] = {
    "rule": "Pairs were added, 8 at a time, until a rule was met; the first look came after at least 10.",
    "first_look": 10,
    "budget": 40,
    "chunk": 8,
    "alpha": 0.05,
    "pairs": 24,
    "decided": True,
    "reason": "The comparison is decided after 24 pairs.",
    "looks": [{"pairs": 16, "verdicts": {}, "reason": ""}, {"pairs": 24, "verdicts": {}, "reason": ""}],
}


def _with_looks(records: Records, alpha: float) -> Records:
    summary = records.summary
    question = {"correction": "bonferroni", "interval": "confidence sequence", "alpha": alpha, "p_value": None}
    rows = [{**row, **question} if row["correction"] == "holm" else row for row in summary["comparisons"]]
    stopping = {**STOPPING, "alpha": alpha}
    return dataclasses.replace(records, summary={**summary, "comparisons": rows, "stopping": stopping})


def test_a_study_with_a_fixed_number_says_nothing_of_looks(tuned: Records) -> None:
    assert stopping_notes(tuned.summary) == stopping_rules(tuned.summary) == []
    assert seeds_words(tuned.summary) == "8 seeds"
    assert "confidence sequence" not in render_page(tuned)


def test_the_page_says_why_it_stopped_and_what_is_exploratory(tuned: Records) -> None:
    records = _with_looks(tuned, 0.05)
    reason, question = stopping_notes(records.summary)
    assert reason == (
        "The comparison is decided after 24 pairs. Looks came after 16 and 24 pairs, at most 40 were allowed."
    )
    assert "verdict on test accuracy is that of a confidence sequence" in question
    assert "Test loss, epochs to the target and seconds per step" in question.replace("to target", "to the target")
    page = render_page(records)
    for said in (reason, STOPPING["rule"], "8 seeds, added until", "confirmatory, by a confidence sequence"):
        assert said in page
    assert "used here: BCa" in page


@pytest.mark.parametrize(("alpha", "confidence"), [(0.05, "95 %"), (0.025, "97.5 %"), (0.05 / 3, "98.33 %")])
def test_an_interval_is_given_with_its_own_confidence(alpha: float, confidence: str, make_records) -> None:
    arms = ("none", "batch", "layer", "group")[: round(0.05 / alpha) + 1]
    summary = _with_looks(make_records(arms=arms), alpha).summary
    assert f"({confidence} interval" in sentence(summary["comparisons"][0])
    assert f"with {confidence} each" in stopping_rules(summary)[1]
    assert (f"interval holds with {confidence}" in stopping_notes(summary)[1]) == (alpha < 0.05)
