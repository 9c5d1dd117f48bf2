"""The discussion follows the numbers."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest

from normlab.report.discussion import discussion, topics
from normlab.report.records import Records


def told(records: Records, topic: str) -> str:
    return " ".join(topics(records)[topic])


def test_the_discussion_is_all_topics(tuned: Records) -> None:
    assert " ".join(discussion(tuned)) == " ".join(" ".join(sentences) for sentences in topics(tuned).values())


def test_better_turns_into_worse(make_records) -> None:
    better, worse = make_records(gain=0.04, seeds=12), make_records(gain=-0.04, seeds=12)
    assert "batch is better in test accuracy" in told(better, "On the whole")
    assert "batch is worse in test accuracy" in told(worse, "On the whole")
    assert "batch converges in fewer epochs than none" in told(better, "Faster convergence?")
    assert "batch converges more slowly than none" in told(worse, "Faster convergence?")
    assert "batch is better than none on the test data" in told(better, "Better generalization?")
    assert "batch is worse than none on the test data" in told(worse, "Better generalization?")
    assert "points higher than none" in told(better, "Less sensitive to the learning rate?")
    assert "points lower than none" in told(worse, "Less sensitive to the learning rate?")


def test_an_arm_against_its_like_is_equivalent(make_records) -> None:
    words = told(make_records(gain=0.0, seeds=12), "Better generalization?")
    assert "batch and none are equivalent: no benefit for generalization shows here" in words


def test_undecided_is_said(make_records) -> None:
    records = make_records(seeds=1)
    assert "nothing is decided about batch" in told(records, "On the whole")
    assert "Whether batch converges faster than none stays undecided" in told(records, "Faster convergence?")
    assert "Whether batch generalizes better than none stays undecided" in told(records, "Better generalization?")
    assert "cannot be said from 1 pairs" not in told(records, "Did pairing pay?")
    assert "cannot be said from 1 pair" in told(records, "Did pairing pay?")


@pytest.mark.parametrize(
    ("fits_better", "expected"),
    [(True, "may be better optimization, not regularization"), (False, "as one would expect of a regularizer")],
)
def test_a_better_fit_is_not_taken_for_regularization(tuned: Records, fits_better: bool, expected: str) -> None:
    summary = copy.deepcopy(tuned.summary)
    row = next(row for row in summary["by_arm"] if row["arm"] == "batch")
    row["accuracy_mean"] = 0.999 if fits_better else 0.5
    assert expected in told(replace(tuned, summary=summary), "Better generalization?")


def test_targets_that_were_missed_are_counted(tuned: Records) -> None:
    summary = copy.deepcopy(tuned.summary)
    assert "never reached" not in told(tuned, "Faster convergence?")
    next(row for row in summary["by_arm"] if row["arm"] == "none")["reached"] = 3
    words = told(replace(tuned, summary=summary), "Faster convergence?")
    assert "Runs that never reached the target: 5 of 8 of none." in words


def test_the_clock_may_say_otherwise_than_epochs(make_records) -> None:
    assert "batch arrives earlier by the clock" in told(make_records(slowdown=0.0), "Faster convergence?")
    assert "batch arrives later by the clock" in told(make_records(slowdown=3.0), "Faster convergence?")


@pytest.mark.parametrize(
    ("diverging", "expected"),
    [
        ([], "No run diverged in any arm, up to the largest rate tried, 1"),
        ([("none", 1.0)], "none up to 0.1"),
        ([("none", 1.0)], "batch bears larger rates in this grid (from 6 runs per rate, without an interval)"),
        ([("batch", 1.0)], "batch bears smaller rates"),
        ([("batch", 1.0), ("none", 1.0)], "batch and none both train without divergence up to 0.1 and not beyond"),
        ([("batch", 0.01)], "Runs of batch diverged already at the smallest rate"),
    ],
)
def test_the_largest_stable_rates_are_compared(make_records, diverging, expected: str) -> None:
    assert expected in told(make_records(diverging=diverging), "Higher learning rates?")


def test_one_rate_says_nothing_of_others(make_records) -> None:
    records = make_records(rates=(0.1,))
    assert "Only one learning rate was tried (0.1)" in told(records, "Higher learning rates?")
    assert "was not measured" in told(records, "Less sensitive to the learning rate?")


def test_cost_follows_the_clock_and_the_sizes(make_records) -> None:
    slower = told(make_records(slowdown=0.3, epochs=9), "At what cost?")
    assert "more per step than none" in slower
    assert "1.30 times as long" in slower
    assert "worse" in slower
    assert "400 more learned parameters than none (51,010 against 50,610) and 800 more values" in slower
    faster = told(make_records(slowdown=-0.5, epochs=9), "At what cost?")
    assert "less per step than none" in faster
    assert "0.50 times as long" in faster


@pytest.mark.parametrize(
    ("correlation", "expected"),
    [(0.9, "pairing pays"), (0.2, "helps a little"), (0.0, "neither helps nor hurts"), (-0.6, "did not pay")],
)
def test_pairing_is_judged_by_the_correlation(tuned: Records, correlation: float, expected: str) -> None:
    summary = copy.deepcopy(tuned.summary)
    for row in summary["comparisons"]:
        row["correlation"] = correlation
    assert expected in told(replace(tuned, summary=summary), "Did pairing pay?")


def test_every_arm_is_discussed(make_records) -> None:
    records = make_records(arms=("none", "batch", "layer"))
    for topic, sentences in topics(records).items():
        assert "layer" in " ".join(sentences), topic


def test_regression_is_discussed_by_its_loss(make_records) -> None:
    words = " ".join(discussion(make_records(task="regression", diverging=[("none", 1.0)])))
    assert "accuracy" not in words
    assert "batch is better than none on the test data" in words
    assert "apart from 1 rate without a finite mean" in words


def test_lost_means_are_admitted(make_records) -> None:
    records = make_records(task="regression", rates=(0.1,), diverging=[("none", 0.1)])
    assert "none has no finite mean loss on all parts" in told(records, "Better generalization?")
