"""What a diverged run counts as."""

from __future__ import annotations

import math

import numpy as np
import pytest

from normlab.stats.divergence import chance_loss, counted_accuracy, counted_loss


@pytest.mark.parametrize(("largest", "counted_as"), [(2.0, 3.0), (7.0, 7.0)])
def test_a_diverged_run_is_no_better_than_any_other(largest: float, counted_as: float) -> None:
    losses, diverged = [0.5, largest, math.nan, math.inf, 0.25], [False, False, False, False, True]
    assert counted_loss(losses, diverged, 1.5).tolist() == [0.5, largest, counted_as, counted_as, counted_as]
    assert counted_accuracy([0.9, 0.1, math.nan, 0.2, 0.8], diverged).tolist() == [0.9, 0.1, 0.0, 0.2, 0.0]


def test_runs_that_all_diverged_count_alike() -> None:
    assert counted_loss([math.nan, 9.0], [True, True], 1.0).tolist() == [2.0, 2.0]


def test_the_loss_at_chance_level() -> None:
    """It is that of equal probabilities, or of predicting the mean of a standardized target."""
    assert chance_loss(3) == pytest.approx(-np.log(np.full(3, 1 / 3)).mean())
    target = np.random.default_rng(0).normal(size=100)
    target = (target - target.mean()) / target.std()
    assert chance_loss(0) == pytest.approx(np.mean(target**2))
