"""The claim that batch norm leaves fewer settings to tune: random search over four of them, in both arms alike."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from normlab.claims.claim import Claim
from normlab.claims.drawing import Drawing
from normlab.claims.finding import Finding, decide, numbers
from normlab.stats.effect import paired_effect

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from normlab.claims.bench import Bench
    from normlab.train.loop import RunState
    from normlab.train.population import Population

ARMS = ("none", "batch")
# Trials of one search. Each seed is a search of its own, so that seeds replicate the search and not only the training.
TRIALS = 8
# Half of the epochs that reported runs get, and not more samples per run than this: a search is many short runs.
MOST_SAMPLES = 100_000
# One point of validation accuracy, averaged over the numbers of trials: the least that a practitioner would notice.
MARGIN = 0.01
# A trial within two points of the search's best is as good as tuned.
NEAR = 0.02
# Drawn evenly in the logarithm, between these bounds: (learning rate, 1 - momentum, weight decay, scale of the initial
# weights). The rates are the grid's of plain SGD; momentum goes from 0 to 0.99 (Sutskever et al. 2013).
BOX = {
    "rate": (0.001, 1.0),
    "one_minus_momentum": (0.01, 1.0),
    "weight_decay": (1e-6, 1e-1),
    "init_scale": (0.125, 8.0),
}


def measure(bench: Bench) -> pl.DataFrame:
    """Train every trial of every seed's search in both arms, from the same initial values and order of samples.

    Returns:
        One row per arm, seed and trial: arm, seed, trial, the four settings, score (validation accuracy; without
        classes, 1 - validation loss, at least 0; 0 where the run diverged), diverged.
    """
    samples = len(bench.dataset.train)
    epochs = max(1, min(bench.epochs // 2, math.ceil(MOST_SAMPLES / samples)))
    cells = pl.concat([_search(seed) for seed in bench.seeds])
    frames = []
    for arm in ARMS:
        program = bench.program(arm, optimizer="variable_sgd")
        seeds, rates = cells["seed"].to_list(), cells["rate"].to_list()
        trained = bench.train(program, seeds, rates, epochs, start=_Settings(cells), test=False)
        last = trained.val_accuracy[-1] if bench.dataset.task == "classification" else 1 - trained.val_loss[-1]
        score = np.where(trained.diverged, 0.0, np.maximum(np.nan_to_num(last, nan=0.0), 0.0))
        frames.append(cells.with_columns(arm=pl.lit(arm), score=score.astype(float), diverged=trained.diverged))
    return pl.concat(frames)


def judge(evidence: pl.DataFrame) -> Finding:
    """Return the verdict on the expected best score, averaged over the numbers of trials from one to all."""
    curves = {arm: _curves(evidence, arm) for arm in ARMS}
    effect = paired_effect(curves["batch"].mean(1), curves["none"].mean(1), margin=MARGIN, higher_is_better=True)
    decision = decide(effect)
    one, last = ({arm: float(curves[arm][:, k].mean()) for arm in ARMS} for k in (0, -1))
    near = {arm: _near(evidence, arm) for arm in ARMS}
    answer = (
        f"One random trial gives a validation score of {one['batch']:.3f} with batch norm and {one['none']:.3f} "
        f"without; the best of {curves['none'].shape[1]}, {last['batch']:.3f} and {last['none']:.3f}. "
        f"{np.mean(near['batch']):.0%} and {np.mean(near['none']):.0%} of the trials come within {NEAR:g} of the best. "
        f"{decision.reason}"
    )
    return Finding(
        decision.verdict,
        **numbers(effect),
        answer=answer,
        p_value=decision.p_value,
        would_change=f"A gain below {MARGIN:g} on average over the numbers of trials (equivalence), or a loss, would "
        "refute it.",
        details=_details(evidence, curves, near),
    )


def draw(evidence: pl.DataFrame) -> Drawing:
    """Return the expected best score over the number of trials, with quartiles over the searches."""
    rows = []
    for arm in ARMS:
        low, middle, high = np.quantile(_curves(evidence, arm), [0.25, 0.5, 0.75], axis=0)
        rows += [
            {"series": arm, "x": k + 1, "y": float(middle[k]), "low": float(low[k]), "high": float(high[k])}
            for k in range(middle.size)
        ]
    return Drawing(
        "lines",
        "What a random search finds",
        "trials",
        "expected best validation score",
        rows,
        "Expected best of k random trials; median over the searches, band from the lower to the upper quartile. Both "
        "arms try the same settings; a run that diverged counts as 0.",
    )


def expected_best(scores: ArrayLike) -> NDArray[np.float64]:
    """Return the expected maximum of k = 1 ... n of the n scores drawn without replacement, shape (n,).

    With the scores in ascending order, sum over i of s_i C(i - 1, k - 1) / C(n, k): unbiased for the expected
    maximum of k independent trials. (With replacement, as Dodge et al. 2019 take it, the estimate is too low.)

    Source: Tang et al. 2020, "Showing Your Work Doesn't Always Work", arXiv:2004.13705.
    """
    ordered = np.sort(np.asarray(scores, dtype=np.float64))
    n = ordered.size
    weights = [[math.comb(i, k - 1) / math.comb(n, k) for i in range(n)] for k in range(1, n + 1)]
    best: NDArray[np.float64] = np.array(weights) @ ordered
    return best


def _search(seed: int) -> pl.DataFrame:
    """Return the trials of one search, evenly in the logarithm inside `BOX`."""
    from normlab import seeding

    draws = seeding.generator(seed, "claims", "less-tuning").uniform(size=(len(BOX), TRIALS))
    settings = {name: low * (high / low) ** own for (name, (low, high)), own in zip(BOX.items(), draws, strict=True)}
    return pl.DataFrame({"seed": [seed] * TRIALS, "trial": list(range(TRIALS)), **settings})


def _curves(evidence: pl.DataFrame, arm: str) -> NDArray[np.float64]:
    """Return the expected best of 1 ... n trials for every seed, shape (seeds, n)."""
    own = evidence.filter(pl.col("arm") == arm).sort("seed", "trial")
    return np.array([expected_best(part["score"].to_numpy()) for _, part in own.group_by("seed", maintain_order=True)])


def _near(evidence: pl.DataFrame, arm: str) -> NDArray[np.float64]:
    """Return per seed the share of the arm's trials within `NEAR` of the best that either arm found."""
    best = evidence.group_by("seed").agg(pl.col("score").max().alias("best"))
    own = evidence.filter(pl.col("arm") == arm).join(best, on="seed")
    shares = own.group_by("seed").agg((pl.col("score") >= pl.col("best") - NEAR).mean().alias("share")).sort("seed")
    return shares["share"].to_numpy()


