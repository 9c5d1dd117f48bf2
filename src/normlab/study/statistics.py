"""Running statistics separated from training: how far they have settled, and what it costs to evaluate with them.

A run of an arm that evaluates with running statistics is evaluated a second time with statistics recomputed over the
training part (`normlab.norms.precise`). The difference of the two is the price of the running ones; the difference of
the second to other arms is what was learned.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from normlab.norms.settling import LEFT_IF_SETTLED, settling_momentum, steps_until_settled
from normlab.stats.effect import paired_effect
from normlab.study.design import Study
from normlab.study.metrics import METRICS, pairs, with_counted_scores
from normlab.study.summary import Evidence, recomputed_comparisons, selections

if TYPE_CHECKING:
    from normlab.data import Dataset
    from normlab.train.blueprint import Blueprint

RECOMPUTED = ("val_loss", "val_accuracy", "test_loss", "test_accuracy")
"""Scores that are taken a second time; the column of the second is called `NAME_recomputed`."""


@dataclass(frozen=True)
class ArmStatistics:
    """The running statistics of an arm after a whole training, of the layer that has settled least.

    Attributes:
        norm: The arm's norm.
        momentum: Of the layer.
        steps: Optimizer steps of a run.
        share_of_initial_left: momentum to the power of the number of times that its statistics moved.
        suggested_momentum: A usual momentum at which at most `LEFT_IF_SETTLED` would be left; None where none is, or
            the statistics have settled.
        settling_steps: Optimizer steps after which at most `LEFT_IF_SETTLED` are left at the momentum there is.
    """

    norm: str
    momentum: float
    steps: int
    share_of_initial_left: float
    suggested_momentum: float | None
    settling_steps: int

    @property
    def has_settled(self) -> bool:
        """Whether next to nothing of the initial statistics is left."""
        return self.share_of_initial_left <= LEFT_IF_SETTLED


def arm_statistics(study: Study, dataset: Dataset, plans: Mapping[str, Blueprint]) -> dict[str, ArmStatistics]:
    """Return the running statistics of the arms that are evaluated with such, by arm.

    Left out are arms whose norm recomputes its statistics anyway, and layers that train with the statistics they have
    at the end: not trainable, called in evaluation mode, or frozen from a step on that training reaches.
    """
    num_steps = study.epochs * math.ceil(len(dataset.train) / study.batch_size)
    found = {}
    for arm in study.arms:
        norm = arm.build_norm()
        moves = [] if norm.recomputes else _moves(plans[arm.name], dataset, num_steps)
        if moves:
            momentum, calls = max(moves, key=lambda move: move[0] ** move[1])
            share = momentum ** (calls * num_steps)
            suggested = None if share <= LEFT_IF_SETTLED else settling_momentum(momentum, calls * num_steps)
            needed = math.ceil(steps_until_settled(momentum) / calls)
            found[arm.name] = ArmStatistics(norm.name, momentum, num_steps, share, suggested, needed)
    return found


def _moves(plan: Blueprint, dataset: Dataset, num_steps: int) -> list[tuple[float, int]]:
    """Return momentum and moves per step of each layer whose running statistics move until the end."""
    import jax

    from normlab.norms.running import measuring, running_statistics
    from normlab.train.devices import narrowing_integers
    from normlab.train.loop import scaled

    norms = [norm for norm in running_statistics(plan.model) if norm.moves_after(num_steps)]
    if not norms:
        return []

    def one_pass(trainable: list[Any], non_trainable: list[Any], x: jax.Array) -> Any:
        batch = scaled(x, dataset.divisor)
        return plan.model.stateless_call(trainable, non_trainable, batch, training=True)

    shapes = [
        [jax.ShapeDtypeStruct(tuple(v.shape), v.dtype) for v in variables]
        for variables in (plan.model.trainable_variables, plan.model.non_trainable_variables)
    ]
    x = dataset.train.x[:2]
    with narrowing_integers(), measuring(plan.model) as calls:
        jax.eval_shape(one_pass, *shapes, jax.ShapeDtypeStruct(x.shape, x.dtype))
    return [(norm.momentum, norm.num_calls(calls)) for norm in norms if norm.num_calls(calls)]


def settling_notes(statistics: Mapping[str, ArmStatistics]) -> list[str]:
    """Return one sentence on the arms whose running statistics will not have settled at the end, if there are any."""
    if all(one.has_settled for one in statistics.values()):
        return []
    arms = [
        f"{one.steps} steps at momentum {one.momentum:g} leave {100 * one.share_of_initial_left:.0f} % of the initial "
        f"running statistics in the arm {arm}"
        for arm, one in statistics.items()
        if not one.has_settled
    ]
    return [
        f"{'; '.join(arms)}. Scores will show that lag as well as what was learned; a second evaluation, with "
        "statistics recomputed over the training part, will tell the two apart."
    ]


def with_recomputed_scores(runs: pl.DataFrame, uninformed_loss: float) -> pl.DataFrame:
    """Return the runs with the scores of the second evaluation in place of the first, where there is one.

    Args:
        runs: With the columns of `metrics.with_outcomes`.
        uninformed_loss: The loss of a predictor that knows nothing.
    """
    second = [pl.coalesce(f"{name}_recomputed", name).alias(name) for name in RECOMPUTED]
    return with_counted_scores(runs.with_columns(second), uninformed_loss)


def compared_recomputed(
    evidence: Evidence, statistics: Mapping[str, ArmStatistics], uninformed_loss: float
) -> tuple[list[dict[str, Any]], dict[str, dict[str, Any]]]:
    """Return the comparisons with recomputed statistics, and by arm what its running ones are and cost.

    What they cost is the primary metric of the runs that answer the study's question, running minus recomputed, paired
    by seed, with the interval of `paired_effect`, and in how many pairs the running ones are worse.
    """
    if not statistics:
        return [], {}
    second = with_recomputed_scores(evidence.runs, uninformed_loss)
    baseline, *others = evidence.arms
    affected = others if baseline in statistics else [arm for arm in others if arm in statistics]
    compared = recomputed_comparisons(evidence, second, affected) if affected else []
    return compared, {arm: asdict(one) | _cost(evidence, second, arm) for arm, one in statistics.items()}


def _cost(evidence: Evidence, second: pl.DataFrame, arm: str) -> dict[str, Any]:
    metric = METRICS[evidence.primary_metric]
    (_, running), *_ = selections(evidence)[0]
    own = second.join(running.select("run"), on="run", how="semi")
    scores = [pairs(runs, metric.name, arm, arm)[0] for runs in (running, own)]
    effect = paired_effect(
        *scores,
        margin=evidence.margin if metric.margin is None else metric.margin,
        higher_is_better=metric.higher_is_better,
    )
    worse = scores[0] < scores[1] if metric.higher_is_better else scores[0] > scores[1]
    means = own.filter(pl.col("arm") == arm).select(pl.col(RECOMPUTED).mean()).to_dicts()[0]
    return {
        "metric": metric.name,
        "running": effect.value,
        "recomputed": effect.baseline_value,
        "difference": effect.difference,
        "ci_low": effect.ci_low,
        "ci_high": effect.ci_high,
        "interval": effect.interval,
        "alpha": effect.alpha,
        "pairs": effect.pairs,
        "pairs_worse": int(worse.sum()),
        **{f"{name}_recomputed_mean": value for name, value in means.items()},
    }
