"""The learning rates of a protocol of a claim's own: all that may be the best, on a grid that is extended at its edges."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from normlab.claims.rates import choice_of
from normlab.claims.trained import side_by_side
from normlab.study.rates import rates_beyond

if TYPE_CHECKING:
    from normlab.claims.trained import Trained


def search(train: Callable[[Sequence[float]], Trained], grid: Sequence[float], task: str) -> tuple[float, ...]:
    """Return all rates that may be the best, the best one first, by the rule of `study.rates`.

    `Bench.possible_rates` does so for runs as they are; this is for runs in another order, or from other weights.

    Args:
        train: Rates -> runs of every tuning seed at each of them, rate by rate.
        grid: Rates, ascending; where the best lies at an edge, those beyond it are tried too.
        task: "classification" or "regression".
    """
    tried: dict[float, Trained] = {}
    missing = list(grid)
    while missing:
        trained = train(missing)
        count = len(trained.diverged) // len(missing)
        tried.update({rate: trained.of_runs(slice(n * count, (n + 1) * count)) for n, rate in enumerate(missing)})
        rates = sorted(tried)
        choice = choice_of(rates, side_by_side([tried[rate] for rate in rates]), task)
        missing = rates_beyond(grid, tried, [choice.rate])
    return choice.rates
