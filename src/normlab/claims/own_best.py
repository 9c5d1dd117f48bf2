"""What an arm loses against its own best setting, where the best is chosen on other data than the loss is judged on.

The best of several noisy scores lies above the best mean: an arm whose runs scatter more would seem to lose more. So
the best is chosen by the validation scores of the *other* seeds, and scored on the test data of the seed itself: a run's
luck cannot make its own setting the best. Where chance decides between settings of nearly one mean, the comparison is
made for every one that could have been chosen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from normlab import seeding
from normlab.stats.choices import under_every_choice
from normlab.stats.effect import Effect, paired_effects

NUM_RESAMPLES = 2000
# A setting that fewer resamples of the seeds choose is no candidate: the share that a test at 5 % neglects, too.
LEAST_SHARE = 0.05


@dataclass(frozen=True)
class Scored:
    """The scores of one arm at one learning rate, higher is better.

    Attributes:
        validation: By seed and setting, (seeds, settings); chooses.
        test: Likewise; judged.
        weights: Of the settings in the mean that is set against the best, (settings,), sum 1; 0 for a setting that may
            be the best and is not averaged.
    """

    validation: NDArray[np.float64]
    test: NDArray[np.float64]
    weights: NDArray[np.float64]

    @property
    def level(self) -> NDArray[np.float64]:
        """The mean test score over the settings, (seeds,)."""
        return self.test @ self.weights

    def losses(self, best: int | NDArray[np.int64]) -> NDArray[np.float64]:
        """Return test score at the best setting - mean over the settings, (seeds,); `best` for all seeds or for each."""
        rows = np.arange(len(self.test))
        at_best: NDArray[np.float64] = self.test[rows, np.broadcast_to(best, len(rows))]
        return at_best - self.level


def left_out_bests(validation: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return for each seed the setting with the highest mean score over the other seeds, (seeds,); ties: the first.

    With one seed there is no other: its own scores choose.
    """
    total = validation.sum(axis=0)
    others = total - validation if len(validation) > 1 else validation
    return _first_of_the_best(others)


def possible_bests(validation: NDArray[np.float64], least: float = LEAST_SHARE) -> list[int]:
    """Return the settings with the highest mean score in at least that share of resamples of the seeds, ascending."""
    count = len(validation)
    drawn = seeding.generator(0, "claims", "own best").integers(count, size=(NUM_RESAMPLES, count))
    times = np.stack([(drawn == seed).sum(axis=1) for seed in range(count)], axis=1)
    chosen = np.bincount(_first_of_the_best(times @ validation), minlength=validation.shape[1])
    return [int(index) for index in np.flatnonzero(chosen >= least * NUM_RESAMPLES)]


def loss_effect(arm: Sequence[Scored], baseline: Sequence[Scored], margin: float) -> Effect:
    """Return what the arm loses minus what its baseline does, pair by pair; below 0, the arm is less sensitive.

    Args:
        arm: At every learning rate that could have been chosen, the one that was chosen first.
        baseline: Likewise, of the same seeds.
        margin: Of the difference of losses.

    Returns:
        The difference with the best setting of each seed chosen on the others; it counts as a difference, or as none,
        only if it does at every rate and with every setting that could have been the best.
    """
    rows = [
        (first, second)
        for one in arm
        for other in baseline
        for first in _possible_losses(one)
        for second in _possible_losses(other)
    ]
    values, baselines = (np.array(side) for side in zip(*rows, strict=True))
    return under_every_choice(paired_effects(values, baselines, margin=margin, higher_is_better=False))


def _possible_losses(scored: Scored) -> list[NDArray[np.float64]]:
    left_out = scored.losses(left_out_bests(scored.validation))
    return [left_out, *(scored.losses(best) for best in possible_bests(scored.validation))]


def _first_of_the_best(scores: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the first setting of the highest score of each row; sums in another order must not decide a tie."""
    near = scores >= scores.max(axis=-1, keepdims=True) - 1e-9
    return np.argmax(near, axis=-1)
