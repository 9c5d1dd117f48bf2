"""Relations between two arms: a range around the published figure, both ends of it, the correction, too few seeds."""

from __future__ import annotations

import math

import numpy as np
import pytest

from normlab.errors import InputError
from normlab.replicate.relation import Relation, check_seeds, checked, relative

SEEDS = 12
SPREAD = 0.01 * np.random.default_rng(0).normal(size=SEEDS)
SPREAD = SPREAD - SPREAD.mean()
BASELINE = 0.5 + 0.1 * np.arange(SEEDS)


def _relation(difference: float, low: float = 0.05, high: float = 0.15, *, is_ratio: bool = False) -> Relation:
    values = BASELINE + difference + SPREAD
    return Relation("planted", values, BASELINE, "+0.1", low, high, "half either way", is_ratio, "a cause")


@pytest.mark.parametrize(
    ("difference", "agrees"), [(0.1, True), (0.07, True), (0.13, True), (0.05, False), (0.15, False), (-0.1, False)]
)
def test_a_difference_agrees_inside_the_range_alone(difference: float, agrees: bool) -> None:
    (figure,) = checked([_relation(difference)])
    assert figure.agrees is agrees


def test_a_spread_larger_than_the_range_shows_nothing() -> None:
    loud = Relation("planted", BASELINE + 0.1 + 20 * SPREAD, BASELINE, "+0.1", 0.05, 0.15, "half either way")
    assert not checked([loud])[0].agrees


def test_a_rise_by_half_is_seen_relative_to_the_error() -> None:
    errors = 0.03 + 0.05 * SPREAD
    for rise, agrees in ((1.0, True), (1.5, False)):
        one = Relation("planted", rise * errors, errors[::-1], "0", -0.33, 0.33, "a third")
        assert checked([relative(one, errors)])[0].agrees is agrees


def test_the_correction_is_over_all_relations() -> None:
    """A p-value of 0.03 alone suffices; beside one that shows nothing it is doubled."""
    gap = next(gap for gap in np.linspace(0, 0.02, 400) if checked([_relation(0.05 + gap)])[0].agrees)
    border = _relation(0.05 + gap)
    assert checked([border])[0].agrees
    assert not checked([border, _relation(0.05)])[0].agrees


def test_what_is_printed() -> None:
    (figure,) = checked([_relation(0.1)])
    assert (figure.what, figure.expected, figure.known) == ("planted", "+0.1", "a cause")
    assert figure.tolerance == "+0.05 to +0.15: half either way"
    assert figure.measured.startswith("+0.1 (+0.09")
    assert figure.measured.endswith(", 12 seeds): 1.15 against 1.05")
    assert ", corrected p " in figure.measured
    (figure,) = checked([_relation(math.log(2), math.log(1.5), math.log(3), is_ratio=True)])
    assert figure.tolerance.startswith("1.5 to 3: ")
    assert figure.measured.startswith("2 (1.9")


@pytest.mark.parametrize(("seeds", "relations", "refused"), [(5, 1, True), (6, 1, False), (7, 4, True), (8, 4, False)])
def test_seeds_that_can_decide_nothing_are_refused(seeds: int, relations: int, refused: bool) -> None:
    if not refused:
        return check_seeds(seeds, relations)
    rule = rf"{relations} relations, judged together, need at least {seeds + 1} paired seeds, got {seeds}; raise"
    with pytest.raises(InputError, match=rule):
        check_seeds(seeds, relations)
    return None
