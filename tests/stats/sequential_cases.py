"""Calibration of what may be looked at after every pair: wrong verdicts, power, and families under a stopping rule."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from normlab.stats.sequential import STATES, states_after_each_pair
from tests.stats.calibration import NOISE, Case, Rows

States = NDArray[np.int64]
Procedure = Callable[..., States]
BETTER, WORSE, EQUIVALENT = (STATES.index(word) for word in ("better", "worse", "equivalent"))
PAIRS = 100
STUDIES = 4000


def itself(noise: str, procedure: Procedure, generator: np.random.Generator, studies: int) -> int:
    """An arm against itself, looked at after every pair: ever called different."""
    differences = np.subtract(*(NOISE[noise](generator, (studies, PAIRS)) for _ in range(2)))
    return _ever(procedure(differences, margin=0.0), BETTER, WORSE)


def coin(procedure: Procedure, generator: np.random.Generator, studies: int) -> int:
    """Differences of -1 and 1 only: ever called different."""
    return _ever(procedure(generator.choice([-1.0, 1.0], (studies, PAIRS)), margin=0.0), BETTER, WORSE)


def skewed(side: int, procedure: Procedure, generator: np.random.Generator, studies: int) -> int:
    """Differences of mean 0 but skewness 2: ever called different on one side."""
    return _ever(procedure(NOISE["skewed"](generator, (studies, PAIRS)), margin=0.0), side)


def at_margin(noise: str, margin: float, procedure: Procedure, generator: np.random.Generator, studies: int) -> int:
    """A true difference of exactly the margin: ever called equivalent, or worse."""
    differences = margin + NOISE[noise](generator, (studies, PAIRS))
    return _ever(procedure(differences, margin=margin), EQUIVALENT, WORSE)


def power(effect: float, pairs: int, procedure: Procedure, generator: np.random.Generator, studies: int) -> int:
    """A true effect, in deviations: called better after so many pairs."""
    states = procedure(generator.normal(effect, 1.0, (studies, pairs)), margin=0.0)
    return int(np.sum(states[:, -1] == BETTER))


def equivalence(margin: float, pairs: int, procedure: Procedure, generator: np.random.Generator, studies: int) -> int:
    """No difference: called equivalent after so many pairs."""
    states = procedure(generator.normal(0.0, 1.0, (studies, pairs)), margin=margin)
    return int(np.sum(states[:, -1] == EQUIVALENT))


def family_of_nulls(procedure: Procedure, generator: np.random.Generator, studies: int) -> int:
    """Four arms that do not differ from their one baseline, 60 pairs: any ever called different."""
    differences = _against_one_baseline(generator, studies)
    return _ever(procedure(differences, margin=0.0, alpha=0.05 / 4).reshape(studies, -1), BETTER, WORSE)


def mixed_family(procedure: Procedure, generator: np.random.Generator, studies: int) -> int:
    """Four arms against one baseline, five pairs at a time up to 60 until all are decided: any wrong verdict then.

    Two arms do not differ, one differs by exactly the margin of 1.5 deviations, one by half of it, which may be called
    better or equivalent.
    """
    truth, margin = np.array([0.0, 0.0, 1.5, 0.75]), 1.5
    wrong = np.array([[word in words for word in STATES] for words in (_DIFFERENT, _DIFFERENT, _NOT_BETTER, ["worse"])])
    differences = truth[:, None] + _against_one_baseline(generator, studies)
    looks = procedure(differences, margin=margin, alpha=0.05 / 4)[..., 4::5]
    complete = np.all(looks > 0, axis=1)
    stop = np.where(complete.any(axis=1), complete.argmax(axis=1), looks.shape[-1] - 1)
    final = np.take_along_axis(looks, stop[:, None, None], axis=2)[..., 0]
    return int(np.sum(wrong[np.arange(4), final].any(axis=1)))


_DIFFERENT, _NOT_BETTER = ["better", "worse"], ["worse", "equivalent"]


def _against_one_baseline(generator: np.random.Generator, studies: int) -> Rows:
    differences: Rows = generator.normal(size=(studies, 4, 60)) - generator.normal(size=(studies, 1, 60))
    return differences / math.sqrt(2)


def _ever(states: States, *which: int) -> int:
    return int(np.sum(np.isin(states, which).any(axis=1)))


def _case(name: str, low: float, high: float, hits: Callable[..., int], studies: int = STUDIES) -> Case:
    return Case(name, low, high, hits, states_after_each_pair, studies)


# Where no theory gives the rate, the bounds are two standard errors around that of a longer simulation, 4,000 to
# 40,000 studies with other seeds.
CASES = [
    *(_case(f"sequential, arm against itself, {noise}", 0.0, 0.05, partial(itself, noise)) for noise in NOISE),
    _case("sequential, differences of -1 and 1", 0.0, 0.05, coin),
    _case("sequential, skewed differences, short side", 0.1192, 0.1252, partial(skewed, WORSE)),
    _case("sequential, skewed differences, long side", 0.0, 0.005, partial(skewed, BETTER)),
    _case("sequential, at a margin of 1, gaussian", 0.0, 0.05, partial(at_margin, "gaussian", 1.0)),
    _case("sequential, at a margin of 1, heavy-tailed", 0.0, 0.05, partial(at_margin, "heavy-tailed", 1.0)),
    _case("sequential, effect of 1, better by 20 pairs", 0.8212, 0.8272, partial(power, 1.0, 20)),
    _case("sequential, effect of 0.5, better by 60 pairs", 0.7714, 0.7774, partial(power, 0.5, 60)),
    _case("sequential, no effect, equivalent at margin 1 by 20 pairs", 0.654, 0.66, partial(equivalence, 1.0, 20)),
    _case("sequential, four arms like their baseline, any called different", 0.0, 0.05, family_of_nulls),
    _case("sequential, four mixed arms in chunks of 5, any wrong", 0.0, 0.05, mixed_family),
]


def peeking_t_test(differences: Rows, *, margin: float, alpha: float = 0.05) -> States:
    """Broken on purpose: the fixed-sample t tests at every look from six pairs on; the first decision stays."""
    count = np.arange(1.0, differences.shape[-1] + 1.0)
    mean = np.cumsum(differences, axis=-1) / count
    squares = np.cumsum(differences**2, axis=-1) - count * mean**2
    error = np.sqrt(np.maximum(squares, 1e-12) / np.maximum(count - 1, 1) / count)
    critical, one_sided = (stats.t.ppf(1 - level, np.maximum(count - 1, 1)) for level in (alpha / 2, alpha))
    states = np.where(mean / error > critical, BETTER, np.where(mean / error < -critical, WORSE, 0))
    states = np.where((margin - np.abs(mean)) / error > one_sided, EQUIVALENT, states)
    states[..., :5] = 0
    return _keep_first(states)


def gaussian_mixture(differences: Rows, *, margin: float, alpha: float = 0.05) -> States:
    """Not broken, but made for Gaussian differences: the Bayes factor of a mean of N(0, 1) deviations, Lai's way."""
    count = np.arange(1.0, differences.shape[-1] + 1.0)
    mean = np.cumsum(differences, axis=-1) / count
    variance = np.maximum(np.cumsum(differences**2, axis=-1) / count - mean**2, 1e-12)
    ratio = mean**2 / variance
    evidence = count / 2 * (np.log1p(ratio) - np.log1p(ratio / (1 + count))) - np.log1p(count) / 2
    return np.where(evidence < math.log(1 / alpha), 0, np.where(mean > 0, BETTER, WORSE))


