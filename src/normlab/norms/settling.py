"""How long running statistics take to settle: what n moves at momentum m leave of the initial ones is m^n."""

from __future__ import annotations

import math

LEFT_IF_SETTLED = 0.05
"""Statistics have settled where at most this share of the initial ones is left."""
# Momenta in common use, from Keras's 0.99 and PyTorch's 0.9 (0.1 in its own terms) down to where a single batch counts
# for half.
USUAL_MOMENTA = (0.999, 0.99, 0.98, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5)


def settling_momentum(momentum: float, num_moves: int) -> float | None:
    """Return the largest usual momentum below this one at which so many moves settle statistics, if there is one."""
    settling = (m for m in USUAL_MOMENTA if m < momentum and m**num_moves <= LEFT_IF_SETTLED)
    return next(settling, None)


def steps_until_settled(momentum: float) -> int:
    """Return how many moves settle statistics of this momentum: the smallest n with m^n <= `LEFT_IF_SETTLED`."""
    return 1 if momentum <= LEFT_IF_SETTLED else math.ceil(math.log(LEFT_IF_SETTLED) / math.log(momentum))
