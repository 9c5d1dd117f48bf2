"""How numbers are written."""

from __future__ import annotations

import math

import pytest

from normlab.report.quantities import (
    difference_scale,
    listed,
    per_arm,
    shown,
    shown_p,
    shown_rate,
    value_scale,
)

VALUES = [
    ("test_accuracy", 0.97314, "97.31 %"),
    ("test_accuracy", None, "–"),
    ("test_accuracy", math.nan, "–"),
    ("test_loss", 0.08123, "0.0812"),
    ("test_loss", 2.3026, "2.30"),
    ("test_loss", math.inf, "∞"),
    ("test_loss", 3.2e-9, "3.20e-09"),
    ("test_loss", 0.0, "0.00"),
    ("epochs_to_target", 4.4, "4.4 epochs"),
    ("seconds_per_step", 60.3e-6, "60.3 µs"),
    ("seconds_per_step", 0.0, "0.00 s"),
    ("seconds_per_epoch", 4.2, "4.20 s"),
    ("seconds", 7200.0, "2.00 h"),
    ("num_parameters", 50610, "50\u2009610"),
    ("bytes_per_run", 202_440, "202 kB"),
    ("something_else", 12.5, "12.5"),
]


@pytest.mark.parametrize(("metric", "value", "expected"), VALUES)
def test_a_value_has_its_unit(metric: str, value: float | None, expected: str) -> None:
    assert shown(metric, value) == expected


def test_differences_of_accuracies_are_points_and_signed() -> None:
    scale = difference_scale("test_accuracy", [0.0124, -0.002])
    assert scale.quantity(0.0124, signed=True) == "+1.24 points"
    assert scale.number(-0.002, signed=True) == "−0.20"
    assert scale.number(-0.00001, signed=True) == "0.00"


def test_numbers_side_by_side_share_unit_and_decimals() -> None:
    scale = value_scale("seconds_per_step", [0.0013, 0.000061])
    assert [scale.quantity(value) for value in (0.0013, 0.000061)] == ["1.30 ms", "0.06 ms"]


def test_p_values_and_rates() -> None:
    assert [shown_p(p) for p in (None, 1e-6, 0.00781, 0.25, 1.0)] == ["–", "<0.0001", "0.0078", "0.25", "1.00"]
    assert [shown_rate(rate) for rate in (0.001, 1.0, "tuned")] == ["0.001", "1", "tuned"]


def test_lists_of_words() -> None:
    assert [listed(list(words)) for words in ("", "a", "ab", "abc")] == ["none", "a", "a and b", "a, b and c"]
    assert per_arm({"none": "0.1", "batch": "0.3"}) == "0.1 for none and 0.3 for batch"
    assert per_arm({"none": "0.1", "batch": "0.1"}) == "0.1 for every arm"
