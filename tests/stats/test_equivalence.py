"""The test of equivalence: against statsmodels, where there is no spread, and its level where differences are rare."""

from __future__ import annotations

import math

import numpy as np
import pytest
from statsmodels.stats.weightstats import ttost_paired

from normlab.stats import equivalence
from normlab.stats.equivalence import RARE_STEPS, STAKES, fewest_equal_pairs, rare_evidence, resolution_of, tost_p_value
from normlab.stats.sequential import states_after_each_pair
from tests.stats.calibration import in_band


@pytest.mark.parametrize("margin", [0.05, 0.4, 2.0])
@pytest.mark.parametrize(("num_pairs", "shift"), [(2, 0.0), (5, 0.3), (12, -0.3), (60, 0.1)])
def test_same_as_statsmodels(num_pairs: int, shift: float, margin: float) -> None:
    generator = np.random.default_rng(num_pairs)
    baseline = generator.normal(size=num_pairs)
    arm = baseline + generator.normal(shift, 0.5, num_pairs)
    expected = ttost_paired(arm, baseline, -margin, margin)[0]
    assert tost_p_value(arm - baseline, margin, resolution=0.0) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("differences", "margin", "expected"),
    [
        ([0.0, 0.0, 0.0], 0.1, 1 / 8),
        ([0.0, 0.0, 0.0], 0.0, 1.0),
        ([0.05, 0.05], 0.1, 1 / 4),
        ([-0.05] * 6, 0.1, 1 / 64),
        ([0.25, 0.25], 0.25, 1.0),
        ([-0.3, -0.3], 0.25, 1.0),
        ([0.93 - 0.92, 0.92 - 0.91], 0.1, 1 / 4),
    ],
)
def test_no_spread(differences: list[float], margin: float, expected: float) -> None:
    assert tost_p_value(differences, margin, resolution=0.0) == expected


def test_a_margin_of_zero_cannot_be_met() -> None:
    assert tost_p_value([0.1, -0.1, 0.01, -0.02], 0.0) >= 0.5


