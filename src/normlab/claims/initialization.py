"""The claim that batch norm makes training less sensitive to the initial weights: their scale, and their scheme."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from normlab.claims.claim import Claim
from normlab.claims.conditions import decide_each
from normlab.claims.drawing import Drawing, quartiles
from normlab.claims.final_error import chance_score
from normlab.claims.finding import Finding, numbers
from normlab.claims.initial_weights import SCHEMES, Drawn
from normlab.claims.own_best import Scored, loss_effect
from normlab.claims.settled import running_error, settled_error
from normlab.stats.effect import paired_effect

if TYPE_CHECKING:
    from normlab.claims.bench import Bench
    from normlab.train.population import Population

# The mean over log2 c is the area by the trapezoidal rule. It bends most around 1, so there the scales stand closer.
EXPONENTS = (-5, -3, -1, 0, 1, 3, 5)
# An arm whose best scale is the last of these is tried beyond it, two octaves at a time, up to here.
FURTHEST = 9
STEP_BEYOND = 2
# Averaged over the scales, one point of accuracy is the least that a practitioner would notice.
MARGIN = 0.01
# A run takes half of the epochs that reported runs get, and on larger data stops after the epoch in which it has seen
# so many samples: thirteen starts are thirteen times the runs.
MOST_SAMPLES = 100_000
ARMS = ("none", "batch")


def measure(bench: Bench) -> pl.DataFrame:
    """Train every arm from weights of c times the initializer's scale, and from weights drawn by every scheme.

    At the arm's own best rate (of the network as its author draws it), and at every other one that could have been
    chosen. Where an arm does best from the smallest or largest scale, it is trained beyond that too.

    Returns:
        One row per arm, rate, start and seed: arm, rate, is_best_rate, varied (`scale` or `scheme`), setting (its
        name), exponent (log2 c; null for a scheme), is_averaged (false beyond the common scales), seed, validation,
        score, running_score, nothing (the score of knowing nothing). Scores are the accuracy, 0 where the run diverged;
        without classes 1 - loss, at least -1. `validation` and `score`, on test data, are with settled statistics,
        `running_score` with running ones.
    """
    frames = []
    epochs = max(1, min(bench.epochs // 2, math.ceil(MOST_SAMPLES / len(bench.dataset.train))))
    for arm in ARMS:
        program = bench.program(arm)
        for place, rate in enumerate(bench.possible_rates(arm, epochs=epochs)):
            starts: list[int | str] = [*EXPONENTS, *SCHEMES]
            found = _trained(bench, program, starts, rate, epochs)
            while beyond := _beyond(found):
                found = pl.concat([found, _trained(bench, program, [beyond], rate, epochs)])
            frames.append(found.with_columns(arm=pl.lit(arm), is_best_rate=pl.lit(place == 0)))
    return pl.concat(frames)


def judge(evidence: pl.DataFrame) -> Finding:
    """Return the verdict on what each arm loses against its own best start: over the scales, and over the schemes.

    Each of the two is a condition. The best is that of the other seeds' validation scores; see `own_best`.
    """
    effects, arms, levels = {}, {}, {}
    for varied in ("scale", "scheme"):
        scored = {arm: _scored(evidence, arm, varied) for arm in ARMS}
        pairs = [
            (one, other)
            for b in scored["batch"]
            for n in scored["none"]
            for one in b.possible()
            for other in n.possible()
        ]
        effects[varied] = loss_effect(pairs, nothing=float(evidence["nothing"][0]), margin=MARGIN)
        arms[varied] = {arm: _summary(evidence, arm, varied, own[0]) for arm, own in scored.items()}
        levels[varied] = paired_effect(
            scored["batch"][0].level, scored["none"][0].level, margin=MARGIN, higher_is_better=True
        )
    found = decide_each(effects)
    sentences = [
        f"Over the {varied}s, batch norm loses {own['batch']['loss']:.3f} of test score against its own best "
        f"({own['batch']['best']}) and its absence {own['none']['loss']:.3f} ({own['none']['best']}): "
        f"{found.by_condition[varied].verdict}. The level is not judged: {own['batch']['level']:.3f} and "
        f"{own['none']['level']:.3f} on average."
        for varied, own in arms.items()
    ]
    return Finding(
        found.verdict,
        **numbers(effects["scale"]),
        answer=f"{' '.join(sentences)} {_lag(evidence)}{_edges(arms['scale'])}{found.open}".strip(),
        conditions=found.conditions,
        p_value=found.p_value,
        would_change=f"A loss that is as large as without to within {MARGIN:g} (equivalence), or larger, would refute "
        "it.",
        details={
            "loss": arms,
            "loss_difference": {varied: numbers(effect) for varied, effect in effects.items()},
            "level_difference": {varied: numbers(effect) for varied, effect in levels.items()},
            "rates": {arm: _rates(evidence, arm) for arm in ARMS},
        },
    )


def draw(evidence: pl.DataFrame) -> Drawing:
    """Return the median test score over the scale at the best rate, with quartiles."""
    rows = (
        evidence.filter(pl.col("varied") == "scale", pl.col("is_best_rate"))
        .group_by("arm", "exponent")
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
        "Median over the seeds, band from the lower to the upper quartile; statistics settled. The score is the "
        "accuracy, 0 for a run that diverged; without classes 1 - loss, -1 for such a run. What is judged is how far "
        "each line falls from its own highest point.",
        log_x=True,
    )


def area_weights(exponents: Sequence[float]) -> np.ndarray:
    """Return the weights of the trapezoidal rule over these ascending exponents, divided by their width; sum 1."""
    widths = np.diff(np.asarray(exponents, dtype=float))
    if not widths.size:
        return np.ones(len(exponents))
    weights: np.ndarray = (np.append(widths, 0.0) + np.append(0.0, widths)) / (2 * widths.sum())
    return weights


def _trained(bench: Bench, program: Population, starts: Sequence[int | str], rate: float, epochs: int) -> pl.DataFrame:
    """Train every seed from every start, an exponent of two or the name of a scheme."""
    cells = [(seed, start) for start in starts for seed in bench.seeds]
    seeds, own = [seed for seed, _ in cells], [start for _, start in cells]
    factors = [1.0 if isinstance(start, str) else 2.0**start for start in own]
    schemes = [start if isinstance(start, str) else None for start in own]
    start = Drawn(bench.values, seeds, factors, schemes)
    trained = bench.train(program, seeds, [rate] * len(cells), epochs, start=start)
    exponents = [None if isinstance(start, str) else start for start in own]
    return pl.DataFrame(
        {
            "rate": rate,
            "varied": ["scale" if scheme is None else "scheme" for scheme in schemes],
            "setting": [start if isinstance(start, str) else f"2^{start}" for start in own],
            "exponent": exponents,
            "is_averaged": [exponent is None or exponent in EXPONENTS for exponent in exponents],
            "seed": seeds,
            "validation": 1 - settled_error(bench, program, trained, "validation"),
            "score": 1 - settled_error(bench, program, trained),
            "running_score": 1 - running_error(bench, trained),
            "nothing": chance_score(bench),
        },
        schema_overrides={"exponent": pl.Int64},
    )


def _beyond(found: pl.DataFrame) -> int | None:
    """Return the next exponent beyond the one that does best, if that is the smallest or largest tried; else None.

    Within a thousandth the one nearer to the initializer's own counts as best.
    """
    means = found.filter(pl.col("varied") == "scale").group_by("exponent").agg(pl.col("validation").mean())
    near = means.filter(pl.col("validation") >= pl.col("validation").max() - 1e-3)
    best = min(near["exponent"], key=abs)
    if len(means) < 2 or best not in (means["exponent"].min(), means["exponent"].max()) or abs(best) >= FURTHEST:
        return None
    return int(best + math.copysign(STEP_BEYOND, best))


def _scored(evidence: pl.DataFrame, arm: str, varied: str) -> list[Scored]:
    """Return an arm's scores at every rate, the best rate first; scales in ascending order."""
    own = evidence.filter(pl.col("arm") == arm, pl.col("varied") == varied)
    own = own.sort(["is_best_rate", "rate", "exponent", "setting", "seed"], descending=[True] + [False] * 4)
    found = []
    for _, at_rate in own.group_by("rate", maintain_order=True):
        validation, test = (
            at_rate.pivot("seed", index="setting", values=name).drop("setting").to_numpy().T
            for name in ("validation", "score")
        )
        settings = at_rate.group_by("setting", maintain_order=True).first()
        averaged = settings["is_averaged"].to_numpy()
        weights = np.zeros(len(settings))
        if varied == "scale":
            weights[averaged] = area_weights(settings["exponent"].to_numpy()[averaged])
        else:
            weights[averaged] = 1 / averaged.sum()
        found.append(Scored(validation, test, weights))
    return found


