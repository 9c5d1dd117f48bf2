"""Relations between two arms: planted values with every kind holding and failing, the correction, too few seeds."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

from normlab.errors import InputError
from normlab.replicate.relation import Kind, Relation, check_seeds, checked

SEEDS = 12
SPREAD = 0.01 * np.random.default_rng(0).normal(size=SEEDS)


def _relation(difference: float, kind: Kind, margin: float = 0.05, *, is_ratio: bool = False) -> Relation:
    baseline = 0.5 + 0.1 * np.arange(SEEDS)
    return Relation("planted", baseline + difference + SPREAD - SPREAD.mean(), baseline, kind, margin, is_ratio)


# Which kinds hold where the first arm lies this far above the second, with a margin of 0.05.
HOLDS = {
    0.1: {"above", "not below"},
    0.03: {"above", "equal", "not above", "not below"},
    0.0: {"equal", "not above", "not below"},
    -0.03: {"below", "equal", "not above", "not below"},
    -0.1: {"below", "not above"},
}


@pytest.mark.parametrize("difference", HOLDS)
@pytest.mark.parametrize("kind", get_args(Kind))
def test_planted_differences(difference: float, kind: Kind) -> None:
    (figure,) = checked([_relation(difference, kind)])
    assert figure.agrees is (kind in HOLDS[difference])


def test_a_spread_larger_than_the_difference_shows_nothing() -> None:
    loud = 20 * (SPREAD - SPREAD.mean())
    for kind in get_args(Kind):
        (figure,) = checked([Relation("planted", 0.5 + 0.01 + loud, np.full(SEEDS, 0.5), kind, 0.05)])
        assert figure.agrees is False, kind


def test_the_correction_is_over_the_relations_that_need_it() -> None:
    """Six pairs reach p = 2/2^6 = 0.031 alone: too much beside a second relation that shows nothing."""
    six = Relation("six", np.arange(6) + 1.0, np.zeros(6), "above")
    nothing = Relation("nothing", np.array([1.0, -1.0, 2.0, -2.0, 1.0, -1.0]), np.zeros(6), "below")
    free = Relation("free", np.zeros(6), np.zeros(6), "not above", 0.1)
    assert [figure.agrees for figure in checked([six, free])] == [True, True]
    assert [figure.agrees for figure in checked([six, nothing])] == [False, False]


def test_what_is_printed() -> None:
    (figure,) = checked([_relation(0.1, "above")])
    assert (figure.what, figure.expected, figure.tolerance) == ("planted", "above 0", "p <= 0.05, whole interval")
    assert figure.measured.startswith("+0.1 (+0.09")
    assert figure.measured.endswith("p 0.00049, 12 seeds): 1.15 against 1.05")
    (figure,) = checked([_relation(np.log(2), "not above", np.log(1.5), is_ratio=True)])
    assert (figure.expected, figure.measured[:2]) == ("not above 1.5", "2 ")
    assert checked([_relation(0.0, "equal")])[0].expected == "0, within -0.05 ... +0.05"


@pytest.mark.parametrize(("seeds", "relations", "refused"), [(5, 1, True), (6, 1, False), (7, 4, True), (8, 4, False)])
def test_seeds_that_can_decide_nothing_are_refused(seeds: int, relations: int, refused: bool) -> None:
    if not refused:
        return check_seeds(seeds, relations)
    rule = rf"{relations} relations, judged together, need at least {seeds + 1} paired seeds, got {seeds}; raise"
    with pytest.raises(InputError, match=rule):
        check_seeds(seeds, relations)
    return None
