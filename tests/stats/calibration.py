"""What the calibration tests share: noise, a rate's binomial band, and cases that measure a rate by simulation."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Rows = NDArray[np.float64]
NOISE: dict[str, Callable[[np.random.Generator, tuple[int, ...]], Rows]] = {
    "gaussian": lambda generator, shape: generator.normal(size=shape),
    "heavy-tailed": lambda generator, shape: generator.standard_t(3, size=shape) / math.sqrt(3),
    "skewed": lambda generator, shape: generator.exponential(size=shape) - 1,
    "accuracy": lambda generator, shape: (generator.binomial(100, 0.9, size=shape) / 100 - 0.9) / 0.03,
}
"""Mean 0 and deviation 1: the third has skewness 2, the fourth is an accuracy over 100 samples."""


def in_band(hits: int, rate_low: float, rate_high: float | None = None, *, trials: int) -> bool:
    """Whether `hits` is credible (99.9 %) for some true rate from `rate_low` to `rate_high`."""
    high = rate_low if rate_high is None else rate_high
    return bool(stats.binom.ppf(0.0005, trials, rate_low) <= hits <= stats.binom.ppf(0.9995, trials, high))


@dataclass(frozen=True)
class Case:
    """A rate measured by simulation.

    Attributes:
        name: Its row in docs/statistics.md.
        low: The least that the true rate may be; 0 where the method may be conservative.
        high: The most that it may be.
        hits: From a procedure, a generator and a number of studies to how many of them count.
        procedure: What is measured; a broken one in its place must leave the band.
        studies: How many are simulated.
        seed: Of the generator.
    """

    name: str
    low: float
    high: float
    hits: Callable[[Any, np.random.Generator, int], int]
    procedure: Callable[..., Any]
    studies: int
    seed: int = 0

    def measure(self, procedure: Callable[..., Any] | None = None) -> int:
        """Return how many studies count, with another procedure if one is given."""
        return int(self.hits(procedure or self.procedure, np.random.default_rng(self.seed), self.studies))

    def holds(self, hits: int) -> bool:
        """Whether so many hits are credible for a rate that the case allows."""
        return in_band(hits, self.low, self.high, trials=self.studies)
