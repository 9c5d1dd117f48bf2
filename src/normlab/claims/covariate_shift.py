"""The claim that batch norm reduces internal covariate shift."""

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

if TYPE_CHECKING:
    from normlab.claims.bench import Bench
    from normlab.train.loop import RunState, Trainer
    from normlab.train.population import Population

ARMS = ("none", "batch")
# Its noise is the same before and after a step, so the shift would not show it: its inputs and its loss are measured.
CONTROL = "noisy"
# In relation to the gradient's size, and as it is: a gradient that is small, as at a small loss, has small changes too.
SHIFTS = {"relative": "relative_shift", "absolute": "gradient_shift"}
PROBED = ("gradient_shift", "gradient_cosine", "gradient_norm")
# A quarter more or less, as bioequivalence asks of a ratio (0.80 to 1.25): less is no reduction worth a name.
MARGIN = math.log(1.25)


def applies(bench: Bench) -> str:
    """Return why not, where the networks with and without batch norm have no layer to compare."""
    if _common(bench):
        return ""
    return f"the networks {bench.model} with and without batch norm share no layer that has another one before it"


def measure(bench: Bench) -> pl.DataFrame:
    """Follow both arms along their training, at a rate at which both train and at each one's own best.

    The control is followed at the first of them, which is at most batch norm's best.

    Returns:
        One row per arm, rate, seed, step, layer and quantity: arm, rate_name, rate, seed, step, layer, quantity, value.
        Quantities: gradient_shift, gradient_cosine, gradient_norm of `normlab.probes.covariate_shift`, for the layers
        that all arms have (not of the control), and `relative_shift`, the first over the last; `input_drift`, how far
        the moments of the layer's inputs move to the next measurement; and, without layer, the `loss` of each measured
        batch in training mode.
    """
    common = _common(bench)
    frames = []
    for arm in (*ARMS, CONTROL):
        program, rates = bench.program(arm), rates_of(bench, arm)
        if arm == CONTROL:
            rates = {"shared": rates["shared"]}
        found = trajectory(bench, program, rates, _probe(bench, program, common, has_shift=arm != CONTROL))
        rows = _with_drift(found, common)
        frame = pl.DataFrame(rows, schema=["rate_name", "seed", "step", "layer", "quantity", "value"], orient="row")
        frames.append(frame.with_columns(arm=pl.lit(arm), rate=pl.col("rate_name").replace_strict(rates)))
    return pl.concat(frames)


def judge(evidence: pl.DataFrame) -> Finding:
    """Judge ln of the shift, batch over none, seed by seed; lower is what is claimed.

    Each rate, with the shift relative to the gradient's size and as it is, is a condition. Per seed: the median over
    the steps, then the geometric mean over the layers.
    """
    medians = medians_of(evidence)
    names = {name: rate_title(evidence, name) for name in ("shared", "own") if name in evidence["rate_name"]}
    effects = {
        (kind, name): ratio_effect(medians, quantity, name, ("batch", "none"), MARGIN)
        for kind, quantity in SHIFTS.items()
        for name in names
    }
    titles = {(kind, name): f"{names[name]}, {kind}" for kind, name in effects}
    found = decide_each({titles[key]: effect for key, effect in effects.items()})
    cosines = _mean(medians, "gradient_cosine")
    losses = _mean(medians, "loss")
    drift = {
        arms: math.exp(ratio_effect(medians, "input_drift", "shared", arms, MARGIN).difference)
        for arms in (("batch", "none"), (CONTROL, "batch"))
    }

    def found_at(kind: str, name: str) -> str:
        times = math.exp(effects[kind, name].difference)
        return f"{times:.2g} times ({found.by_condition[titles[kind, name]].verdict})"

    sentences = [
        f"At {title} a step of the layers before changes a layer's gradient with batch norm, in relation to its size, "
        f"by {found_at('relative', name)} what it does without; in absolute terms, by {found_at('absolute', name)}."
        for name, title in names.items()
    ]
    answer = (
        f"{' '.join(sentences)} Cosine of the two gradients at the shared rate: {cosines['batch']:.2f} with, "
        f"{cosines['none']:.2f} without. The moments of the layers' inputs drift {drift['batch', 'none']:.2g} times as "
        f"much. Control: noise after batch norm multiplies that drift by {drift[CONTROL, 'batch']:.2g}; the median "
        f"training loss is {losses[CONTROL]:.2g} with the noise, {losses['batch']:.2g} with batch norm alone, "
        f"{losses['none']:.2g} without.{found.open}"
    )
    return Finding(
        found.verdict,
        **numbers(effects["relative", "shared"], "ratio"),
        answer=answer,
        conditions=found.conditions
        and f"on the learning rate, and on what the shift is measured by: {found.conditions}",
        p_value=found.p_value,
        would_change=f"Ratios below {math.exp(-MARGIN):.2g}, relative and absolute, at every rate would support it; "
        f"ratios within {math.exp(-MARGIN):.2g} to {math.exp(MARGIN):.3g}, or above 1, would refute it.",
        details={
            **{
                f"{kind}_shift_ratio": {title: numbers(effects[kind, name], "ratio") for name, title in names.items()}
                for kind in SHIFTS
            },
            "cosine": cosines,
            "input_drift_ratio": {f"{a} over {b}": value for (a, b), value in drift.items()},
            "training_loss": losses,
        },
    )


