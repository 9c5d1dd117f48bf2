"""The claim that batch norm makes the loss smoother along the gradient."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from normlab.claims.claim import Claim
from normlab.claims.conditions import decide_each
from normlab.claims.drawing import Drawing, quartiles
from normlab.claims.finding import Finding, numbers
from normlab.claims.trajectory import log_ratios, medians_of, rate_title, rates_of, trajectory
from normlab.stats.effect import Effect, paired_effect

if TYPE_CHECKING:
    from normlab.claims.bench import Bench

ARMS = ("none", "batch")
PRIMARY = "smoothness"
SECONDARY = ("loss_range", "gradient_change")
# Jastrzebski et al. 2020 find bad conditioning at low rates even with batch norm: a tenth of what both arms bear.
LOW = 0.1
# A quarter more or less, as bioequivalence asks of a ratio (0.80 to 1.25).
MARGIN = math.log(1.25)


def measure(bench: Bench) -> pl.DataFrame:
    """Follow both arms along their training, at a low rate, at one that both bear and at each arm's own best.

    Returns:
        One row per arm, rate, seed, step and quantity of `normlab.probes.landscape`: arm, rate_name, rate, seed, step,
        layer (null), quantity, value.
    """
    from normlab.probes import landscape

    frames = []
    for arm in ARMS:
        rates = rates_of(bench, arm, low=LOW)
        found = trajectory(bench, bench.program(arm), rates, landscape.measure)
        rows = [(*cell, name, float(value)) for *cell, measured in found for name, value in measured.items()]
        frame = pl.DataFrame(rows, schema=["rate_name", "seed", "step", "quantity", "value"], orient="row")
        frames.append(
            frame.with_columns(
                arm=pl.lit(arm), rate=pl.col("rate_name").replace_strict(rates), layer=pl.lit(None, pl.String)
            )
        )
    return pl.concat(frames)


def judge(evidence: pl.DataFrame) -> Finding:
    """Judge ln of the effective β, batch over none, seed by seed; lower is smoother. Each rate is a condition.

    Per seed: the median over the steps.
    """
    medians = medians_of(evidence)
    names = {name: rate_title(evidence, name) for name in ("low", "shared", "own") if name in evidence["rate_name"]}
    effects = {title: _effect(medians, PRIMARY, name) for name, title in names.items()}
    found = decide_each(effects)
    sentences = [
        f"At {title} the effective β is {_median(medians, 'batch', name):.3g} with batch norm and "
        f"{_median(medians, 'none', name):.3g} without, {math.exp(effects[title].difference):.2g} times as large "
        f"({found.by_condition[title].verdict})."
        for name, title in names.items()
    ]
    others = {name: _effect(medians, name, "shared") for name in SECONDARY}
    answer = (
        f"{' '.join(sentences)} At the same rate the loss varies over {math.exp(others['loss_range'].difference):.2g} "
        f"times the range along the gradient, and the gradient changes "
        f"{math.exp(others['gradient_change'].difference):.2g} times as much.{found.open}"
    )
    return Finding(
        found.verdict,
        **numbers(effects[names["shared"]], "ratio"),
        answer=answer,
        conditions=found.conditions and f"on the learning rate: {found.conditions}",
        p_value=found.p_value,
        would_change=f"A ratio below {math.exp(-MARGIN):.2g} at every rate would support it; one within "
        f"{math.exp(-MARGIN):.2g} to {math.exp(MARGIN):.3g}, or above 1, at every rate would refute it.",
        details={
            quantity: {title: numbers(_effect(medians, quantity, name), "ratio") for name, title in names.items()}
            for quantity in (PRIMARY, *SECONDARY)
        },
    )


def draw(evidence: pl.DataFrame) -> Drawing:
    """Return the effective β over the steps, a line per arm and rate, medians over the seeds with quartiles."""
    rows = (
        evidence.filter(pl.col("quantity") == PRIMARY, pl.col("value").is_finite())
        .group_by("arm", "rate", "step")
        .agg(quartiles("value"))
        .filter(pl.col("low") > 0)
        .sort("arm", "rate", "step")
        .select(pl.format("{}, rate {}", "arm", "rate").alias("series"), pl.col("step").alias("x"), "y", "low", "high")
    )
    return Drawing(
        "lines",
        "Effective smoothness along the gradient",
        "training steps",
        "effective β",
        rows.to_dicts(),
        "Largest change of the gradient per distance, over six distances along the gradient on one batch; lower is "
        "smoother. Median over the seeds, band from the lower to the upper quartile.",
        log_y=True,
    )


def _effect(medians: pl.DataFrame, quantity: str, rate: str) -> Effect:
    ratios = log_ratios(medians, quantity, rate, ("batch", "none"))
    return paired_effect(ratios, np.zeros_like(ratios), margin=MARGIN, higher_is_better=False)


def _median(medians: pl.DataFrame, arm: str, rate: str) -> float:
    chosen = medians.filter(pl.col("quantity") == PRIMARY, pl.col("arm") == arm, pl.col("rate_name") == rate)
    value: Any = chosen["value"].median()
    return float(value)


CLAIM = Claim(
    id="smoothness",
    kind="benefit",
    statement="Batch normalization makes the loss smoother along the gradient.",
    protocol="along the gradient of a training batch at step sizes 0.01 ... 0.32, during training at a low rate, at "
    "one that both arms bear, and at each arm's own best: range of the loss, change of the gradient, effective β",
    metric="effective β, the largest of ‖∇L(θ) - ∇L(θ - α∇L)‖ / (α‖∇L‖): median over the steps, ratio of batch to "
    "none (the effect shown is that at the same rate)",
    expected="smaller with batch norm in deep networks trained at the same rate; at low rates the loss can be badly "
    "conditioned even with it",
    source="Santurkar, Tsipras, Ilyas, Madry 2018, arXiv:1805.11604, section 3; Jastrzebski et al. 2020, "
    "arXiv:2002.09572",
    measure=measure,
    judge=judge,
    draw=draw,
)
