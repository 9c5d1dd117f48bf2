"""What an arm loses against its own best: noise and level must not count, sensitivity must."""

from __future__ import annotations

import numpy as np
import pytest

from normlab.claims.finding import decide
from normlab.claims.own_best import Lost, Scored, loss_effect

SEEDS, SETTINGS, MARGIN, NOTHING = 12, 6, 0.01, 0.1
WEIGHTS = np.full(SETTINGS, 1 / SETTINGS)
FLAT, PEAKED = np.zeros(SETTINGS), -0.2 * np.abs(np.arange(SETTINGS) - 2.0)


def _scored(shape: np.ndarray, level: float, noise: float, seed: int) -> Scored:
    """Return scores around level + shape; validation and test of one run share half of the noise's variance."""
    rng = np.random.default_rng(seed)
    run, validation, test = noise * rng.normal(size=(3, SEEDS, SETTINGS))
    return Scored(level + shape + run + validation, level + shape + run + test, WEIGHTS)


def _verdict(arm: Scored, baseline: Scored) -> str:
    pairs = [(one, other) for one in arm.possible() for other in baseline.possible()]
    return decide(loss_effect(pairs, nothing=NOTHING, margin=MARGIN)).verdict


def test_the_best_is_that_of_the_other_seeds() -> None:
    """Seed 0 alone does best at the last setting; the others at the first, seed 0's own scores left out."""
    validation = np.array([[0.0, 0.1, 9.0], [0.5, 0.4, 0.0], [0.5, 0.4, 0.0]])
    scored = Scored(validation, np.array([[1.0, 2.0, 3.0]] * 3), np.array([0.5, 0.5, 0.0]))
    assert scored.left_out_bests().tolist() == [0, 2, 2]
    np.testing.assert_allclose(scored.lost().losses, [1.0 - 1.5, 3.0 - 1.5, 3.0 - 1.5])
    assert scored.lost().best == pytest.approx(7 / 3)
    np.testing.assert_allclose(scored.lost(1).losses, 0.5)


def test_a_loss_of_an_arm_without_sensitivity_is_zero_on_average_however_noisy() -> None:
    losses = [_scored(FLAT, 0.9, 0.05, seed).lost().losses.mean() for seed in range(200)]
    assert abs(np.mean(losses)) < 0.002
    by_own_scores = [(s.test.max(1) - s.level).mean() for s in (_scored(FLAT, 0.9, 0.05, seed) for seed in range(200))]
    assert np.mean(by_own_scores) > 0.05  # the bias that this avoids: five margins


@pytest.mark.parametrize(
    ("arm", "baseline", "allowed"),
    [
        ((FLAT, 0.9, 0.003), (PEAKED, 0.9, 0.003), {"supported"}),
        ((PEAKED, 0.9, 0.003), (FLAT, 0.9, 0.003), {"refuted"}),
        ((PEAKED, 0.95, 0.003), (PEAKED, 0.85, 0.003), {"refuted", "undecided"}),  # level, added
        ((PEAKED, 0.85, 0.003), (PEAKED, 0.95, 0.003), {"refuted", "undecided"}),
        ((0.5 * PEAKED, 0.5, 0.003), (PEAKED, 0.9, 0.003), {"refuted", "undecided"}),  # level, multiplied above 0.1
        ((FLAT, 0.9, 0.003), (FLAT, 0.9, 0.05), {"refuted", "undecided"}),  # noise
        ((FLAT, 0.9, 0.05), (FLAT, 0.9, 0.003), {"refuted", "undecided"}),
        ((FLAT, 0.1, 0.003), (PEAKED, 0.9, 0.003), {"undecided", "refuted"}),  # never learns anything
    ],
)
def test_verdicts(arm: tuple, baseline: tuple, allowed: set[str]) -> None:
    found = [_verdict(_scored(*arm, seed), _scored(*baseline, 100 + seed)) for seed in range(3)]
    # A test at 5 % errs in one direction once in forty; two of three by chance have probability 0.002.
    assert sum(one not in allowed for one in found) <= 1


def test_equal_arms_are_seldom_called_different() -> None:
    found = [_verdict(_scored(PEAKED, 0.9, 0.02, seed), _scored(PEAKED, 0.9, 0.02, 500 + seed)) for seed in range(40)]
    assert found.count("supported") <= 4  # 0.025 is nominal; more than 4 of 40 has probability 0.003


def test_the_effect_holds_under_every_choice() -> None:
    """Where the second choice says the opposite, nothing is decided; the difference shown is that of the first."""
    rng = np.random.default_rng(0)
    less, more = (Lost(loss + 0.001 * rng.normal(size=SEEDS), 0.9) for loss in (0.1, 0.2))
    assert decide(loss_effect([(less, more)], nothing=NOTHING, margin=MARGIN)).verdict == "supported"
    both = loss_effect([(less, more), (more, less)], nothing=NOTHING, margin=MARGIN)
    assert decide(both).verdict == "undecided"
    assert both.difference == pytest.approx(-0.1, abs=0.002)
