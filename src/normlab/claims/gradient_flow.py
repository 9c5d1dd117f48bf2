"""The claim that batch norm mends gradients that vanish or explode on their way through a deep network."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from normlab.claims.claim import Claim
from normlab.claims.conditions import decide_each
from normlab.claims.drawing import Drawing, quartiles
from normlab.claims.finding import Finding, numbers
from normlab.stats.choices import under_every_choice
from normlab.stats.effect import Effect, paired_effect

if TYPE_CHECKING:
    from normlab.claims.bench import Bench

ARMS = ("none", "batch")
ACTIVATIONS = ("sigmoid", "tanh", "relu")
# At this slope the squared gradient changes by a factor of twelve over fifty layers, the norm by less than four.
MARGIN = 0.05
# What counts where no slope can be fitted: the gradient leaves float32 within a few layers.
LARGEST_SLOPE = 10.0
# Squares of smaller norms, or larger ones, are near float32's limits.
FITTED_NORMS = (1e-16, 1e16)
FEWEST_LAYERS = 3


def measure(bench: Bench) -> pl.DataFrame:
    """Measure ‖∂L/∂h_l‖ of deep networks at the start and after training, and train shallower ones too.

    Every arm and activation trains at its own best rate at the largest depth, found on other seeds, and at every other
    one that could have been chosen.

    Returns:
        One row per arm, activation, choice of the rate, seed, time and layer: arm, activation, depth, rate, choice (0
        for the best rate), seed, time, layer (1 is next to the input), norm. Times: `start`, `trained`, and `start,
        weights doubled` for ReLU. And, with time `loss`, one row per depth: the training loss at the rate that is best
        there (seed, choice and layer null, norm the mean over the last quarter of the training as a share of the loss
        of knowing nothing).
    """
    from normlab.claims.deep_gradients import (
        best_by_depth,
        losses_by_depth,
        norms_by_layer,
        possible_rates,
        program,
    )

    frames = []
    for arm in ARMS:
        trains = program(bench, arm)
        losses = losses_by_depth(bench, trains)
        best = best_by_depth(losses).with_columns(time=pl.lit("loss"))
        norms = norms_by_layer(bench, trains, possible_rates(losses))
        frames += [part.with_columns(arm=pl.lit(arm)) for part in (best, norms)]
    return pl.concat(frames, how="diagonal")


def judge(evidence: pl.DataFrame) -> Finding:
    """Judge |slope| of log ‖∂L/∂h_l‖² over l, batch minus none: lower mends. Each activation and time is a condition.

    A pair is a seed; after training an effect counts only if it does at every rate that could have been chosen.
    P-values are corrected over the conditions. Conditional: mended under some conditions, made worse
    or left equivalent under others.
    """
    slopes = slopes_of(evidence)
    conditions = [(activation, time) for time in ("start", "trained") for activation in ACTIVATIONS]
    effects = {f"{activation}, {time}": _effect(slopes, activation, time) for activation, time in conditions}
    found = decide_each(effects)
    depth = int(slopes["depth"][0])
    means = {
        (activation, time, arm): float(part["slope"].mean())  # type: ignore[arg-type]
        for (activation, time, arm), part in slopes.filter(pl.col("choice") == 0).group_by("activation", "time", "arm")
    }
    sentences = [
        f"{name}: {means[(*condition, 'none')]:+.2g} without, {means[(*condition, 'batch')]:+.2g} with batch norm, "
        f"{found.by_condition[name].verdict}"
        for condition, name in zip(conditions, effects, strict=True)
    ]
    doubled = {arm: means.get(("relu", "start, weights doubled", arm), math.nan) for arm in ARMS}
    trainable = _deepest(evidence)
    reach = ", ".join(f"{name} {trainable[name, 'none']} and {trainable[name, 'batch']}" for name in ACTIVATIONS)
    answer = (
        f"Per layer towards the output, log ‖∂L/∂h‖² changes at depth {depth} by: {'; '.join(sentences)}. (Above 0 "
        f"gradients vanish towards the input, below they explode.) With ReLU weights twice too large it is "
        f"{doubled['none']:+.2g} without and {doubled['batch']:+.2g} with. Deepest network that trained without and "
        f"with: {reach} layers.{found.open}"
    )
    first = next(iter(effects))
    return Finding(
        found.verdict,
        **numbers(effects[first]),
        answer=answer,
        conditions=found.conditions and f"on the activation and the time: {found.conditions}",
        p_value=found.p_value,
        would_change=f"|slope| lower by more than {MARGIN:g} with batch norm under every condition would support it; "
        "equivalent or larger under every one would refute it.",
        details={
            "slopes": {", ".join(key): value for key, value in sorted(means.items())},
            "difference_of_absolute_slopes": {name: numbers(effect) for name, effect in effects.items()},
            "deepest_trainable": {", ".join(key): value for key, value in trainable.items()},
            "slope_of_relu_after_batch_norm_in_theory": -math.log(math.pi / (math.pi - 1)),
        },
    )


def draw(evidence: pl.DataFrame) -> Drawing:
    """Return the gradient's norm over the layer at the start, a line per arm and activation, with quartiles."""
    rows = (
        evidence.filter(pl.col("time") == "start")
        .group_by("activation", "arm", "layer")
        .agg(quartiles("norm"))
        .filter(pl.col("low") > 0)
        .sort("activation", "arm", "layer")
        .select(
            pl.format("{}, {}", "activation", "arm").alias("series"), pl.col("layer").alias("x"), "y", "low", "high"
        )
    )
    return Drawing(
        "lines",
        "Gradients through the depth, before training",
        "layer, from the input",
        "‖∂L/∂h‖",
        rows.to_dicts(),
        "Norm of the loss's gradient by each hidden layer's output, over one training batch. Median over the seeds, "
        "band from the lower to the upper quartile; what float32 rounds to zero is left out.",
        log_y=True,
    )