def _summary(evidence: pl.DataFrame, arm: str, varied: str, scored: Scored) -> dict[str, Any]:
    """Return what an arm loses, its mean score, and the setting that is best for most seeds, at its best rate."""
    own = evidence.filter(pl.col("arm") == arm, pl.col("varied") == varied, pl.col("is_best_rate"))
    names = own.sort("exponent", "setting", "seed")["setting"].unique(maintain_order=True)
    best = names[int(np.bincount(scored.left_out_bests()).argmax())]
    return {"loss": float(scored.lost().losses.mean()), "level": float(scored.level.mean()), "best": best}


def _rates(evidence: pl.DataFrame, arm: str) -> list[float]:
    own = evidence.filter(pl.col("arm") == arm).sort("is_best_rate", "rate", descending=[True, False])
    return own["rate"].unique(maintain_order=True).to_list()


def _lag(evidence: pl.DataFrame) -> str:
    """Return what the lag of running statistics costs with batch norm over the scales, which is not judged."""
    batch = evidence.filter(pl.col("arm") == "batch", pl.col("varied") == "scale", "is_averaged", "is_best_rate")
    cost = float(np.mean(batch["score"].to_numpy() - batch["running_score"].to_numpy()))
    return f"Evaluated with running statistics, batch norm scores {cost:.3f} lower over the scales."


