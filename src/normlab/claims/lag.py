"""What the lag of running statistics costs: the error with them against that with statistics recomputed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from normlab.claims.finding import numbers
from normlab.stats.bootstrap import FEWEST_PAIRS
from normlab.stats.choices import under_every_choice
from normlab.stats.effect import Effect, paired_effect, paired_effects
from normlab.stats.verdict import Judged, judge


def lag_effects(
    running: Sequence[ArrayLike], recomputed: Sequence[ArrayLike], *, margin: float, higher_is_better: bool
) -> list[Judged]:
    """Return, per condition, running minus recomputed, seed by seed, judged with Holm's correction over them.

    It says how far a network as deployed differs from what it has learned, and moves no verdict on training.

    Args:
        running: By condition, scores or errors with the running statistics, (seeds,).
        recomputed: Likewise, of the same runs.
        margin: Inside which the lag costs nothing worth a name.
        higher_is_better: Whether the values are scores.
    """
    pairs = zip(running, recomputed, strict=True)
    return judge(
        [paired_effect(*pair, margin=margin, higher_is_better=higher_is_better) for pair in pairs], correction="holm"
    )


def lag_words(judged: Judged) -> str:
    """Return the cost as a clause."""
    effect = judged.effect
    return f"the lag of its running statistics changes that by {effect.difference:+.3f} ({interval_words(effect)})"


def lag_numbers(judged: Judged) -> dict[str, Any]:
    """Return the cost for the details of a finding."""
    return {**numbers(judged.effect), "verdict": judged.verdict}


def interval_words(effect: Effect) -> str:
    """Return the effect's interval, or with too few pairs for one their number."""
    if effect.pairs < FEWEST_PAIRS:
        return f"{effect.pairs} pair{'s' * (effect.pairs > 1)}, too few for an interval"
    return f"{effect.ci_low:+.3f} to {effect.ci_high:+.3f}"


def over_choices(
    arm: Sequence[np.ndarray], baseline: Sequence[np.ndarray], *, margin: float, higher_is_better: bool
) -> Effect:
    """Return the effect of an arm, each at every learning rate that could have been chosen for it, the best one first.

    It counts as a difference, or as none, only if it does for every pair of rates: see `under_every_choice`.
    """
    rows = [(one, other) for one in arm for other in baseline]
    values, baselines = (np.array(side) for side in zip(*rows, strict=True))
    return under_every_choice(paired_effects(values, baselines, margin=margin, higher_is_better=higher_is_better))
