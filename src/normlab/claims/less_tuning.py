"""The claim that batch norm leaves fewer settings to tune: random search over four of them, in both arms alike."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from normlab.claims.claim import Claim
from normlab.claims.drawing import Drawing
from normlab.claims.final_error import chance_score
from normlab.claims.finding import Finding, decide, numbers
from normlab.claims.initial_weights import Drawn
from normlab.claims.own_best import Lost, loss_effect
from normlab.claims.settled import running_error, settled_error
from normlab.stats.effect import paired_effect

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from normlab.claims.bench import Bench
    from normlab.train.loop import RunState
    from normlab.train.population import Population

ARMS = ("none", "batch")
# Trials of one search. Each seed is a search of its own, so that seeds replicate the search and not only the training.
TRIALS = 4
# Each trial is trained twice, from two draws: one training chooses, and the other one is scored.
SECOND_TRAINING = 2_000_000
# Half of the epochs that reported runs get, and not more samples per run than this: a search is many short runs.
MOST_SAMPLES = 100_000
# One point of accuracy, averaged over the numbers of trials: the least that a practitioner would notice.
MARGIN = 0.01
# A trial within two points of the arm's best is as good as tuned.
NEAR = 0.02
# Trials at the top of all searches that show where in the box an arm does best.
BEST_SHARE = 0.1
# Drawn evenly in the logarithm, between these bounds: (learning rate, 1 - momentum, weight decay, scale of the initial
# weights). The rates are the grid's of plain SGD; momentum goes from 0 to 0.99 (Sutskever et al. 2013).
BOX = {
    "rate": (0.001, 1.0),
    "one_minus_momentum": (0.01, 1.0),
    "weight_decay": (1e-6, 1e-1),
    "init_scale": (0.125, 8.0),
}
# The best trials lie at an edge of the box if half of them lie in the outermost tenth of its logarithm.
EDGE = 0.1


def measure(bench: Bench) -> pl.DataFrame:
    """Train every trial of every seed's search twice in both arms, from the same initial values and order of samples.

    And the references: for each seed, the two settings that did best in the other seeds' searches, one in each arm.
    Both arms train both, so that an arm against itself has no advantage.

    Returns:
        One row per arm, seed, trial and training (0 or 1): arm, seed, trial, is_reference, training, the four settings,
        validation, score, running_score, diverged, nothing (the score of knowing nothing). Scores are the accuracy, 0
        where the run diverged; without classes 1 - loss, at least -1. `validation` and `score`, on test data, are with
        settled statistics, `running_score` with running ones.
    """
    searches = pl.concat([_search(seed) for seed in bench.seeds])
    searched = pl.concat([_trained(bench, arm, searches) for arm in ARMS])
    references = _references(searched)
    return pl.concat([searched, *(_trained(bench, arm, references) for arm in ARMS)])


def judge(evidence: pl.DataFrame) -> Finding:
    """Return the verdict on how far the expected best of k trials lies below the arm's own best, mean over all k."""
    curves = {arm: search_curves(*_tables(evidence, arm, trials_only=True)) for arm in ARMS}
    bests = {arm: search_curves(*_tables(evidence, arm))[:, -1] for arm in ARMS}
    lost = {arm: Lost(bests[arm] - curves[arm].mean(1), float(bests[arm].mean())) for arm in ARMS}
    effect = loss_effect([(lost["batch"], lost["none"])], nothing=float(evidence["nothing"][0]), margin=MARGIN)
    decision = decide(effect)
    near = {
        arm: (_tables(evidence, arm, trials_only=True)[1] >= own.best - NEAR).mean(axis=(1, 2))
        for arm, own in lost.items()
    }
    batch = evidence.filter(pl.col("arm") == "batch")
    lag = float(np.mean(batch["score"].to_numpy() - batch["running_score"].to_numpy()))
    answer = (
        f"Averaged over searches of one to {curves['batch'].shape[1]} random trials, what is found lies "
        f"{lost['batch'].losses.mean():.3f} below batch norm's own best ({lost['batch'].best:.3f}), and "
        f"{lost['none'].losses.mean():.3f} below the best without ({lost['none'].best:.3f}). "
        f"{near['batch'].mean():.0%} and {near['none'].mean():.0%} of the box come within {NEAR:g} of the arm's own "
        f"best. {decision.reason} The level is not judged: one trial gives a test score of "
        f"{curves['batch'][:, 0].mean():.3f} and {curves['none'][:, 0].mean():.3f}. Evaluated with running statistics, "
        f"a trial with batch norm scores {lag:.3f} lower.{_edges(evidence)}"
    )
    return Finding(
        decision.verdict,
        **numbers(effect),
        answer=answer,
        p_value=decision.p_value,
        would_change=f"A distance that is as large as without to within {MARGIN:g} (equivalence), or larger, would "
        "refute it.",
        details=_details(evidence, curves, lost, near),
    )