def slopes_of(evidence: pl.DataFrame) -> pl.DataFrame:
    """Return `slope` per arm, activation, depth, choice, seed and time: least squares of log ‖∂L/∂h_l‖² over l."""
    keys = ["arm", "activation", "depth", "choice", "seed", "time"]
    parts = evidence.filter(pl.col("time") != "loss").sort(*keys, "layer").group_by(keys, maintain_order=True)
    rows = [(*key, _slope(part["layer"].to_numpy(), part["norm"].to_numpy())) for key, part in parts]
    return pl.DataFrame(rows, schema=[*keys, "slope"], orient="row")


def _slope(layers: np.ndarray, norms: np.ndarray) -> float:
    low, high = FITTED_NORMS
    fitted = np.isfinite(norms) & (norms > low) & (norms < high)
    if fitted.sum() < FEWEST_LAYERS:
        return LARGEST_SLOPE
    return float(np.polyfit(layers[fitted], 2 * np.log(norms[fitted]), 1)[0])


def _effect(slopes: pl.DataFrame, activation: str, time: str) -> Effect:
    """Return the effect on |slope|, whatever rates were chosen."""
    chosen = slopes.filter(pl.col("activation") == activation, pl.col("time") == time).sort("choice", "seed")
    absolute = {
        arm: [
            part["slope"].abs().to_numpy()
            for _, part in chosen.filter(pl.col("arm") == arm).group_by("choice", maintain_order=True)
        ]
        for arm in ARMS
    }
    return under_every_choice(
        [
            paired_effect(batch, none, margin=MARGIN, higher_is_better=False)
            for batch in absolute["batch"]
            for none in absolute["none"]
        ]
    )


def _deepest(evidence: pl.DataFrame) -> dict[tuple[str, str], int]:
    """Return the largest depth that trained, by activation and arm; 0 if none did."""
    from normlab.claims.deep_gradients import TRAINS_BELOW

    rows = evidence.filter(pl.col("time") == "loss").select("activation", "arm", "depth", "norm").iter_rows()
    found = dict.fromkeys(itertools.product(ACTIVATIONS, ARMS), 0)
    for activation, arm, depth, share in rows:
        if share < TRAINS_BELOW:
            found[activation, arm] = max(found[activation, arm], depth)
    return found


CLAIM = Claim(
    id="gradient-flow",
    kind="benefit",
    own_network=True,
    statement="Batch normalization mends vanishing and exploding gradients.",
    protocol="equal Dense layers of 64 units (weights after He for ReLU, after LeCun for sigmoid and tanh), norm "
    "before the activation; ‖∂L/∂h_l‖ in training mode over all layers at the start and after training at each arm's "
    "own best rate, and at every rate that could have been chosen; shallower ones too, for the deepest that trains",
    metric="|slope per layer| of log ‖∂L/∂h_l‖², batch minus none, in each of three activations at the start and after "
    "training (the effect shown is sigmoid's at the start)",
    expected="mended where activations saturate; but at the start of a wide network batch norm itself makes the "
    "squared gradient grow towards the input, by π/(π - 1) per layer with ReLU, where He's weights alone keep it; a "
    "step of training shrinks that range",
    source="Yang, Pennington, Rao, Sohl-Dickstein, Schoenholz 2019, arXiv:1902.08129; Ioffe and Szegedy 2015, "
    "arXiv:1502.03167",
    measure=measure,
    judge=judge,
    draw=draw,
    not_about="the size of the gradient or the loss that an arm has reached: both move the height of log ‖∂L/∂h_l‖² "
    "over l, and only its slope is judged; nor running statistics, which training mode does not use",
)
