"""The learning rates of runs of a claim's own: all that may be the best, on a grid that is extended at its edges."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from normlab.claims.rates import choice_of
from normlab.claims.settled import with_settled_validation
from normlab.claims.trained import side_by_side
from normlab.study.rates import rates_beyond

if TYPE_CHECKING:
    from normlab.claims.bench import Bench, Order
    from normlab.claims.trained import Trained
    from normlab.train.loop import RunState
    from normlab.train.population import Population


def search(
    bench: Bench,
    program: Population,
    grid: Sequence[float],
    seeds: Sequence[int],
    epochs: int,
    *,
    order: Order | None = None,
    start: Callable[[Population, RunState], RunState] | None = None,
) -> tuple[float, ...]:
    """Return all rates that may be the best, the best one first, by the rule of `study.rates`.

    `Bench.possible_rates` does so for runs as they are; this is for runs in another order, or from other weights.

    Args:
        bench: What trains.
        program: Of one arm.
        grid: Rates, ascending; where the best lies at an edge, those beyond it are tried too.
        seeds: That the choice rests on; they are trained at every rate.
        epochs: As of `Bench.train`, and likewise the others.
        order: See there.
        start: See there.
    """
    tried: dict[float, Trained] = {}
    missing = list(grid)
    while missing:
        at, own = np.repeat(missing, len(seeds)).tolist(), list(seeds) * len(missing)
        trained = with_settled_validation(
            program, bench.train(program, own, at, epochs, order=order, start=start, test=False)
        )
        for number, rate in enumerate(missing):
            tried[rate] = trained.of_runs(slice(number * len(seeds), (number + 1) * len(seeds)))
        rates = sorted(tried)
        choice = choice_of(rates, side_by_side([tried[rate] for rate in rates]), bench.dataset.task)
        missing = rates_beyond(grid, tried, [choice.rate])
    return choice.rates