def draw(evidence: pl.DataFrame) -> Drawing:
    """Return the shift over the steps at the shared rate, a line per arm and layer, medians over the seeds."""
    rows = (
        evidence.filter(
            pl.col("quantity") == SHIFTS["relative"], pl.col("rate_name") == "shared", pl.col("value").is_finite()
        )
        .group_by("arm", "layer", "step")
        .agg(quartiles("value"))
        .filter(pl.col("low") > 0)
        .sort("arm", "layer", "step")
        .select(pl.format("{}, {}", "arm", "layer").alias("series"), pl.col("step").alias("x"), "y", "low", "high")
    )
    return Drawing(
        "lines",
        "How one step of the layers before changes a layer's gradient",
        "training steps",
        "‖G - G'‖ / ‖G‖",
        rows.to_dicts(),
        "Both arms at the same learning rate. Median over the seeds, band from the lower to the upper quartile; G and "
        "G' are a layer's gradients before and after the layers before it take the batch's step.",
        log_y=True,
    )


def _mean(medians: pl.DataFrame, quantity: str) -> dict[str, float]:
    """Return the mean over seeds and layers at the shared rate, by arm."""
    chosen = medians.filter(pl.col("quantity") == quantity, pl.col("rate_name") == "shared")
    means = chosen.group_by("arm").agg(pl.col("value").mean()).sort("arm")
    return {str(arm): float(value) for arm, value in means.select("arm", "value").iter_rows()}


def _common(bench: Bench) -> list[str]:
    """Return the layers that all arms have and that have one before them in each, by canonical name, in order."""
    by_arm = [_layers(bench, bench.program(arm)) for arm in (*ARMS, CONTROL)]
    return [name for name in by_arm[0] if all(name in other for other in by_arm)]


def _layers(bench: Bench, program: Population) -> list[str]:
    from normlab.probes import covariate_shift
    from normlab.probes.parameters import parameter_groups

    x = bench.dataset.train.x[: bench.batch_size]
    if len(parameter_groups(program.trainer, x)) < 2:
        return []
    return [_canonical(program, name) for name in covariate_shift.layers(program.trainer, x)["gradient_shift"] or ()]


def _canonical(program: Population, path: str) -> str:
    return "/".join(program.plan.names.get(part, part) for part in path.split("/"))


def _probe(bench: Bench, program: Population, common: list[str], has_shift: bool) -> Any:
    """Return what measures one run: `loss`, moments of each layer's inputs and, if asked for, the probe's quantities.

    Moments are those over one batch that stays the same, so that only the run moves them.
    """
    import jax.numpy as jnp

    from normlab.probes import covariate_shift
    from normlab.probes.inside import batch_loss, pass_through

    fixed: Any = bench.dataset.train.x[: bench.batch_size]
    names = _layers(bench, program)
    chosen = np.array([names.index(name) for name in common])

    def measure(trainer: Trainer, state: RunState, x: Any, y: Any) -> dict[str, Any]:
        shift = covariate_shift.measure(trainer, state, x, y) if has_shift else {}
        measured = {name: values[chosen] for name, values in shift.items()}
        passed = pass_through(trainer, state.trainable, state.non_trainable, x)
        measured["loss"] = batch_loss(trainer, passed, y)
        for output in pass_through(trainer, state.trainable, state.non_trainable, fixed).inside:
            name = _canonical(program, output.name)
            if name in common and hasattr(output.inputs, "ndim"):
                inputs = output.inputs.reshape(-1, output.inputs.shape[-1])
                measured[f"moments {name}"] = jnp.stack([inputs.mean(0), inputs.std(0)])
        return measured

    return measure


def _with_drift(
    found: list[tuple[str, int, int, dict[str, np.ndarray]]], common: list[str]
) -> list[tuple[str, int, int, str | None, str, float]]:
    """Return rows; `input_drift` is √(‖Δmean‖² + ‖Δdeviation‖²) / ‖deviation‖ over a layer's input units."""
    rows: list[tuple[str, int, int, str | None, str, float]] = []
    for number, (rate, seed, step, measured) in enumerate(found):
        rows.append((rate, seed, step, None, "loss", float(measured["loss"])))
        for index, layer in enumerate(common):
            own = {name: float(measured[name][index]) for name in PROBED if name in measured}
            if own:
                size = own["gradient_norm"]
                own["relative_shift"] = own["gradient_shift"] / size if size else math.nan
            rows += [(rate, seed, step, layer, name, value) for name, value in own.items()]
        later = found[number + 1] if number + 1 < len(found) else (rate, seed, -1, {})
        if later[:2] == (rate, seed) and later[2] > step:
            rows += [
                (rate, seed, step, name.removeprefix("moments "), "input_drift", _drift(moments, later[3][name]))
                for name, moments in measured.items()
                if name.startswith("moments ")
            ]
    return rows


def _drift(before: np.ndarray, after: np.ndarray) -> float:
    size = float(np.linalg.norm(before[1]))
    return float(np.linalg.norm(after - before)) / size if size else math.nan


CLAIM = Claim(
    id="covariate-shift",
    kind="benefit",
    statement="Batch normalization reduces internal covariate shift.",
    protocol="a layer's gradient on a batch, before (G) and after (G') the layers before it take that batch's step, "
    "along the training, at one rate for both arms and at each arm's own best; layers that both arms have; control: "
    "batch norm followed by noise that moves the moments",
    metric="median over the steps of ‖G - G'‖ / ‖G‖, and of ‖G - G'‖, geometric mean over the layers, ratio of batch "
    "to none (the effect shown is the relative one at the same rate)",
    expected="no reduction: deep networks with batch norm had a similar or larger shift, and noise that makes the "
    "inputs less stable did not undo what batch norm gains",
    source="Santurkar, Tsipras, Ilyas, Madry 2018, arXiv:1805.11604, section 2; Ioffe and Szegedy 2015",
    measure=measure,
    judge=judge,
    draw=draw,
    not_about="the size of the gradients, which shrinks with the loss: the shift is judged relative to it as well as "
    "by itself, and the verdict is conditional where the two disagree",
    applies=applies,
)
