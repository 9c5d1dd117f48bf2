"""The claim that batch norm makes training less sensitive to the scale of the initial weights."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from normlab.claims.claim import Claim
from normlab.claims.drawing import Drawing, quartiles
from normlab.claims.final_error import final_error
from normlab.claims.finding import Finding, decide, numbers
from normlab.stats.effect import paired_effect

if TYPE_CHECKING:
    from normlab.claims.bench import Bench
    from normlab.train.loop import RunState
    from normlab.train.population import Population

EXPONENTS = (-5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5)
# Averaged over eleven scales, one point of accuracy is the least that a practitioner would notice.
MARGIN = 0.01
# On larger data a run stops after the epoch in which it has seen so many: eleven scales are eleven times the runs.
MOST_SAMPLES = 100_000
ARMS = ("none", "batch")


def measure(bench: Bench) -> pl.DataFrame:
    """Train every arm from weights of c times the initializer's scale, c = 2^-5 ... 2^5, at the arm's own best rate.

    Returns:
        One row per arm, seed and scale: arm, seed, exponent (log2 c), rate, score (test accuracy, 0 where the run
        diverged; without classes 1 - test loss, at least -1).
    """
    frames = []
    epochs = max(1, min(bench.epochs, math.ceil(MOST_SAMPLES / len(bench.dataset.train))))
    for arm in ARMS:
        rate = bench.best_rate(arm, epochs=epochs)
        cells = [(seed, exponent) for exponent in EXPONENTS for seed in bench.seeds]
        program = bench.program(arm)
        trained = bench.train(
            program,
            [seed for seed, _ in cells],
            [rate] * len(cells),
            epochs,
            start=_Scaled([2.0**exponent for _, exponent in cells]),
        )
        score = 1 - final_error(bench, trained.test_loss, trained.test_accuracy, trained.diverged)
        frames.append(
            pl.DataFrame(
                {
                    "arm": arm,
                    "seed": [seed for seed, _ in cells],
                    "exponent": [exponent for _, exponent in cells],
                    "rate": rate,
                    "score": score,
                }
            )
        )
    return pl.concat(frames)


def judge(evidence: pl.DataFrame) -> Finding:
    """Return the verdict on the area under the test score over log2 c: the mean over the scales, pair by pair."""
    areas = evidence.group_by("arm", "seed").agg(pl.col("score").mean()).sort("arm", "seed")
    values = {str(arm): part["score"].to_numpy() for (arm,), part in areas.group_by("arm")}
    effect = paired_effect(values["batch"], values["none"], margin=MARGIN, higher_is_better=True)
    decision = decide(effect)
    answer = (
        f"Averaged over scales from 2^{EXPONENTS[0]} to 2^{EXPONENTS[-1]}, the test score is "
        f"{values['batch'].mean():.3f} with batch norm and {values['none'].mean():.3f} without. {decision.reason}"
    )
    return Finding(
        decision.verdict,
        **numbers(effect),
        answer=answer,
        p_value=decision.p_value,
        would_change=f"A gain in area below {MARGIN:g} (equivalence), or a loss, would refute it.",
    )


def draw(evidence: pl.DataFrame) -> Drawing:
    """Return the median test score over the scale, with quartiles."""
    rows = (
        evidence.group_by("arm", "exponent")
        .agg(quartiles("score"))
        .sort("arm", "exponent")
        .select(pl.col("arm").alias("series"), (2.0 ** pl.col("exponent")).alias("x"), "y", "low", "high")
    )
    return Drawing(
        "lines",
        "Test score over the scale of the initial weights",
        "c: initial weights are c times the initializer's",
        "test score",
        rows.to_dicts(),
        "Median over the seeds, band from the lower to the upper quartile. The score is the accuracy, 0 for a run that "
        "diverged; without classes 1 - loss, -1 for such a run.",
        log_x=True,
    )


class _Scaled:
    """Multiplies the initial kernels of each run by its own factor; groups of runs come in order."""

    def __init__(self, factors: list[float]) -> None:
        self.left = factors

    def __call__(self, program: Population, state: RunState) -> RunState:
        size = program.capacity
        own, self.left = self.left[:size], self.left[size:]
        factors = np.array([*own, *[own[-1]] * (size - len(own))], dtype=np.float32)
        paths = [program.plan.paths[id(v)] for v in program.plan.model.trainable_variables]
        scaled = [
            value * factors.reshape(-1, *[1] * (value.ndim - 1)) if path.endswith("kernel") else value
            for path, value in zip(paths, state.trainable, strict=True)
        ]
        return state._replace(trainable=scaled)


CLAIM = Claim(
    id="initialization",
    kind="benefit",
    statement="Batch normalization makes a network less sensitive to the initial weights.",
    protocol="initial kernels scaled by c = 2^-5 ... 2^5, each arm at its own best rate (found at c = 1), same seeds",
    metric="area under test accuracy (without classes, 1 - test loss) over log2 c: the mean over the scales, batch "
    "minus none",
    expected="near-flat accuracy with batch norm over a wide range, a narrow peak without",
    source="Ioffe and Szegedy 2015, section 3.3: BN(aWu) = BN(Wu)",
    measure=measure,
    judge=judge,
    draw=draw,
)
