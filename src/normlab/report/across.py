"""Several finished studies of the same arms, one per data set, brought into one shape and compared over all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from normlab.errors import InputError, require_known
from normlab.report.records import Records, read_records
from normlab.stats.across_data_sets import AcrossDataSets, across_data_sets
from normlab.stats.divergence import chance_loss
from normlab.study.metrics import METRICS, Metric, pairs, with_counted_scores, with_watched_epochs
from normlab.study.parts import require_study
from normlab.study.rates import own_runs

if TYPE_CHECKING:
    import polars as pl

# Seconds per step pair by rounds of one machine's clock, not by seed.
KNOWN = tuple(name for name in METRICS if name != "seconds_per_step")
# What a study of arrays calls its data, whichever they are.
ARRAYS = "arrays"


@dataclass(frozen=True)
class Across:
    """Arms over several data sets.

    Attributes:
        metric: What is compared.
        baseline: The arm that all others stand against.
        data_sets: Names, in the order of the folders.
        pairs: Of each study, by seed; the first `min(pairs)` of every one are compared.
        diverged: Runs compared that diverged, by arm; they count, as in their studies.
        arms: By name, each against the baseline.
    """

    metric: Metric
    baseline: str
    data_sets: list[str]
    pairs: list[int]
    diverged: dict[str, int]
    arms: dict[str, AcrossDataSets]


def read_across(folders: Sequence[Path], metric: str | None = None) -> Across:
    """Return the arms of the studies in `folders` over all their data sets; nothing is written.

    The runs are those that answer each study's own question: at each arm's tuned rate, or at the first rate given. A
    diverged run counts as in its study. Of studies with unlike numbers of pairs, the first by seed are taken.

    Args:
        folders: Of finished studies, each on a data set of its own.
        metric: A name in `KNOWN`; default: the studies' primary metric.

    Raises:
        InputError: If there are fewer than two folders, one holds no finished study, arms or their baseline differ, two
            studies share a data set, a study lacks the metric, or has fewer than two pairs.
    """
    if len(folders) < 2:
        received = ", ".join(map(str, folders)) or "none"
        raise InputError("across needs the folders of at least two studies", received, "name another")
    if metric is not None:
        require_known("metric", metric, KNOWN)
    for folder in folders:
        require_study(folder)
    studies = [read_records(folder) for folder in folders]
    _require_same_arms(studies)
    _require_own_data(studies)
    chosen = METRICS[_metric(studies, metric)]
    runs = [_compared(records) for records in studies]
    baseline, *others = studies[0].arms
    found = {arm: [pairs(table, chosen.name, arm, baseline) for table in runs] for arm in others}
    numbers = [values.size for values, _ in found[others[0]]]
    _require_pairs(studies, numbers)
    fewest = min(numbers)
    lost = [table.filter(table["diverged"])["arm"].to_list() for table in _first(runs, fewest)]
    return Across(
        metric=chosen,
        baseline=baseline,
        data_sets=[records.study["data"]["name"] for records in studies],
        pairs=numbers,
        diverged={arm: sum(part.count(arm) for part in lost) for arm in studies[0].arms},
        arms={
            arm: across_data_sets(
                np.stack([values[:fewest] for values, _ in columns]),
                np.stack([values[:fewest] for _, values in columns]),
                higher_is_better=chosen.higher_is_better,
            )
            for arm, columns in found.items()
        },
    )


def _compared(records: Records) -> pl.DataFrame:
    """Return the runs that answer a study's question, sorted by seed, with the columns that its own comparisons use."""
    import polars as pl

    chance = chance_loss(len(records.study["data"]["classes"]))
    # Over all runs, tuning too, as in the study.
    runs = with_watched_epochs(with_counted_scores(records.runs, chance)).filter(pl.col("stage") != "tuning")
    rate = records.summary["primary"]["rate"]
    return (own_runs(runs) if rate == "tuned" else runs.filter(pl.col("rate") == rate)).sort("seed")


def _first(runs: Sequence[pl.DataFrame], fewest: int) -> list[pl.DataFrame]:
    return [table.filter(table["seed"].rank("dense") <= fewest) for table in runs]


def _metric(studies: Sequence[Records], metric: str | None) -> str:
    primary = {records.summary["primary"]["metric"] for records in studies}
    if metric is None:
        if len(primary) > 1:
            rule = "studies of classification and of regression must be compared on a metric that both have"
            raise InputError(rule, _by_study(studies, "task"), "name --metric epochs_to_target, or leave one task out")
        return str(primary.pop())
    lacking = [records for records in studies if records.task != "classification" and metric == "test_accuracy"]
    if lacking:
        received = f"{metric} and {_by_study(lacking, 'task')}"
        raise InputError("every study must have the metric", received, "leave these out, or name another --metric")
    return metric


def _by_study(studies: Sequence[Records], key: str) -> str:
    return ", ".join(f"{records.folder} ({records.summary[key]})" for records in studies)


def _arms(records: Records) -> dict[str, dict[str, Any]]:
    """Each arm as it was asked for, by name, the baseline first; options that it does not set are left out."""
    asked = {arm["name"]: arm for arm in records.study["study"]["arms"]}
    return {name: {key: value for key, value in asked[name].items() if value is not None} for name in records.arms}


def _require_same_arms(studies: Sequence[Records]) -> None:
    first, *others = studies
    for records in others:
        if _arms(records) != _arms(first) or records.arms[0] != first.arms[0]:
            received = f"{_arms_words(first)} in {first.folder} and {_arms_words(records)} in {records.folder}"
            action = "run both with the same --arms, the baseline first"
            raise InputError("the studies must have the same arms", received, action)


def _arms_words(records: Records) -> str:
    parts = []
    for name, options in _arms(records).items():
        own = ", ".join(f"{key} {value}" for key, value in options.items() if key != "name" and value != name)
        parts.append(f"{name} ({own})" if own else name)
    return ", ".join(parts)


def _require_own_data(studies: Sequence[Records]) -> None:
    """Refuse two studies of one data set: the same name or path, on whatever split, or the same inputs."""
    for index, records in enumerate(studies):
        for earlier in studies[:index]:
            if _identity(records.study) & _identity(earlier.study):
                received = f"{records.study['data']['name']} in {earlier.folder} and in {records.folder}"
                raise InputError("each study must be on a data set of its own", received, "leave one of them out")


def _identity(study: Mapping[str, Any]) -> set[str]:
    inputs = {value for name, value in study["data"]["hashes"].items() if name.endswith(".x")}
    source = str(study["study"]["data"])
    return inputs if source == ARRAYS else {*inputs, source}


def _require_pairs(studies: Sequence[Records], numbers: Sequence[int]) -> None:
    for records, number in zip(studies, numbers, strict=True):
        if number < 2:
            received = f"{number} in {records.folder}"
            raise InputError("a study must have at least two pairs", received, "run it with more --seeds")