def draw(evidence: pl.DataFrame) -> Drawing:
    """Return how far below the own best the expected best lies, over the number of trials, with quartiles."""
    rows = []
    for arm in ARMS:
        own_best = search_curves(*_tables(evidence, arm))[:, -1:]
        below = own_best - search_curves(*_tables(evidence, arm, trials_only=True))
        low, middle, high = np.quantile(below, [0.25, 0.5, 0.75], axis=0)
        rows += [
            {"series": arm, "x": k + 1, "y": float(middle[k]), "low": float(low[k]), "high": float(high[k])}
            for k in range(middle.size)
        ]
    return Drawing(
        "lines",
        "What a random search falls short of",
        "trials",
        "own best test score - expected best of the trials",
        rows,
        "Test score of the best of k random trials, as validation data choose it, below that of the best setting known "
        "for the arm; median over the searches, band from the lower to the upper quartile. Both arms try the same "
        "settings; a run that diverged scores 0.",
    )


def expected_best(chosen_by: ArrayLike, scores: ArrayLike) -> NDArray[np.float64]:
    """Return the expected score of the best of k = 1 ... n trials drawn without replacement from n, shape (n,).

    The best of the k is that with the highest `chosen_by`. With the scores s_i in ascending order of it, sum over i of
    s_i C(i - 1, k - 1) / C(n, k): unbiased for k independent trials. Equals are chosen by chance.

    Source: Tang et al. 2020, "Showing Your Work Doesn't Always Work", arXiv:2004.13705, where both are the same.
    """
    ordered = _descending(chosen_by, scores)[::-1]
    n = ordered.size
    weights = [[math.comb(i, k - 1) / math.comb(n, k) for i in range(n)] for k in range(1, n + 1)]
    best: NDArray[np.float64] = np.array(weights) @ ordered
    return best


