"""The claim that batch norm makes every training step slower."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from normlab.claims.claim import Claim
from normlab.claims.drawing import Drawing, quartiles
from normlab.claims.finding import Finding, decide, numbers
from normlab.claims.one_run import model_of
from normlab.stats.effect import paired_effect

if TYPE_CHECKING:
    from collections.abc import Callable

    import keras

    from normlab.claims.bench import Bench, Budget
    from normlab.train.population import Population

ROUNDS: dict[Budget, int] = {"quick": 20, "full": 40}
# Turns per round, of which the fastest counts: what other processes take from the machine only adds.
TURNS = 3
# Steps, or inferences, per timed call: long against the start of a program, short against a pause of the machine.
STEPS = 50
INFERENCES = 5
# The margin of a study for seconds per step.
MARGIN = 0.05
FOLDED = "batch, folded"
INFERENCE_SAMPLES = 1000


def measure(bench: Bench) -> pl.DataFrame:
    """Time the arms in turns, one run per device; of several turns in a round the fastest counts.

    Returns:
        One row per network (none, batch, and for inference batch folded), phase and round: network, phase (`step`,
        `inference`, `compile`), round, seconds. `compile` has one round: the training program.
    """
    from normlab.probes.step_time import step_times
    from normlab.surgery import fold

    programs = {arm: bench.program(arm, runs=1, layout="map", samples=STEPS * bench.batch_size) for arm in _ARMS}
    turns = {arm: _Turn(bench, program) for arm, program in programs.items()}
    models = {arm: model_of(bench, arm, turns[arm].state) for arm in _ARMS}
    models[FOLDED] = fold(models["batch"]).model
    calls: dict[str, Callable[[], Any]] = {}
    for arm, turn in turns.items():
        turn(1)  # compiles
        calls |= {f"{arm}/steps": partial(turn, STEPS), f"{arm}/none": partial(turn, 0)}
    calls |= {f"{name}/inference": _inference(bench, model) for name, model in models.items()}
    timed = step_times(calls, ROUNDS[bench.budget] * TURNS)
    seconds = {name: np.array(one.seconds).reshape(-1, TURNS).min(axis=1) for name, one in timed.items()}
    frames = [_frame(arm, "compile", [program.compile_seconds]) for arm, program in programs.items()]
    for arm in _ARMS:
        whole, idle = seconds[f"{arm}/steps"], np.median(seconds[f"{arm}/none"])
        # What a call costs without steps (a short evaluation) is no step; a step is never free.
        frames.append(_frame(arm, "step", np.maximum(whole - idle, 0.01 * whole) / STEPS))
    frames += [_frame(name, "inference", seconds[f"{name}/inference"] / INFERENCES) for name in models]
    return pl.concat(frames)


def judge(evidence: pl.DataFrame) -> Finding:
    """Return the verdict on the ratio of seconds per step, batch over none, round by round."""
    batch, none = (np.log(_seconds(evidence, arm, "step")) for arm in ("batch", "none"))
    effect = paired_effect(batch, none, margin=np.log(1 + MARGIN), higher_is_better=True)  # "better": it costs time
    decision = decide(effect)
    shown = numbers(effect, "ratio")
    infer = {name: float(np.median(_seconds(evidence, name, "inference"))) for name in ("none", "batch", FOLDED)}
    medians = {arm: float(np.median(np.exp(logs))) for arm, logs in (("batch", batch), ("none", none))}
    still_open = f" Undecided: {decision.outlook}." if decision.outlook else ""
    answer = (
        f"A training step takes {medians['batch'] * 1e6:,.0f} µs with batch norm and {medians['none'] * 1e6:,.0f} µs "
        f"without (medians of {effect.pairs} rounds), {shown['effect']:.2f} times as long; inference takes "
        f"{infer['batch'] / infer['none']:.2f} times as long, and {infer[FOLDED] / infer['none']:.2f} times once "
        f"folded.{still_open}"
    )
    return Finding(
        decision.verdict,
        **shown,
        answer=answer,
        would_change=f"A ratio inside {1 / (1 + MARGIN):.3f} to {1 + MARGIN:g} (equivalence), or below, would refute "
        "it; another machine or a wider network may give another ratio.",
        p_value=decision.p_value,
        details={
            "compile_seconds": {arm: float(_seconds(evidence, arm, "compile")[0]) for arm in _ARMS},
            "inference_seconds": infer,
        },
    )


def draw(evidence: pl.DataFrame) -> Drawing:
    """Return the median seconds per step and per inference of each network, with quartiles over the rounds."""
    titles = {"step": "training step", "inference": "inference"}
    rows = (
        evidence.filter(pl.col("phase") != "compile")
        .group_by("network", "phase")
        .agg(quartiles("seconds"))
        .sort("phase", "network", descending=[True, False])
        .select(
            pl.col("network").alias("series"), pl.col("phase").replace_strict(titles).alias("x"), "y", "low", "high"
        )
    )
    return Drawing(
        "points",
        "Seconds with and without batch norm",
        "what is timed",
        "seconds",
        rows.to_dicts(),
        f"Median over rounds in which the networks take turns, from the lower to the upper quartile; one run per "
        f"device, compiling left out. Inference: {INFERENCE_SAMPLES} samples, or all test samples if fewer.",
        log_y=True,
    )


_ARMS = ("none", "batch")


class _Turn:
    """Trains a program's runs by some steps, and keeps the state that comes out for the next call."""

    def __init__(self, bench: Bench, program: Population) -> None:
        from normlab.train.order import epoch_order

        self.program = program
        count = program.capacity
        self.state = program.start([bench.seeds[0]] * count, [0.0] * count)
        order = epoch_order(bench.seeds[0], 0, len(bench.dataset.train))
        self.orders = [np.resize(order, STEPS * bench.batch_size)] * count

    def __call__(self, steps: int) -> None:
        """Train; the measurements come back as NumPy arrays, so nothing is left running."""
        self.state, _ = self.program.train(self.state, self.orders, steps)


