"""The claim that batch norm's output has mean beta and deviation gamma, unit by unit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from normlab.claims.claim import Claim
from normlab.claims.drawing import Drawing
from normlab.claims.finding import Finding

if TYPE_CHECKING:
    from normlab.claims.bench import Bench

# Moments of a batch in float32 carry rounding of about sqrt(batch) * 2^-24 of the values' size; a hundredth of a
# deviation is far above that, and far below what a broken norm would give.
TOLERANCE = 0.01
WIDTH = 16


def measure(bench: Bench) -> pl.DataFrame:
    """Return one row per unit and expected moment: what the definition says, and what the layer's output has.

    A batch of the bench's data passes through a Dense layer and `keras.layers.BatchNormalization` in training mode;
    gamma and beta are drawn anew, so that they are not one and zero.
    """
    import keras

    from normlab import seeding

    rng = seeding.generator(bench.seeds[0], "claims", "output-moments")
    x = bench.dataset.train.x[: bench.batch_size].reshape(bench.batch_size, -1).astype("float32")
    hidden = (x / bench.dataset.divisor) @ rng.normal(size=(x.shape[1], WIDTH)).astype("float32")
    layer = keras.layers.BatchNormalization()
    layer.build(hidden.shape)
    gamma, beta = rng.uniform(0.5, 2.0, WIDTH), rng.normal(size=WIDTH)
    layer.gamma.assign(gamma)
    layer.beta.assign(beta)
    output = np.asarray(layer(hidden, training=True), dtype=np.float64)
    variance = np.asarray(hidden, dtype=np.float64).var(0)
    deviation = gamma * np.sqrt(variance / (variance + layer.epsilon))
    return pl.DataFrame(
        {
            "moment": ["mean"] * WIDTH + ["deviation"] * WIDTH,
            "unit": [*range(WIDTH), *range(WIDTH)],
            "expected": np.concatenate([beta, deviation]),
            "measured": np.concatenate([output.mean(0), output.std(0)]),
        }
    )


def judge(evidence: pl.DataFrame) -> Finding:
    """Return `supported` if every moment is the expected one to within `TOLERANCE`, else `refuted`; exact, no test."""
    error = float((evidence["measured"] - evidence["expected"]).abs().max())  # type: ignore[arg-type]
    holds = error <= TOLERANCE
    answer = f"Over {len(evidence) // 2} units the largest departure from beta and gamma·√(v/(v+ε)) is {error:.2g}."
    return Finding(
        "supported" if holds else "refuted",
        error,
        None,
        None,
        0,
        answer,
        would_change=f"A departure above {TOLERANCE:g} would refute it.",
    )


def draw(evidence: pl.DataFrame) -> Drawing:
    """Return measured against expected moments."""
    rows = evidence.select(
        pl.col("moment").alias("series"), pl.col("expected").alias("x"), pl.col("measured").alias("y")
    )
    return Drawing(
        "lines",
        "Moments of the output of batch norm",
        "expected: beta, or gamma·√(v/(v+ε))",
        "measured over the batch",
        rows.sort("series", "x").to_dicts(),
        "A point is one unit, in training mode on one batch of the data; on the diagonal, definition and layer agree.",
    )


CLAIM = Claim(
    id="output-moments",
    kind="property",
    statement="The output of batch normalization has mean beta and standard deviation gamma.",
    protocol="one batch of the data through a Dense layer and batch norm in training mode, gamma and beta drawn at "
    "random; moments per unit against the definition",
    metric="largest absolute error of a unit's mean or deviation",
    expected="exact in training mode up to ε: the deviation is gamma·√(v/(v+ε))",
    source="Ioffe and Szegedy 2015, algorithm 1",
    measure=measure,
    judge=judge,
    draw=draw,
    not_about="running statistics, and what gamma and beta have learned: it is training mode on one batch, with both "
    "drawn at random",
)