def unsplit(differences: Rows, *, margin: float, alpha: float = 0.05) -> States:
    """Broken on purpose: a family's level is not split."""
    return states_after_each_pair(differences, margin=margin, alpha=min(0.9, 4 * alpha))


def twice_the_level(differences: Rows, *, margin: float, alpha: float = 0.05) -> States:
    """Broken on purpose: each side has the level that both should share."""
    return states_after_each_pair(differences, margin=margin, alpha=2 * alpha)


def turned_around(differences: Rows, *, margin: float, alpha: float = 0.05) -> States:
    """Broken on purpose: better and worse are exchanged."""
    return states_after_each_pair(-differences, margin=margin, alpha=alpha)


def wide_margin(differences: Rows, *, margin: float, alpha: float = 0.05) -> States:
    """Broken on purpose: a margin half as wide again as the one stated."""
    return states_after_each_pair(differences, margin=1.5 * margin, alpha=alpha)


def never(differences: Rows, *, margin: float, alpha: float = 0.05) -> States:
    """Broken on purpose: nothing is ever decided."""
    return np.zeros(differences.shape, dtype=np.int64)


def _keep_first(states: States) -> States:
    decided = states > 0
    first = np.take_along_axis(states, decided.argmax(axis=-1)[..., None], axis=-1)
    kept: States = np.where(np.logical_or.accumulate(decided, axis=-1), first, 0)
    return kept


BROKEN: list[tuple[str, Procedure]] = [
    ("sequential, arm against itself, gaussian", peeking_t_test),
    ("sequential, arm against itself, accuracy", peeking_t_test),
    ("sequential, arm against itself, skewed", twice_the_level),
    ("sequential, differences of -1 and 1", twice_the_level),
    ("sequential, differences of -1 and 1", gaussian_mixture),
    ("sequential, at a margin of 1, gaussian", peeking_t_test),
    ("sequential, at a margin of 1, gaussian", wide_margin),
    ("sequential, effect of 1, better by 20 pairs", turned_around),
    ("sequential, effect of 0.5, better by 60 pairs", never),
    ("sequential, no effect, equivalent at margin 1 by 20 pairs", wide_margin),
    ("sequential, four arms like their baseline, any called different", unsplit),
    ("sequential, four mixed arms in chunks of 5, any wrong", wide_margin),
]