def _details(
    evidence: pl.DataFrame, curves: dict[str, NDArray[np.float64]], near: dict[str, NDArray[np.float64]]
) -> dict[str, Any]:
    """Return the mean curves, the share of the box near the best with its interval, and the diverged runs."""
    share = paired_effect(near["batch"], near["none"], margin=0.0, higher_is_better=True)
    return {
        "expected_best": {arm: curves[arm].mean(0).tolist() for arm in ARMS},
        "share_near_the_best": {arm: float(np.mean(near[arm])) for arm in ARMS},
        "share_near_the_best_difference": {**numbers(share), "p_value": share.p_value},
        # What is lost by taking the first trial instead of the best: each arm against itself.
        "best_minus_first": {arm: float((curves[arm][:, -1] - curves[arm][:, 0]).mean()) for arm in ARMS},
        "diverged": {arm: int(evidence.filter(pl.col("arm") == arm)["diverged"].sum()) for arm in ARMS},
    }


class _Settings:
    """Gives each run its momentum, weight decay and scale of initial kernels; groups of runs come in order."""

    def __init__(self, cells: pl.DataFrame) -> None:
        self.left = cells

    def __call__(self, program: Population, state: RunState) -> RunState:
        from normlab.train.optimizers import with_settings

        own, self.left = self.left.head(program.capacity), self.left.tail(-program.capacity)
        own = pl.concat([own, *[own.tail(1)] * (program.capacity - len(own))])
        settings = {"momentum": 1 - own["one_minus_momentum"], "weight_decay": own["weight_decay"]}
        optimizer = with_settings(
            program.trainer.optimizer, state.optimizer, {name: values.to_list() for name, values in settings.items()}
        )
        scales = own["init_scale"].to_numpy().astype(np.float32)
        paths = [program.plan.paths[id(v)] for v in program.plan.model.trainable_variables]
        kernels = [
            value * scales.reshape(-1, *[1] * (value.ndim - 1)) if path.endswith("kernel") else value
            for path, value in zip(paths, state.trainable, strict=True)
        ]
        return state._replace(trainable=kernels, optimizer=optimizer)


CLAIM = Claim(
    id="less-tuning",
    kind="benefit",
    statement="Batch normalization leaves fewer hyper-parameters to tune.",
    protocol="random search over learning rate, momentum, weight decay and scale of the initial weights; every seed is "
    "a search of its own, whose trials both arms train alike",
    metric="expected best validation accuracy of k random trials, mean over k = 1 ... all, batch minus none (without "
    "classes, of 1 - validation loss)",
    expected="good scores from fewer trials and from a larger share of the box with batch norm",
    source="Ioffe and Szegedy 2015, sections 1 and 3.3 (rates, initialization); the metric: Dodge et al. 2019, "
    "arXiv:1909.03004, and Tang et al. 2020, arXiv:2004.13705",
    measure=measure,
    judge=judge,
    draw=draw,
)
