"""When an answer names running statistics as its cause, and when it must not."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest

from normlab.report.discussion import topics
from normlab.report.page import render_page
from normlab.report.records import Records
from normlab.report.running_statistics import answer, statistics_topic, unsettled_notes
from normlab.report.words import sentence

ENTRY = {
    "norm": "batch",
    "momentum": 0.99,
    "steps": 30,
    "share_of_initial_left": 0.74,
    "suggested_momentum": 0.9,
    "settling_steps": 299,
    "metric": "test_accuracy",
    "running": 0.77,
    "recomputed": 0.95,
    "difference": -0.18,
    "ci_low": -0.2,
    "ci_high": -0.16,
    "interval": "BCa",
    "alpha": 0.05,
    "pairs": 10,
    "pairs_worse": 10,
    "val_accuracy_recomputed_mean": 0.94,
    "test_accuracy_recomputed_mean": 0.95,
}
ROW = {
    "metric": "test_accuracy",
    "label": "test accuracy",
    "arm": "batch",
    "baseline": "none",
    "rate": 0.1,
    "difference": -0.11,
    "ci_low": -0.13,
    "ci_high": -0.09,
    "pairs": 10,
    "pairs_needed": None,
    "alpha": 0.05,
    "margin": 0.005,
    "higher_is_better": True,
    "verdict": "worse",
}
CAUSE = "after 30 steps at momentum 0.99, 74 % of the initial statistics remain. Try momentum 0.9 or the arm precise."


def _summary(difference: float = 0.066, verdict: str = "better", entry: Any = None, **row: Any) -> dict[str, Any]:
    first = {**ROW, **row}
    second = {**first, "difference": difference, "verdict": verdict, "statistics": "recomputed"}
    return {
        "primary": {"metric": "test_accuracy", "rate": 0.1, "arm": "batch"},
        "baseline": first["baseline"],
        "comparisons": [{**first, "statistics": "running"}, second],
        "statistics": {"batch": {**ENTRY, **(entry or {})}},
    }


def _said(summary: dict[str, Any]) -> str:
    return answer(summary, summary["comparisons"][0])


def test_a_lag_that_turns_the_sign_is_named_in_the_sentence() -> None:
    summary = _summary()
    plain = sentence(summary["comparisons"][0]).removesuffix(".")
    assert _said(summary) == f"{plain}; with recomputed statistics it is 6.60 points better: {CAUSE}"


@pytest.mark.parametrize(
    ("difference", "verdict", "expected"),
    [
        (-0.055, "worse", "it is 5.50 points worse: after"),  # just half of it is left
        (-0.002, "undecided", "it is 0.20 points worse (undecided): after"),
        (0.001, "equivalent", "it is 0.10 points better (equivalent): after"),
        (0.0, "equivalent", "it is no different: after"),
    ],
)
def test_what_is_left_of_the_difference_is_said(difference: float, verdict: str, expected: str) -> None:
    assert expected in _said(_summary(difference, verdict))


@pytest.mark.parametrize(
    "summary",
    [
        _summary(-0.056, "worse"),  # more than half is left
        _summary(-0.11, "worse", {"difference": 0.0, "ci_low": -0.01, "ci_high": 0.01, "pairs_worse": 5}),
        _summary(0.066, "better", {"ci_low": -0.3, "ci_high": 0.01}),  # the cost may be chance
        _summary(0.066, "better", {"pairs": 4, "pairs_worse": 3}),
        {**_summary(), "statistics": {}},
        {key: value for key, value in _summary().items() if key != "statistics"},  # an older study
        {**_summary(), "comparisons": [ROW]},
    ],
)
def test_a_deficit_that_is_no_lag_is_not_blamed_on_it(summary: dict[str, Any]) -> None:
    assert _said(summary) == sentence(summary["comparisons"][0])


def test_an_advantage_is_not_explained_by_the_arms_own_lag() -> None:
    """An arm that is better although it lags: the lag explains nothing of it."""
    summary = _summary()
    summary["comparisons"][0] |= {"difference": 0.11, "verdict": "better"}
    assert "statistics" not in _said(summary)


def test_the_lag_of_the_baseline_is_named_where_another_arm_seems_better() -> None:
    summary = _summary(-0.066, "worse", arm="none", baseline="batch")
    summary["comparisons"][0] |= {"difference": 0.11, "verdict": "better"}
    assert f"better; with recomputed statistics of batch it is 6.60 points worse: {CAUSE}" in _said(summary)


def test_few_pairs_must_all_show_the_cost() -> None:
    assert CAUSE in _said(_summary(entry={"pairs": 4, "pairs_worse": 4, "ci_low": None, "ci_high": None}))


def test_losses_are_better_when_they_are_smaller() -> None:
    entry = {"metric": "test_loss", "difference": 0.5, "ci_low": 0.4, "ci_high": 0.6}
    loss = {"metric": "test_loss", "label": "test loss", "higher_is_better": False}
    worse = _summary(-0.3, "better", entry, **loss)
    worse["comparisons"][0] |= {"difference": 0.4}
    assert "it is 0.300 better: after" in _said(worse)
    gain = {**entry, "difference": -0.5, "ci_low": -0.6, "ci_high": -0.4}
    lucky = _summary(-0.3, "better", gain, **loss)
    lucky["comparisons"][0] |= {"difference": 0.4}
    assert "recomputed" not in _said(lucky)


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"norm": "ghost"}, "Try momentum 0.9 or statistics recomputed after training."),
        ({"suggested_momentum": None, "steps": 4}, "Try a training of at least 299 steps or the arm precise."),
        (
            {"share_of_initial_left": 0.01, "suggested_momentum": None, "steps": 900},
            "after 900 steps at momentum 0.99, the running statistics still differ from those of the training part. "
            "Try the arm precise.",
        ),
    ],
)
def test_advice_fits_the_arm(entry: dict[str, Any], expected: str) -> None:
    assert _said(_summary(entry=entry)).endswith(expected)


def test_a_note_says_what_has_not_settled() -> None:
    (note,) = unsettled_notes(_summary())
    assert note.startswith("The running statistics of batch have not settled: after 30 steps at momentum 0.99, 74 %")
    assert unsettled_notes(_summary(entry={"share_of_initial_left": 0.05})) == []


def test_the_cost_is_discussed_with_its_interval() -> None:
    first, advice, second = statistics_topic(_summary())
    assert "test accuracy 77.00 % with its running statistics, 95.00 % with statistics recomputed" in first
    assert "cost 18.00 points (running minus recomputed: 95 % interval" in first
    assert advice.startswith("Try momentum 0.9")
    assert second.startswith(
        "With recomputed statistics: At rate 0.1, batch reaches a test accuracy 6.60 points higher"
    )
    assert "worse in 4 of 4 pairs" in statistics_topic(_summary(entry={"pairs": 4, "pairs_worse": 4}))[0]


@pytest.fixture(scope="module")
def lagging(make_records) -> Records:
    """A made-up study in which batch fits better and tests worse, with a test score as good once recomputed."""
    records = make_records(gain=-0.08, seeds=12, rates=(0.1,))
    summary = copy.deepcopy(records.summary)
    next(row for row in summary["by_arm"] if row["arm"] == "batch")["accuracy_mean"] = 0.999
    return replace(records, summary=summary)


def _with_lag(records: Records) -> Records:
    summary = copy.deepcopy(records.summary)
    found = next(row for row in summary["comparisons"] if row["metric"] == "test_accuracy")
    second = {**found, "difference": 0.04, "ci_low": 0.03, "ci_high": 0.05, "verdict": "better"}
    summary["comparisons"].append({**second, "statistics": "recomputed"})
    summary["statistics"] = {"batch": ENTRY}
    return replace(records, summary=summary)


def test_a_lag_is_never_told_as_worse_generalization(lagging: Records) -> None:
    without = " ".join(topics(lagging)["Better generalization?"])
    assert "it generalizes worse" in without  # which is right where there is no lag
    page = render_page(_with_lag(lagging))
    assert "generalizes worse" not in page
    first = page[page.index('class="answer"') :].split("</p>")[0]
    assert "with recomputed statistics it is 4.00 points better" in first
    words = " ".join(topics(_with_lag(lagging))["Better generalization?"])
    assert "batch is better than none on the test data with recomputed statistics" in words
    assert "batch, with recomputed statistics: training accuracy 99.90 %, validation 94.00 %, test 95.00 %" in words


def test_a_page_shows_both_evaluations_apart(lagging: Records) -> None:
    page = render_page(_with_lag(lagging))
    assert "With statistics recomputed over the training part" in page
    assert "have not settled" in page
    assert "evaluated a second time" in page
    assert "evaluated a second time" not in render_page(lagging)
