"""The end of a study: its records completed with outcomes, and the summary that they amount to."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import polars as pl

from normlab.study.design import Study
from normlab.study.in_pairs import divergences, savings
from normlab.study.laboratory import Laboratory
from normlab.study.looks import Looks
from normlab.study.metrics import COUNTED, with_outcomes
from normlab.study.rates import RULE, Choice, best_rates, possible_rates
from normlab.study.reach import fewest_deciding_pairs
from normlab.study.statistics import compared_recomputed
from normlab.study.summary import Evidence, Rate, area_over_rates, by_arm, by_rate, comparisons
from normlab.study.target import set_target
from normlab.version import __version__

if TYPE_CHECKING:
    from normlab.data import Dataset


def conclude(
    study: Study,
    dataset: Dataset,
    laboratory: Laboratory,
    epochs: pl.DataFrame,
    runs: pl.DataFrame,
    chosen: Mapping[str, Choice] | None,
    looks: Looks | None = None,
) -> tuple[pl.DataFrame, dict[str, Any]]:
    """Return the runs with when each reached the target, and the study's summary.

    Args:
        study: The study.
        dataset: Its data.
        laboratory: Its programs.
        epochs: All records of epochs.
        runs: All records of runs.
        chosen: Each arm's rate where rates were tuned.
        looks: Where they decided how many pairs there are.
    """
    target = set_target(_runs_that_set_the_target(runs, chosen), dataset.task, study.reach)
    models = {arm: population.plan.model for arm, population in laboratory.populations.items()}
    runs = with_outcomes(runs, epochs, target.value, laboratory.uninformed_loss)
    arms = [arm.name for arm in study.arms]
    steps_per_epoch = math.ceil(len(dataset.train) / study.batch_size)
    main_rate: Rate = "tuned" if study.rates == "tuned" else study.rates[0]
    answers = None if looks is None else looks.answers()
    evidence = Evidence(
        epochs, runs, arms, dataset.task, study.margin, steps_per_epoch, chosen, main_rate, answers, len(dataset.test)
    )
    seeds = sorted(runs.filter(pl.col("stage") == "report")["seed"].unique())
    recomputed, statistics = compared_recomputed(evidence, laboratory.statistics, laboratory.uninformed_loss)
    summary = {
        "normlab": __version__,
        "complete": True,
        "task": dataset.task,
        "baseline": arms[0],
        "arms": arms,
        "fewest_pairs": fewest_deciding_pairs(len(arms) - 1, looks=looks is not None),
        "primary": {"metric": evidence.primary_metric, "arm": arms[1], "rate": main_rate},
        "rates": _rates(study, dataset.task, runs, chosen, seeds),
        "stopping": None if looks is None else looks.summary(),
        "target": {"metric": target.metric, "value": target.value, "rule": target.rule},
        "pairing": pairing(runs, laboratory.shared_paths),
        "comparisons": [
            *({**row, "statistics": "running"} for row in comparisons(evidence)),
            *({**row, "statistics": "recomputed"} for row in recomputed),
        ],
        "statistics": statistics,
        "divergences": divergences(evidence),
        "savings": savings(evidence),
        "area_over_rates": area_over_rates(evidence),
        "by_rate": by_rate(runs),
        "by_arm": by_arm(evidence, {arm: _sizes(model) for arm, model in models.items()}),
    }
    return runs.drop(*COUNTED.values()), summary


def pairing(runs: pl.DataFrame, shared_paths: list[str]) -> dict[str, Any]:
    """Return what the hashes say: whether all arms of every seed began with the same values and saw the same order."""
    distinct = runs.group_by("seed").agg(pl.col("initial_hash").n_unique(), pl.col("order_hash").n_unique())
    same_start, same_order = ((distinct[column] == 1).all() for column in ("initial_hash", "order_hash"))
    said = {True: "equal", False: "NOT equal"}
    return {
        "shared_parameters": shared_paths,
        "initial_values_equal": same_start,
        "orders_equal": same_order,
        "seeds": sorted(distinct["seed"].to_list()),
        "statement": f"For each of the {len(distinct)} seeds, the initial values of the {len(shared_paths)} parameters "
        f"that all arms share were {said[same_start]} by hash, and the order of samples in every epoch was "
        f"{said[same_order]}.",
    }


def _runs_that_set_the_target(runs: pl.DataFrame, chosen: Mapping[str, Choice] | None) -> pl.DataFrame:
    if chosen is None:
        return runs
    at_chosen = [(pl.col("arm") == arm) & (pl.col("rate") == choice.rate) for arm, choice in chosen.items()]
    return runs.filter((pl.col("stage") == "tuning") & pl.any_horizontal(at_chosen))


def _rates(
    study: Study, task: str, runs: pl.DataFrame, chosen: Mapping[str, Choice] | None, report_seeds: list[int]
) -> dict[str, Any]:
    if chosen is None:
        return {"mode": "fixed", "grid": study.grid, "report_seeds": report_seeds}
    tried = runs.filter(pl.col("stage") == "tuning")["rate"].unique().sort().to_list()
    return {
        "mode": "tuned",
        "grid": tried,
        "beyond": [rate for rate in tried if rate not in study.grid],
        "chosen": best_rates(chosen),
        "possible": {arm: list(choice.rates) for arm, choice in chosen.items()},
        "trained": possible_rates(chosen),
        "at_edge": {arm: choice.at_edge for arm, choice in chosen.items()},
        "rule": RULE[task],
        "tuning_seeds": study.tuning_seed_list,
        "report_seeds": report_seeds,
    }


def _sizes(model: Any) -> dict[str, int]:
    trainable = sum(math.prod(variable.shape) for variable in model.trainable_variables)
    buffers = sum(math.prod(variable.shape) for variable in model.non_trainable_variables)
    return {"num_parameters": trainable, "num_buffers": buffers, "bytes_per_run": 4 * (trainable + buffers)}