@pytest.mark.parametrize(
    ("differences", "margin", "message"),
    [
        ([1.0], 0.1, "at least two pairs"),
        ([], 0.1, "at least one number"),
        ([1.0, math.inf], 0.1, "finite"),
        ([1.0, 2.0], -0.1, "margin"),
        ([1.0, 2.0], math.nan, "margin"),
        ([1.0, 2.0], math.inf, "margin"),
    ],
)
def test_misuse(differences: list[float], margin: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tost_p_value(differences, margin)


MARGIN = 0.005
SIZES = [20, 36, 360]


def _at_the_margin(name: str, num_test: int, shape: tuple[int, int], seed: int) -> np.ndarray:
    """Differences of accuracies on `num_test` samples whose mean is the margin."""
    generator, expected = np.random.default_rng([num_test, shape[1], seed]), MARGIN * num_test
    if name.startswith("rare"):
        step = int(name[-1])
        counts = step * (generator.random(shape) < expected / step) if step > expected else np.full(shape, expected)
    elif name == "mixed":  # mostly none, else one of several sizes and either sign
        sizes, shares = np.array([-2, -1, 0, 1, 2, 5]), np.array([0.01, 0.02, 0.0, 0.4, 0.3, 0.2])
        shares *= expected / (sizes @ shares)
        shares[2] = 1.0 - shares.sum()
        counts = generator.choice(sizes, shape, p=shares)
    else:  # samples that only one of both classifies rightly, correlated as the same samples are
        only_arm, only_baseline = MARGIN + 0.01, 0.01
        drawn = generator.multinomial(num_test, [only_arm, only_baseline, 1 - only_arm - only_baseline], shape)
        counts = drawn[..., 0] - drawn[..., 1]
    return np.asarray(counts / num_test)


TRUTHS = ["rare1", "rare2", "rare3", "rare5", "mixed", "discordant"]


@pytest.mark.parametrize("num_pairs", [6, 10, 20])
@pytest.mark.parametrize("num_test", SIZES)
def test_at_the_margin_differences_of_few_values_keep_the_level(num_test: int, num_pairs: int) -> None:
    studies = 250
    for name in TRUTHS:
        for side in (1, -1):
            rows = side * _at_the_margin(name, num_test, (studies, num_pairs), 0)
            if np.ptp(rows) == 0.0:
                continue  # the step is less than the margin, so no such differences have their mean there
            known = [tost_p_value(row, MARGIN, resolution=1 / num_test) <= 0.05 for row in rows[::2]]
            shown = [tost_p_value(row, MARGIN) <= 0.05 for row in rows[1::2]]
            for found in (known, shown):
                assert in_band(sum(found), 0.0, 0.06, trials=len(found)), name


@pytest.mark.parametrize("num_test", SIZES)
def test_so_they_do_however_often_one_looks(num_test: int) -> None:
    for name in TRUTHS:
        rows = _at_the_margin(name, num_test, (400, 40), 1)
        for resolution in (1 / num_test, None):
            states = states_after_each_pair(rows, margin=MARGIN, first_look=10, resolution=resolution)
            assert in_band(int((states == 3).any(axis=1).sum()), 0.0, 0.05, trials=400), name


@pytest.mark.parametrize(("num_test", "num_pairs"), [(360, 10), (1000, 6), (10_000, 6)])
def test_equal_arms_on_enough_samples_come_out_equivalent(num_test: int, num_pairs: int) -> None:
    flips = np.random.default_rng(2).poisson(0.15, (2, 200, num_pairs))
    rows = (flips[0] - flips[1]) / num_test
    assert np.mean([tost_p_value(row, MARGIN, resolution=1 / num_test) <= 0.05 for row in rows]) >= 0.9


def test_the_evidence_of_equal_pairs_is_the_chance_of_no_rare_difference() -> None:
    for num_test in SIZES:
        bound = RARE_STEPS / num_test
        exact = -40 * math.log1p(-MARGIN / bound)
        evidence = rare_evidence(np.zeros(40), MARGIN, 1 / num_test)[-1]
        assert exact - math.log(len(STAKES)) <= evidence <= exact
    assert rare_evidence(np.zeros(3), MARGIN, 1 / 2000)[0] == math.inf
    assert rare_evidence([0.0, RARE_STEPS / 36], MARGIN, 1 / 36)[1] < rare_evidence([0.0], MARGIN, 1 / 36)[0]


def test_the_evidence_is_a_fair_bet() -> None:
    """At the margin, the mean over all outcomes of the bound's two-point distribution is 1, on the side of it."""
    bound = RARE_STEPS / 36
    share = MARGIN / bound
    no, yes = (math.exp(_one_side([value])[-1]) for value in (0.0, bound))
    assert (1 - share) * no + share * yes == pytest.approx(1.0)


def _one_side(differences: list[float]) -> np.ndarray:
    return equivalence._wealth(np.array(differences), MARGIN, RARE_STEPS / 36)


def test_values_show_their_resolution() -> None:
    accuracies = np.array([35, 34, 36, 35, 31], np.float32) / np.float32(36)
    assert resolution_of(accuracies) == pytest.approx(1 / 36, rel=1e-5)
    assert resolution_of(accuracies - accuracies[::-1], 0.0) == pytest.approx(1 / 36, rel=1e-4)
    assert resolution_of([0.9, 0.9], [0.9]) is None
    assert resolution_of(np.random.default_rng(0).normal(size=40)) < 0.05


@pytest.mark.parametrize(("num_test", "alpha"), [(20, 0.05), (36, 0.05), (360, 0.05), (360, 0.01), (10_000, 0.05)])
def test_fewest_equal_pairs_are_the_fewest(num_test: int, alpha: float) -> None:
    fewest = fewest_equal_pairs(MARGIN, 1 / num_test, alpha)
    assert fewest is not None
    shows = [tost_p_value([0.0] * n, MARGIN, resolution=1 / num_test) <= alpha for n in (fewest - 1, fewest)]
    assert shows == [False, True]


def test_some_never_show_equivalence() -> None:
    assert fewest_equal_pairs(0.0, 0.1, 0.05) is None
    assert fewest_equal_pairs(0.1, None, 0.05) is None
    with pytest.raises(ValueError, match="resolution must not be negative"):
        tost_p_value([0.0, 0.1], 0.1, resolution=-1.0)