def _edges(arms: dict[str, dict[str, Any]]) -> str:
    """Return which arm's own best scale is the furthest that was tried."""
    at_edge = [arm for arm, own in arms.items() if own["best"] in (f"2^{FURTHEST}", f"2^-{FURTHEST}")]
    return f" The best scale of {' and '.join(at_edge)} is the furthest that was tried." if at_edge else ""


CLAIM = Claim(
    id="initialization",
    kind="benefit",
    statement="Batch normalization makes a network less sensitive to the initial weights.",
    protocol="initial kernels scaled by c = 2^-5 ... 2^5, and drawn by each of six schemes (uniform, normal, "
    "orthogonal); each arm at its own best rate, found at the network's own initial weights, and at every rate that "
    "could have been chosen; same seeds; statistics settled",
    metric="test accuracy (without classes, 1 - test loss) at the arm's own best scale minus the mean over log2 c, "
    "batch minus none; likewise over schemes",
    expected="near-flat accuracy with batch norm over a wide range of scales, a narrow peak without; schemes of one "
    "scale differ little in either arm",
    source="Ioffe and Szegedy 2015, section 3.3: BN(aWu) = BN(Wu); schemes: Glorot and Bengio 2010, He et al. 2015, "
    "LeCun et al. 1998, Saxe et al. 2014",
    measure=measure,
    judge=judge,
    draw=draw,
    not_about="which arm scores higher: each is set against its own best, which is chosen on validation data of other "
    "seeds, so that runs that scatter more do not seem to lose more; nor how far running statistics lag behind",
)
