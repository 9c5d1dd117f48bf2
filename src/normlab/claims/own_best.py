"""What an arm loses against its own best setting: the best chosen on other data than the loss is judged on.

The best of several noisy scores lies above the best mean: an arm whose runs scatter more would seem to lose more. So
the best is chosen by the validation scores of the *other* seeds, and scored on the test data of the seed itself: luck
cannot make a run's own setting the best. Where chance decides between settings of nearly one mean, the comparison is
made for every one that could have been chosen.

Nor must the level count as sensitivity: of two arms, the one that scores lower may have less to lose. So losses are
compared in points, and as a share of what the arm's best lies above knowing nothing; both must agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from normlab.stats.choices import possible_options, under_every_choice
from normlab.stats.effect import Effect, paired_effects


@dataclass(frozen=True)
class Lost:
    """What an arm loses against its own best.

    Attributes:
        losses: Own best score minus the score that settings give on average, by seed, (seeds,).
        best: The mean own best score.
    """

    losses: NDArray[np.float64]
    best: float


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

    def left_out_bests(self) -> NDArray[np.int64]:
        """Return for each seed the setting with the highest mean validation score over the other seeds, (seeds,).

        Ties go to the first. With one seed there is no other: its own scores choose.
        """
        total = self.validation.sum(axis=0)
        others = total - self.validation if len(self.validation) > 1 else self.validation
        # Sums in another order must not decide a tie.
        return np.argmax(others >= others.max(axis=1, keepdims=True) - 1e-9, axis=1)

    def lost(self, best: int | NDArray[np.int64] | None = None) -> Lost:
        """Return what is lost against the setting `best`, for all seeds or for each; default: `left_out_bests`."""
        chosen = self.left_out_bests() if best is None else best
        rows = np.arange(len(self.test))
        at_best = self.test[rows, np.broadcast_to(chosen, len(rows))]
        return Lost(at_best - self.level, float(at_best.mean()))

    def possible(self) -> list[Lost]:
        """Return what is lost against each seed's left-out best, and against every setting that may be the best."""
        return [self.lost(), *(self.lost(best) for best in possible_options([-self.validation.T]))]


def loss_effect(pairs: Sequence[tuple[Lost, Lost]], *, nothing: float, margin: float) -> Effect:
    """Return what an arm loses minus what its baseline does, seed by seed; below 0, the arm is less sensitive.

    Args:
        pairs: Arm and baseline under every choice (of rates, of best settings), the choice that was made first.
        nothing: The score of knowing nothing.
        margin: Of the difference of losses, in points.

    Returns:
        The difference in points under the first choice. It counts as a difference, or as none, only if it does under
        every choice, in points and as a share: losses divided by the arm's best - `nothing`, times the mean of that
        over both arms. The margin is the same.
    """
    values, baselines = [], []
    for arm, baseline in pairs:
        # An arm that never learns has nothing to lose, and shows nothing: its share is of at least the margin.
        gaps = [max(one.best - nothing, margin) for one in (arm, baseline)]
        values += [arm.losses, arm.losses * np.mean(gaps) / gaps[0]]
        baselines += [baseline.losses, baseline.losses * np.mean(gaps) / gaps[1]]
    effects = paired_effects(np.array(values), np.array(baselines), margin=margin, higher_is_better=False)
    # In points and as a share is one choice twice.
    return replace(under_every_choice(effects), choices=len(pairs))
