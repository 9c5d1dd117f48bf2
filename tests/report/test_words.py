"""Comparisons in words."""

from __future__ import annotations

from typing import Any

import pytest

from normlab.report.words import ranking, sentence

BASE: dict[str, Any] = {
    "metric": "test_accuracy",
    "label": "test accuracy",
    "arm": "batch",
    "baseline": "none",
    "rate": "tuned",
    "difference": 0.012,
    "ci_low": 0.008,
    "ci_high": 0.016,
    "pairs": 10,
    "verdict": "better",
    "margin": 0.005,
    "pairs_needed": None,
}

SENTENCES = [
    (
        {},
        "batch reaches a test accuracy 1.20 points higher than none (95 % interval +0.80 to +1.60, 10 pairs): better.",
    ),
    (
        {"difference": -0.012, "ci_low": -0.016, "ci_high": -0.008, "verdict": "worse"},
        "batch reaches a test accuracy 1.20 points lower than none (95 % interval −1.60 to −0.80, 10 pairs): worse.",
    ),
    (
        {"ci_low": None, "ci_high": None, "pairs": 1, "verdict": "undecided"},
        "batch reaches a test accuracy 1.20 points higher than none (no interval, 1 pair): undecided.",
    ),
    (
        {
            "ci_low": None,
            "ci_high": None,
            "pairs": 3,
            "pair_differences": [0.01, -0.002, 0.028],
            "verdict": "undecided",
        },
        "batch reaches a test accuracy 1.20 points higher than none (3 pairs: +1.00, −0.20, +2.80): undecided.",
    ),
    (
        {"verdict": "undecided", "pairs_needed": 24, "rate": 0.1, "ci_low": -0.001},
        "At rate 0.1, batch reaches a test accuracy 1.20 points higher than none (95 % interval −0.10 to +1.60, "
        "10 pairs): undecided, about 24 pairs in all would decide.",
    ),
    (
        {"difference": 0.0, "ci_low": 0.0, "ci_high": 0.0, "verdict": "equivalent"},
        "batch and none do not differ in test accuracy (less than the last digit written) (95 % interval 0.00 to 0.00, "
        "10 pairs): equivalent, inside the margin of 0.50 points stated beforehand.",
    ),
    (
        {"metric": "test_loss", "label": "test loss", "difference": None, "ci_low": None, "ci_high": None},
        "batch and none cannot be compared in test loss, for a value is not finite: undecided.",
    ),
    (
        {
            "metric": "epochs_to_target",
            "label": "epochs to target",
            "difference": -2.1,
            "ci_low": -3.0,
            "ci_high": -1.0,
        },
        "batch reaches the target 2.1 epochs earlier than none (95 % interval −3.0 to −1.0, 10 pairs): better.",
    ),
    (
        {
            "metric": "seconds_per_step",
            "label": "seconds per step",
            "difference": 12e-6,
            "ci_low": 9e-6,
            "ci_high": 15e-6,
            "verdict": "worse",
        },
        "batch takes 12.0 µs more per step than none (95 % interval +9.0 to +15.0, 10 rounds): worse.",
    ),
    (
        {"rate": "grid"},
        "Over the whole grid of rates, batch reaches a test accuracy 1.20 points higher than none (95 % interval "
        "+0.80 to +1.60, 10 pairs): better.",
    ),
]


@pytest.mark.parametrize(("change", "expected"), SENTENCES)
def test_a_comparison_is_one_sentence(change: dict[str, Any], expected: str) -> None:
    assert sentence(BASE | change) == expected


def _row(arm: str, value: float | None, **more: Any) -> dict[str, Any]:
    named = {"metric": "test_accuracy", "label": "test accuracy", "higher_is_better": True, "baseline": "none"}
    return named | {"baseline_value": 0.9710, "arm": arm, "value": value} | more


def test_arms_are_ranked_by_their_means_the_baseline_among_them() -> None:
    rows = [_row("weight", 0.9693), _row("batch", 0.9827), _row("lost", None)]
    assert ranking(rows) == (
        "In the order of mean test accuracy: batch 98.27 %, none 97.10 %, weight 96.93 %, lost –. "
        "Verdicts say which differences count."
    )
    loss = {"metric": "test_loss", "label": "test loss", "higher_is_better": False, "baseline_value": 0.3}
    order = ranking([_row("a", 0.4, **loss), _row("b", 0.2, **loss)])
    assert order is not None
    places = [order.index(f" {arm} ") for arm in ("b", "none", "a")]
    assert places == sorted(places)
    assert ranking([_row("batch", 0.98)]) is None
