"""How much a trained network relies on single units and weights: its error with a share of them removed at random."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from normlab import seeding
from normlab.claims.evaluations import groups
from normlab.claims.final_error import final_error
from normlab.claims.settled import settled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from normlab.claims.bench import Bench
    from normlab.claims.trained import Trained
    from normlab.train.population import Population

KINDS = ("units", "weights")
SHARES = (0.25, 0.5, 0.75)


def errors_without(bench: Bench, program: Population, trained: Trained) -> Iterator[tuple[str, float, np.ndarray]]:
    """Yield kind, share removed and test error, (runs,), of the bench's seeds with settled statistics.

    In every layer behind the first, that share of its input units, or of its weights, is set to zero for all test
    samples; nothing is trained again, and the statistics stay those of the whole network. The first is kind `units` and
    share 0: the network as it is. What is removed depends on the seed alone, and a larger share holds the smaller ones,
    so that arms lose the same units. Kernels are those of dense layers and convolutions, (..., inputs, outputs).

    Source: Morcos, Barrett, Rabinowitz, Botvinick 2018, "On the importance of single directions for generalization",
    arXiv:1803.06959, who remove units one after the other.
    """
    found = [(settled(program, state), size) for state, size in groups(program, trained)]
    cases = [("units", 0.0), *((kind, share) for kind in KINDS for share in SHARES)]
    for kind, share in cases if removable(program) else ():
        losses, accuracies = [], []
        for number, (state, size) in enumerate(found):
            seeds = bench.seeds[number * program.capacity :][:size]
            left = _without(program, state.trainable, seeds, kind, share)
            loss, accuracy = program.test(state._replace(trainable=left), size)
            losses.append(loss)
            accuracies.append(accuracy)
        yield kind, share, final_error(bench, np.concatenate(losses), np.concatenate(accuracies), trained.diverged)


def removable(program: Population) -> list[int]:
    """Return the positions, among the trainable variables, of all kernels but the first, which has inputs before it."""
    variables = program.plan.model.trainable_variables
    return [place for place, variable in enumerate(variables) if variable.name == "kernel"][1:]


def _without(program: Population, trainable: list[Any], seeds: list[int], kind: str, share: float) -> list[Any]:
    values = list(trainable)
    for order, place in enumerate(removable(program)):
        stacked = np.array(values[place])
        shape = stacked.shape[1:] if kind == "weights" else (stacked.shape[-2], 1)
        for run, seed in enumerate(seeds):
            drawn = seeding.generator(seed, "claims", "removed", kind, order).permutation(int(np.prod(shape)))
            stacked[run] *= (drawn >= round(share * drawn.size)).reshape(shape)
        values[place] = program.place(stacked)
    return values