def _inference(bench: Bench, model: keras.Model) -> Callable[[], Any]:
    """Return a call of the compiled forward pass; the weights are arguments, so that no compiler folds them."""
    import jax

    from normlab.train.loop import scaled

    x = scaled(jax.numpy.asarray(bench.dataset.test.x[:INFERENCE_SAMPLES]), bench.dataset.divisor)
    values = [[v.value for v in part] for part in (model.trainable_variables, model.non_trainable_variables)]
    program = jax.jit(lambda own, others, inputs: model.stateless_call(own, others, inputs, training=False)[0])
    return lambda: [program(*values, x) for _ in range(INFERENCES)]


def _frame(network: str, phase: str, seconds: Any) -> pl.DataFrame:
    values = np.asarray(seconds, dtype=float)
    return pl.DataFrame({"network": network, "phase": phase, "round": np.arange(len(values)), "seconds": values})


def _seconds(evidence: pl.DataFrame, network: str, phase: str) -> np.ndarray:
    chosen = (pl.col("network") == network) & (pl.col("phase") == phase)
    return evidence.filter(chosen).sort("round")["seconds"].to_numpy()


CLAIM = Claim(
    id="time",
    kind="limit",
    statement="Batch normalization makes training steps slower.",
    protocol=f"the networks take turns, {STEPS} steps a turn, the fastest of {TURNS} turns a round, one run per "
    "device, compiling apart; inference before and after folding batch norm into its neighbours",
    metric="seconds per training step, ratio of batch to none, paired by round (rounds are the replicates, not seeds)",
    expected="slower: the moments take further passes over the activations, which memory bandwidth bounds; "
    "restructuring them away made DenseNet-121 train 25.7 % faster on a processor",
    source="Jung et al. 2018, arXiv:1807.01702",
    measure=measure,
    judge=judge,
    draw=draw,
    not_about="how many steps are needed (faster-convergence), compiling, what a call costs without steps, or pauses "
    "of the machine, which the fastest turn of a round leaves out; what is learned cannot move it: the rate is 0",
)
