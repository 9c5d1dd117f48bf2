"""Times that may never come: restricted to a horizon."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def restrict(times: ArrayLike, horizon: float) -> NDArray[np.float64]:
    """Return min(time, horizon) for every time, in the same unit and shape.

    An infinite time (never reached) counts as the horizon. The mean over runs is the restricted mean time: the area
    under the share of runs not there yet, up to the horizon. Every run must have been watched up to the horizon, or up
    to its target; runs that were stopped before either give a mean that is too small.

    Source: Royston and Parmar 2013, BMC Medical Research Methodology 13, 152.

    Raises:
        ValueError: If a time is negative or NaN, or the horizon is not positive and finite.
    """
    array = np.asarray(times, dtype=np.float64)
    if not (np.isfinite(horizon) and horizon > 0):
        raise ValueError(f"horizon must be positive and finite, got {horizon!r}.")
    if not np.all(array >= 0):
        raise ValueError("times must be zero, positive or infinite (never reached), got a negative time or NaN.")
    return np.minimum(array, horizon)
