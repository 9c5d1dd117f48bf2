"""Short trainings of networks that read an image row by row: for which data, how long, at which rates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from normlab.claims.search import search
from normlab.claims.settled import running_error, settled_error

if TYPE_CHECKING:
    from collections.abc import Callable

    from normlab.claims.bench import Bench, Budget, Observe
    from normlab.claims.trained import Trained
    from normlab.norms import Norm
    from normlab.train.loop import RunState
    from normlab.train.population import Layout, Population

# These networks are commonly trained with Adam; the upper end of its grid, since the trainings are short.
OPTIMIZER = "adam"
RATES = (0.003, 0.01, 0.03)
TUNING_SEEDS: dict[Budget, int] = {"quick": 2, "full": 3}
# Samples that a run sees at most.
SAMPLES: dict[Budget, int] = {"quick": 10_000, "full": 60_000}


@dataclass(frozen=True)
class Tuned:
    """Runs of all seeds at one of the rates that could have been chosen on validation data.

    Attributes:
        rate: Of these runs.
        running: Test accuracy with the statistics that the runs keep, or 1 - test loss without classes, (seeds,); 0 (or
            -1) where the run diverged.
        settled: Likewise with statistics recomputed over the training part, where the network keeps any.
        trained: The rest, for `with_batch_statistics` and its like.
    """

    rate: float
    running: np.ndarray
    settled: np.ndarray
    trained: Trained


def no_sequence(bench: Bench) -> str:
    """Return why the bench's data has no rows or time steps to go along; empty if it has."""
    if len(bench.dataset.input_shape) in (2, 3):
        return ""
    return f"a sample of {bench.dataset.name} is one vector of columns, without rows or time steps to go along"


def length(bench: Bench) -> tuple[int, int]:
    """Return samples per epoch, in whole batches where there is one, and epochs.

    A last batch of another size would be a second step in every program, and would nearly double its compiling.
    """
    most, size = SAMPLES[bench.budget], bench.batch_size
    count = min(len(bench.dataset.train), most)
    samples = count // size * size or count
    return samples, max(1, min(bench.epochs, most // samples))


def sequence_program(bench: Bench, norm: str | Norm, model: str, **options: Any) -> Population:
    """Return the program of a network that reads rows; options as of `Bench.program`."""
    samples, _ = length(bench)
    # On a CPU these networks run as fast mapped as vectorized, and compile in half the time: not worth measuring.
    on_cpu = bench.data.mesh.devices.flat[0].platform == "cpu"
    layout: Layout | None = "map" if on_cpu else None
    # Half of the seeds side by side: so many are about the runs that choose a rate, and little of them is padding.
    runs = -(-len(bench.seeds) // 2)
    return bench.program(norm, runs=runs, optimizer=OPTIMIZER, model=model, layout=layout, samples=samples, **options)


def train_tuned(
    bench: Bench,
    program: Population,
    start: Callable[[Population, RunState], RunState] | None = None,
    observe: Observe | None = None,
) -> list[Tuned]:
    """Choose the rate with the first tuning seeds, and train every seed at each that could have been chosen.

    Returns:
        The best rate first; `observe` sees the runs at that one only.
    """
    from normlab.train.order import epoch_order

    samples, epochs = length(bench)

    def whole_batches(seed: int, epoch: int, count: int) -> np.ndarray:
        return epoch_order(seed, epoch, count)[:samples]

    tuning_seeds = bench.tuning_seeds[: TUNING_SEEDS[bench.budget]]
    found: list[Tuned] = []
    for rate in search(bench, program, RATES, tuning_seeds, epochs, order=whole_batches, start=start):
        watching = None if found else observe
        at = [rate] * len(bench.seeds)
        trained = bench.train(program, bench.seeds, at, epochs, order=whole_batches, start=start, observe=watching)
        running, settled = running_error(bench, trained), settled_error(bench, program, trained)
        found.append(Tuned(rate, 1 - running, 1 - settled, trained))
    return found
