"""Test errors where runs fit the training data equally well, of two arms and over doses of noise."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from normlab.claims.settled import settled
from normlab.stats.choices import under_every_choice
from normlab.stats.effect import Effect, paired_effects

if TYPE_CHECKING:
    from normlab.claims.bench import Bench
    from normlab.claims.trained import Trained
    from normlab.norms import Norm
    from normlab.train.loop import RunState
    from normlab.train.population import Population

# Parts of an epoch, in the first epochs.
PARTS, FINE_EPOCHS = 4, 2


def followed(bench: Bench, norm: str | Norm, rate: float) -> tuple[Trained, np.ndarray, np.ndarray]:
    """Train the bench's seeds at one rate, and watch them before training, early on in parts of an epoch, and later.

    A network with batch norm may fit within its first epoch what another fits in all: watched by epochs, it would be
    compared half-way between knowing nothing and its first epoch. A part draws its batches anew from all samples.

    Returns:
        The runs; the epochs seen when they were watched, (times,); training loss, test loss and test accuracy, all in
        evaluation mode with settled statistics, (times, 3, runs).
    """
    whole = len(bench.dataset.train) // bench.batch_size
    batches = max(1, whole // PARTS)
    parts = max(1, whole // batches)

    def seen(program: Population, state: RunState, part: int) -> np.ndarray | None:
        if part % parts and part > FINE_EPOCHS * parts:
            return None
        now = settled(program, state)
        loss, _accuracy = program.evaluate(now, program.capacity, "train")
        return np.stack([loss, *program.evaluate(now, program.capacity, "test")])

    rates = [rate] * len(bench.seeds)
    trained = bench.train(
        bench.program(norm),
        bench.seeds,
        rates,
        bench.epochs * parts,
        batches=batches if parts > 1 else None,
        observe=seen,
        validate=False,
    )
    times = [part for part, values in enumerate(trained.observed[0]) if values is not None]
    # What pads the last group is cut off.
    values = np.concatenate([np.array([group[part] for part in times]) for group in trained.observed], axis=2)
    return trained, np.array(times) / parts, values[:, :, : len(trained.diverged)]


def matched(evidence: pl.DataFrame) -> pl.DataFrame:
    """Return the test error of every arm and seed at the lowest training loss that all arms of the seed reach.

    The loss is crossed for the first time between two epochs; there the error is interpolated over the log of the loss.

    Returns:
        Columns arm, seed, level (the loss), test_error.
    """
    rows = []
    for (seed,), pair in evidence.group_by("seed", maintain_order=True):
        runs = {str(arm): run.sort("epoch") for (arm,), run in pair.group_by("arm", maintain_order=True)}
        level = max(lowest(run) for run in runs.values())
        rows += [
            {"arm": arm, "seed": seed, "level": level, "test_error": error_at(run, level)} for arm, run in runs.items()
        ]
    return pl.DataFrame(rows)


def lowest(run: pl.DataFrame) -> float:
    """Return the lowest training loss of a run; that before the first step is always finite."""
    losses = run["train_loss"].to_numpy()
    return float(losses[np.isfinite(losses)].min())


def error_at(run: pl.DataFrame, level: float) -> float:
    """Return the error where the run's loss first comes down to the level."""
    losses, errors = run["train_loss"].to_numpy(), run["test_error"].to_numpy()
    at = int(np.argmax(losses <= level * (1 + 1e-9)))
    if at == 0 or not np.isfinite(losses[at - 1]) or not np.isfinite(errors[at - 1]):
        return float(errors[at])
    before, after, wanted = (math.log(max(value, 1e-12)) for value in (losses[at - 1], losses[at], level))
    share = min((before - wanted) / (before - after), 1.0) if before > after else 1.0
    return float(errors[at - 1] + share * (errors[at] - errors[at - 1]))


def matches(fits: pl.DataFrame, arms: Sequence[str]) -> list[pl.DataFrame]:
    """Return `matched` for every pair of rates that could have been chosen, the best ones first."""
    by_arm = [fits.filter(pl.col("arm") == arm).sort("choice").partition_by("choice") for arm in arms]
    return [matched(pl.concat(pair)) for pair in itertools.product(*by_arm)]


def effect_at_equal_fit(found: Sequence[pl.DataFrame], arms: tuple[str, str], margin: float) -> Effect:
    """Return the effect of the second arm on the error, against the first, that holds for every pair of rates."""
    baseline, values = (
        np.array([one.filter(pl.col("arm") == arm).sort("seed")["test_error"].to_numpy() for one in found])
        for arm in arms
    )
    return under_every_choice(paired_effects(values, baseline, margin=margin, higher_is_better=False))


@dataclass(frozen=True)
class Slopes:
    """The response to the dose: matched error per doubling of the ghost batch by seed, doublings in all, means."""

    values: np.ndarray
    range: float
    means: list[dict[str, Any]]


def dose_slopes(fits: pl.DataFrame) -> Slopes:
    """Return the slope of the matched error per doubling of the ghost batch, by least squares, seed by seed."""
    doses = fits.filter(pl.col("dose").is_not_null(), pl.col("choice") == 0)
    found = matched(doses).join(doses.select("arm", "dose").unique(), on="arm")
    slopes = [
        np.polyfit(np.log2(part["dose"].to_numpy()), part["test_error"].to_numpy(), 1)[0]
        for _, part in found.sort("seed", "dose").group_by("seed", maintain_order=True)
    ]
    sizes = np.log2(found["dose"].to_numpy())
    means = found.group_by("dose").agg(pl.col("test_error").mean()).sort("dose")
    return Slopes(np.array(slopes), float(sizes.max() - sizes.min()), means.to_dicts())