def search_curves(validation: NDArray[np.float64], score: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the expected score of the best of 1 ... n trials of every search, (seeds, n).

    Of (seeds, trials, 2): one training of a trial chooses it, the other one is scored, and the other way round. A
    training that was lucky so gains nothing.
    """
    both = [
        [expected_best(own[:, one], scored[:, 1 - one]) for own, scored in zip(validation, score, strict=True)]
        for one in (0, 1)
    ]
    curves: NDArray[np.float64] = np.mean(both, axis=0)
    return curves


def _descending(chosen_by: ArrayLike, scores: ArrayLike) -> NDArray[np.float64]:
    """Return the scores in descending order of `chosen_by`; where that is equal, their mean."""
    _, group, counts = np.unique(-np.asarray(chosen_by, dtype=np.float64), return_inverse=True, return_counts=True)
    means = np.bincount(group, weights=np.asarray(scores, dtype=np.float64)) / counts
    return np.repeat(means, counts)


def _search(seed: int) -> pl.DataFrame:
    """Return the trials of one search, evenly in the logarithm inside `BOX`, each of them twice."""
    from normlab import seeding

    draws = seeding.generator(seed, "claims", "less-tuning").uniform(size=(len(BOX), TRIALS))
    settings = {name: low * (high / low) ** own for (name, (low, high)), own in zip(BOX.items(), draws, strict=True)}
    trials = pl.DataFrame({"seed": [seed] * TRIALS, "trial": list(range(TRIALS)), **settings})
    return _twice(trials.with_columns(is_reference=pl.lit(False)))


def _references(searched: pl.DataFrame) -> pl.DataFrame:
    """Return for each seed the settings with the highest mean validation score in the other seeds' searches, by arm."""
    means = searched.group_by("arm", "seed", "trial", *BOX).agg(pl.col("validation").mean())
    means = means.sort("validation", "seed", "trial", descending=[True, False, False])
    found = []
    for seed in searched["seed"].unique().sort():
        for number, arm in enumerate(ARMS):
            own = means.filter(pl.col("arm") == arm)
            others = own.filter(pl.col("seed") != seed)
            best = (others if len(others) else own).head(1).select(*BOX)
            places = {"seed": pl.lit(seed, pl.Int64), "trial": pl.lit(TRIALS + number, pl.Int64)}
            found.append(best.with_columns(**places, is_reference=pl.lit(True)))
    return _twice(pl.concat(found)).select(_search(0).columns)


def _twice(trials: pl.DataFrame) -> pl.DataFrame:
    return pl.concat([trials.with_columns(training=pl.lit(training)) for training in (0, 1)])


def _trained(bench: Bench, arm: str, cells: pl.DataFrame) -> pl.DataFrame:
    """Train one run per cell, and return the cells with their scores."""
    epochs = max(1, min(bench.epochs // 2, math.ceil(MOST_SAMPLES / len(bench.dataset.train))))
    seeds = (cells["seed"] + SECOND_TRAINING * cells["training"]).to_list()
    program = bench.program(arm, optimizer="variable_sgd")
    start = _Settings(Drawn(bench.values, seeds, cells["init_scale"].to_list()), cells)
    trained = bench.train(program, seeds, cells["rate"].to_list(), epochs, start=start)
    return cells.with_columns(
        arm=pl.lit(arm),
        validation=1 - settled_error(bench, program, trained, "validation"),
        score=1 - settled_error(bench, program, trained),
        running_score=1 - running_error(bench, trained),
        diverged=trained.diverged,
        nothing=pl.lit(chance_score(bench)),
    )


def _tables(evidence: pl.DataFrame, arm: str, *, trials_only: bool = False) -> list[NDArray[np.float64]]:
    """Return validation and test scores of one arm, (seeds, trials, 2) each; with the references or without."""
    own = evidence.filter(pl.col("arm") == arm, ~pl.col("is_reference") | (not trials_only))
    own = own.sort("seed", "trial", "training")
    return [own[name].to_numpy().reshape(own["seed"].n_unique(), -1, 2) for name in ("validation", "score")]


def _edges(evidence: pl.DataFrame) -> str:
    """Return which arm's best trials lie at an edge of the box, where better ones may lie beyond, as a sentence."""
    found = []
    for arm in ARMS:
        own = evidence.filter(pl.col("arm") == arm, ~pl.col("is_reference"))
        trials = own.group_by("seed", "trial").agg(pl.col("validation", *BOX).mean())
        best = trials.sort("validation", descending=True).head(max(1, round(BEST_SHARE * len(trials))))
        for name, (low, high) in BOX.items():
            place = np.log(best[name].to_numpy() / low) / math.log(high / low)
            if max((place < EDGE).mean(), (place > 1 - EDGE).mean()) > 0.5:
                found.append(f"{arm} ({name.replace('_', ' ')})")
    return f" The best trials lie at an edge of the box, and better ones may lie beyond: {', '.join(found)}." * bool(
        found
    )


def _details(
    evidence: pl.DataFrame,
    curves: dict[str, NDArray[np.float64]],
    lost: dict[str, Lost],
    near: dict[str, NDArray[np.float64]],
) -> dict[str, Any]:
    """Return the mean curves, the own best, the share of the box near it, the levels, and the diverged runs."""
    share = paired_effect(near["batch"], near["none"], margin=0.0, higher_is_better=True)
    level = paired_effect(curves["batch"].mean(1), curves["none"].mean(1), margin=MARGIN, higher_is_better=True)
    return {
        "own_best": {arm: own.best for arm, own in lost.items()},
        "expected_best": {arm: curves[arm].mean(0).tolist() for arm in ARMS},
        "share_near_the_own_best": {arm: float(np.mean(near[arm])) for arm in ARMS},
        "share_near_the_own_best_difference": {**numbers(share), "p_value": share.p_value},
        "level_difference": numbers(level),
        "diverged": {arm: int(evidence.filter(pl.col("arm") == arm)["diverged"].sum()) for arm in ARMS},
    }


class _Settings:
    """Gives each run its momentum, weight decay and scale of initial kernels; groups of runs come in order."""

    def __init__(self, drawn: Drawn, cells: pl.DataFrame) -> None:
        self.drawn, self.left = drawn, cells

    def __call__(self, program: Population, state: RunState) -> RunState:
        from normlab.train.optimizers import with_settings

        own, self.left = self.left.head(program.capacity), self.left.tail(-program.capacity)
        own = pl.concat([own, *[own.tail(1)] * (program.capacity - len(own))])
        settings = {"momentum": 1 - own["one_minus_momentum"], "weight_decay": own["weight_decay"]}
        optimizer = with_settings(
            program.trainer.optimizer, state.optimizer, {name: values.to_list() for name, values in settings.items()}
        )
        return self.drawn(program, state)._replace(optimizer=optimizer)


CLAIM = Claim(
    id="less-tuning",
    kind="benefit",
    statement="Batch normalization leaves fewer hyper-parameters to tune.",
    protocol="random search over learning rate, momentum, weight decay and scale of the initial weights; every seed is "
    "a search of its own, whose trials both arms train alike, twice: one training chooses on validation data, the "
    "other is scored on test data; the own best is chosen among these and what did best in the other searches; "
    "statistics settled",
    metric="test accuracy at the arm's own best setting minus that of the best of k random trials, mean over k = 1 ... "
    "all, batch minus none (without classes, of 1 - test loss); beside it the share of the box within "
    f"{NEAR:g} of the own best",
    expected="a smaller distance from fewer trials, and a larger share of the box near the best with batch norm",
    source="Ioffe and Szegedy 2015, sections 1 and 3.3 (rates, initialization); the metric: Dodge et al. 2019, "
    "arXiv:1909.03004, and Tang et al. 2020, arXiv:2004.13705",
    measure=measure,
    judge=judge,
    draw=draw,
    not_about="which arm scores higher: each is set against its own best; nor the luck of single trainings: what "
    "chooses is never what is scored, so that runs that scatter more gain or lose nothing; nor how far running "
    "statistics lag behind",
)
