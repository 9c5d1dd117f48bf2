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
from normlab.claims.trajectory import medians_of, rate_title, rates_of, ratio_effect, trajectory
from normlab.stats.effect import Effect, paired_effect

if TYPE_CHECKING:
    from normlab.claims.bench import Bench
    from normlab.train.loop import RunState, Trainer

ARMS = ("none", "batch")
PRIMARY = "smoothness"
SECONDARY = ("loss_range", "gradient_change")
# Jastrzebski et al. 2020 find bad conditioning at low rates even with batch norm: a tenth of the shared rate.
LOW = 0.1
# Of the loss, between the lowest and the highest that both runs of a pair have.
LEVELS = 20
# A quarter more or less, as bioequivalence asks of a ratio (0.80 to 1.25).
MARGIN = math.log(1.25)


def measure(bench: Bench) -> pl.DataFrame:
    """Follow both arms along their training, at a low rate, at one at which both train and at each arm's own best.

    Returns:
        One row per arm, rate, seed, step and quantity: arm, rate_name, rate, seed, step, layer (null), quantity, value.
        Quantities are those of `normlab.probes.landscape`, and `loss` of the same batch, from which its gradient leads.
    """
    frames = []
    for arm in ARMS:
        rates = rates_of(bench, arm, low=LOW)
        found = trajectory(bench, bench.program(arm), rates, _probe)
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

    Per seed: the median over the steps. A further condition is the shared rate with β compared at equal loss, since β
    falls with the loss, so that an arm that has merely learned more would pass for a smoother one.
    """
    medians = medians_of(evidence)
    names = {name: rate_title(evidence, name) for name in ("low", "shared", "own") if name in evidence["rate_name"]}
    effects = {title: _effect(medians, PRIMARY, name) for name, title in names.items()}
    level = f"{names['shared']}, at equal loss"
    at_equal_loss = _at_equal_loss(evidence)
    if at_equal_loss is not None:
        effects[level] = paired_effect(
            at_equal_loss, np.zeros_like(at_equal_loss), margin=MARGIN, higher_is_better=False
        )
    found = decide_each(effects)
    sentences = [
        f"At {title} the effective β is {_median(medians, 'batch', name):.3g} with batch norm and "
        f"{_median(medians, 'none', name):.3g} without, {math.exp(effects[title].difference):.2g} times as large "
        f"({found.by_condition[title].verdict})."
        for name, title in names.items()
    ]
    sentences.append(
        f"At equal loss it is {math.exp(effects[level].difference):.2g} times as large at the shared rate "
        f"({found.by_condition[level].verdict})."
        if level in effects
        else "At the shared rate the losses of the two never meet, so that β was not compared at equal loss."
    )
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
        conditions=found.conditions and f"on the learning rate and on the loss: {found.conditions}",
        p_value=found.p_value,
        would_change=f"A ratio below {math.exp(-MARGIN):.2g} at every rate and at equal loss would support it; one "
        f"within {math.exp(-MARGIN):.2g} to {math.exp(MARGIN):.3g}, or above 1, would refute it.",
        details={
            "at_equal_loss": numbers(effects[level], "ratio") if level in effects else None,
            **{
                quantity: {title: numbers(_effect(medians, quantity, name), "ratio") for name, title in names.items()}
                for quantity in (PRIMARY, *SECONDARY)
            },
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


def _probe(trainer: Trainer, state: RunState, x: Any, y: Any) -> dict[str, Any]:
    from normlab.probes import landscape
    from normlab.probes.inside import batch_loss, pass_through

    passed = pass_through(trainer, state.trainable, state.non_trainable, x)
    return {**landscape.measure(trainer, state, x, y), "loss": batch_loss(trainer, passed, y)}


def _effect(medians: pl.DataFrame, quantity: str, rate: str) -> Effect:
    return ratio_effect(medians, quantity, rate, ("batch", "none"), MARGIN)


def _at_equal_loss(evidence: pl.DataFrame) -> np.ndarray | None:
    """Return ln(β with batch norm / without) at equal loss, (seeds,), at the shared rate; None where losses never meet.

    Per seed, ln β of each run is interpolated over ln loss, and their difference is averaged over equally distant
    levels of ln loss between the lowest and the highest that both runs have.
    """
    shared = evidence.filter(pl.col("rate_name") == "shared", pl.col("quantity").is_in([PRIMARY, "loss"]))
    wide = shared.pivot("quantity", index=["arm", "seed", "step"], values="value")
    known = wide.filter((pl.col(PRIMARY) > 0) & pl.col(PRIMARY).is_finite() & (pl.col("loss") > 0))
    ratios = []
    for _, pair in known.sort("loss").group_by("seed", maintain_order=True):
        curves = [np.log(pair.filter(pl.col("arm") == arm).select("loss", PRIMARY).to_numpy()) for arm in ARMS]
        if min(len(curve) for curve in curves) == 0:
            return None
        low, high = max(curve[0, 0] for curve in curves), min(curve[-1, 0] for curve in curves)
        if low > high:
            return None
        levels = np.linspace(low, high, LEVELS)
        none, batch = (np.interp(levels, curve[:, 0], curve[:, 1]) for curve in curves)
        ratios.append(float(np.mean(batch - none)))
    return np.array(ratios) if ratios else None


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
    not_about="how far an arm has learned: β falls with the loss, so that the two are compared at equal loss as well "
    "as step by step, and the verdict is conditional where these disagree",
)
