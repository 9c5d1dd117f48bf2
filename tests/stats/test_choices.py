"""Which options chance leaves open, and effects under each of them: planted options, laws, and rates by simulation."""

from __future__ import annotations

import numpy as np
import pytest

from normlab.stats.choices import (
    LEAST_SHARE,
    best_for_each,
    best_option,
    possible_options,
    under_every_choice,
)
from normlab.stats.effect import Effect, paired_effect
from normlab.stats.verdict import judge
from tests.stats.calibration import in_band

RNG = np.random.default_rng(11)
NOISE = RNG.normal(size=10)


def _effect(mean: float, noise: np.ndarray = NOISE, margin: float = 0.5) -> Effect:
    return paired_effect(mean + noise, np.zeros(len(noise)), margin=margin, higher_is_better=True, num_resamples=999)


def test_options_are_compared_by_one_criterion_after_the_other() -> None:
    diverged = np.array([[0, 1], [0, 0], [0, 0], [0, 0]])
    error = np.array([[0.0, 0.0], [0.3, 0.1], [0.2, 0.2], [0.5, 0.5]])
    loss = np.array([[0.0, 0.0], [2.0, 2.0], [1.0, 1.0], [0.0, 0.0]])
    assert best_option([diverged, error, loss]) == 2  # the first diverged; the second ties, with the larger loss
    assert best_option([diverged, error]) == 1  # of equal ones the first
    loss[2, 0] = np.nan
    assert best_option([diverged, error, loss]) == 1


def test_each_replicate_chooses_for_itself() -> None:
    error = np.array([[0.0, 0.3, 0.2], [0.1, 0.3, 0.1]])
    loss = np.array([[1.0, 2.0, np.nan], [1.0, 1.0, 1.0]])
    assert best_for_each([error, loss]).tolist() == [0, 1, 1]
    assert best_for_each([loss]).tolist() == [0, 1, 1]


POSSIBLE = {
    "one option wins on every replicate": ([[1, 1, 1, 1], [2, 2, 2, 2]], [0]),
    "the winner changes from replicate to replicate": ([[1, 3, 1, 3], [2, 2, 2, 2]], [0, 1]),
    "one replicate of eight decides otherwise, by much": ([[0, 0, 0, 0, 0, 0, 0, 20], [1] * 8], [1, 0]),
    "one replicate of eight decides otherwise, by little": ([[0, 0, 0, 0, 0, 0, 0, 1.5], [1] * 8], [0]),
    "any of three replicates keeps an option": ([[0, 0, 1.1], [1, 1, 1]], [0, 1]),
    "a rate that diverged once in eight is no longer the best in most resamples": (
        [[0] * 7 + [np.inf], [1] * 8],
        [1, 0],
    ),
    "one replicate shows no chance": ([[1], [2]], [0]),
    "one option": ([[1, 2, 3]], [0]),
}


@pytest.mark.parametrize("case", POSSIBLE)
def test_an_option_stays_open_while_resamples_choose_it(case: str) -> None:
    values, expected = POSSIBLE[case]
    assert possible_options([np.array(values, dtype=float)]) == expected


def test_the_shares_of_two_equal_options_are_those_of_new_replicates() -> None:
    """Of two options with equal means, the better one rules the other out in at most about twice 5 % of studies."""
    generator, studies = np.random.default_rng(3), 300
    alone = sum(len(possible_options([generator.normal(size=(2, 8))])) == 1 for _ in range(studies))
    assert in_band(alone, 2 * LEAST_SHARE - 0.04, 2 * LEAST_SHARE + 0.03, trials=studies)


def test_equal_arms_are_seldom_left_without_a_common_option() -> None:
    """Where two arms have the same two options, their sets are disjoint in few studies even with three replicates."""
    generator, studies = np.random.default_rng(4), 300
    for replicates, most in ((3, 0.05), (8, 0.02)):
        sets = [[set(possible_options([generator.normal(size=(2, replicates))])) for _ in "ab"] for _ in range(studies)]
        assert in_band(sum(not (one & other) for one, other in sets), 0.0, most, trials=studies)


def test_one_choice_changes_nothing() -> None:
    effect = _effect(1.0)
    assert under_every_choice([effect]) is effect


def test_an_effect_is_the_worst_over_the_choices() -> None:
    strong, weak = _effect(2.0), _effect(0.8)
    found = under_every_choice([strong, weak])
    assert (found.value, found.difference, found.deviation) == (strong.value, strong.difference, strong.deviation)
    assert (found.ci_low, found.ci_high) == (weak.ci_low, strong.ci_high)
    assert (found.p_value, found.p_equivalence) == (
        max(strong.p_value or 0, weak.p_value or 0),
        max(strong.p_equivalence or 0, weak.p_equivalence or 0),
    )
    assert found.choices == 2


CASES = {
    "better under each": ((2.0, 1.5), 0.5, "better"),
    "worse under each": ((-2.0, -1.5), 0.5, "worse"),
    "better under one, the other open": ((2.0, 0.0), 0.5, "undecided"),
    "better under one, worse under the other": ((2.0, -2.0), 0.5, "undecided"),
    "equivalent under each": ((0.1, -0.1), 2.0, "equivalent"),
    "equivalent under one, better under the other": ((0.0, 3.0), 1.0, "undecided"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_verdict_holds_under_every_choice(case: str) -> None:
    means, margin, verdict = CASES[case]
    noise = NOISE - NOISE.mean()
    found = judge([under_every_choice([_effect(mean, noise, margin) for mean in means])])[0]
    assert found.verdict == verdict
    assert found.pairs_needed is None
    assert "worst of 2 choices" in found.reason
    assert ("more tuning seeds" in found.outlook) == (verdict == "undecided")


def test_too_few_pairs_stay_without_a_p_value() -> None:
    few = [_effect(mean, NOISE[:5]) for mean in (1.0, -1.0)]
    assert under_every_choice(few).p_value is None


def test_wrong_effects_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        under_every_choice([])
    lower = paired_effect(NOISE, NOISE, margin=0.5, higher_is_better=False, num_resamples=99)
    with pytest.raises(ValueError, match="one comparison"):
        under_every_choice([_effect(1.0), lower])
