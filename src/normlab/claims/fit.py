"""Runs watched after every epoch: how well they fit the training data, and how they do on the test data."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from normlab.claims.bench import as_norm
from normlab.claims.settled import keeps_running_statistics, settled

if TYPE_CHECKING:
    from normlab.claims.bench import Bench
    from normlab.claims.trained import Trained
    from normlab.norms import Norm
    from normlab.train.loop import RunState
    from normlab.train.population import Population


def watched(bench: Bench, norm: str | Norm, rate: float) -> Trained:
    """Train the bench's seeds at one rate, and watch them; kept, since claims ask for the same runs.

    Observed, before the first epoch and after each: training loss, test and validation loss and accuracy, all in
    evaluation mode, with running statistics and with recomputed ones (the same where the network keeps none),
    (2, 5, capacity). See `curves`.
    """
    found = as_norm(norm)
    key = json.dumps([found.name, dict(found.options), rate, bench.seeds, bench.epochs], sort_keys=True, default=str)
    if key not in bench.watched:
        program = bench.program(found)
        bench.watched[key] = bench.train(program, bench.seeds, [rate] * len(bench.seeds), observe=_fit)
    return bench.watched[key]


def curves(trained: Trained, *, recomputed: bool = False) -> np.ndarray:
    """Return training loss, test and validation loss and accuracy of watched runs, (epochs + 1, 5, runs)."""
    # What pads the last group is cut off.
    seen = np.concatenate([np.array(group) for group in trained.observed], axis=3)
    return seen[:, int(recomputed), :, : len(trained.diverged)]


def _fit(program: Population, state: RunState, _: int) -> np.ndarray:
    def seen(now: RunState) -> np.ndarray:
        loss, _accuracy = program.evaluate(now, program.capacity, "train")
        test, validation = (program.evaluate(now, program.capacity, part) for part in ("test", "validation"))
        return np.stack([loss, *test, *validation])

    running = seen(state)
    return np.stack(
        [running, seen(settled(program, state)) if keeps_running_statistics(program.trainer.model) else running]
    )
