"""An attribution from start to finish: train all combinations, share out the difference, keep the numbers."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from normlab.attribute.factors import Factor, all_combinations, combinations, factors_of
from normlab.compare import run_study
from normlab.errors import InputError
from normlab.stats.bootstrap import FEWEST_PAIRS, Interval, paired_bootstrap
from normlab.stats.divergence import chance_loss
from normlab.stats.shapley import shapley
from normlab.store.files import write_file, writing_to
from normlab.store.seals import sealed_json
from normlab.study.design import Study
from normlab.study.metrics import COUNTED, with_counted_scores
from normlab.study.names import ATTRIBUTION
from normlab.study.progress import Progress, ignore_progress


@dataclass(frozen=True)
class Part:
    """A mean over the pairs with its 95 % interval: a factor's share, an interaction, or the whole difference.

    Where pairs are too few for an interval, `pair_values` holds the value of each.
    """

    names: tuple[str, ...]
    mean: float
    interval: Interval
    pair_values: tuple[float, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return the part for attribution.json; an infinite bound (few pairs) becomes null."""
        low, high = (bound if np.isfinite(bound) else None for bound in (self.interval.low, self.interval.high))
        pairs = list(self.pair_values)
        return {"of": list(self.names), "mean": self.mean, "ci_low": low, "ci_high": high, "pair_values": pairs}


@dataclass(frozen=True)
class Attribution:
    """What the difference between two arms is made of.

    Attributes:
        metric: `test_accuracy`, or `test_loss` for regression.
        baseline: Name of the baseline arm.
        arm: Name of the other.
        pairs: Seeds.
        factors: With what switches them.
        difference: Of arm and baseline.
        shares: By factor; their means add up to the difference.
        interactions: By pair of factors, the largest first.
        values: Mean of every combination, by its name.
    """

    metric: str
    baseline: str
    arm: str
    pairs: int
    factors: list[Factor]
    difference: Part
    shares: list[Part]
    interactions: list[Part]
    values: Mapping[str, float]

    def as_json(self) -> dict[str, Any]:
        """Return the content of attribution.json."""
        return {
            "metric": self.metric,
            "baseline": self.baseline,
            "arm": self.arm,
            "pairs": self.pairs,
            "factors": [{"name": f.name, "off": dict(f.off), "on": dict(f.on)} for f in self.factors],
            "difference": self.difference.as_json(),
            "shares": [part.as_json() for part in self.shares],
            "interactions": [part.as_json() for part in self.interactions],
            "values": dict(self.values),
        }


def attribute(
    study: Study, *, out: Path | None = None, watch: Callable[[Progress], None] = ignore_progress
) -> tuple[Attribution, Path]:
    """Train all combinations of the factors in which a study's two arms differ; return the attribution and its folder.

    Raises:
        InputError: As `factors_of`, for several rates that are neither tuned nor one, for seeds that are "auto", and as
            `run_study`.
    """
    if not study.tuned and len(study.rates) > 1:
        received = list(study.rates)
        raise InputError("an attribution needs rates that are tuned, or one rate", received, "leave one")
    if study.seeds == "auto":
        raise InputError("an attribution needs a number of seeds", "auto", "give such as --seeds 10")
    factors = factors_of(study)
    result = run_study(all_combinations(study, factors), out=out, watch=watch)
    summary, data = result.records.summary, result.records.study["data"]
    found = attribution(
        study, factors, result.runs, chance_loss(len(data["classes"])), summary["rates"].get("possible")
    )
    folder = Path(result.folder)
    with writing_to(folder):
        write_file(folder / ATTRIBUTION, sealed_json(found.as_json()))
    return found, folder


def attribution(
    study: Study,
    factors: list[Factor],
    runs: pl.DataFrame,
    chance: float,
    possible: Mapping[str, Sequence[float]] | None = None,
) -> Attribution:
    """Share out the difference from the records of all combinations; diverged runs count as `stats.divergence` says.

    Where several rates may be an arm's best, means are those at the chosen ones, and an interval reaches from the lower
    end where every arm has the rate that makes the part smallest to the upper end where it has the one that makes it
    largest.

    Args:
        study: The two arms.
        factors: In which they differ.
        runs: Records of `all_combinations`.
        chance: The loss at chance level.
        possible: By arm, the rates that may be its best, the chosen one first, where rates were tuned.
    """
    reported = with_counted_scores(runs, chance).filter(pl.col("stage") != "tuning").sort("seed")
    metric = "test_accuracy" if reported["test_accuracy"].null_count() == 0 else "test_loss"
    names = combinations(study, factors)

    def scores(name: str) -> list[np.ndarray]:
        own = reported.filter(pl.col("arm") == name)
        tables = [own] if possible is None else [own.filter(pl.col("rate") == rate) for rate in possible[name]]
        return [one[COUNTED[metric]].to_numpy() for one in tables]

    under = {chosen: scores(name) for chosen, name in names.items()}
    values = {chosen: each[0] for chosen, each in under.items()}
    every = frozenset(factor.name for factor in factors)
    first, last = names[frozenset()], names[every]

    def part(of: tuple[str, ...]) -> Part:
        """Return a share, an interaction or, of nothing, the whole difference."""
        ends = [_of(_towards(under, of, sign), every, of) for sign in (-1, 1)] if possible else []
        return _part(of, _of(values, every, of), ends)

    interactions = [part(pair) for pair in itertools.combinations(sorted(every), 2)]
    return Attribution(
        metric=metric,
        baseline=first,
        arm=last,
        pairs=len(values[every]),
        factors=factors,
        difference=part(()),
        shares=[part((factor.name,)) for factor in factors],
        interactions=sorted(interactions, key=lambda part: -abs(part.mean)),
        values={name: float(values[chosen].mean()) for chosen, name in names.items()},
    )


Values = dict[frozenset[str], np.ndarray]


def _of(values: Values, every: frozenset[str], of: tuple[str, ...]) -> np.ndarray:
    """Return what factors give, pair by pair: one its share, two their interaction, none the whole difference."""
    if not of:
        return values[every] - values[frozenset()]
    found = shapley(values)
    return found.shares[of[0]] if len(of) == 1 else found.interactions[of[0], of[1]]


def _towards(under: Mapping[frozenset[str], list[np.ndarray]], of: tuple[str, ...], sign: int) -> Values:
    """Return each combination's values at the rate that makes a part largest (sign 1) or smallest (-1).

    A combination counts positively where it holds an even number of the factors less: those of the part that are
    switched off. Of the whole difference, only the two ends count.
    """
    last = max(under, key=len)

    def weight(chosen: frozenset[str]) -> int:
        missing = len(set(of) - chosen) if of else int(chosen != last)
        return sign * (-1) ** missing

    return {
        chosen: max(each, key=lambda values: weight(chosen) * float(values.mean())) for chosen, each in under.items()
    }


def _part(names: tuple[str, ...], each: np.ndarray, ends: Sequence[np.ndarray]) -> Part:
    intervals = [paired_bootstrap(values) for values in (each, *ends)]
    low, high = min(one.low for one in intervals), max(one.high for one in intervals)
    few = tuple(each.tolist()) if each.size < FEWEST_PAIRS else ()
    return Part(names, float(each.mean()), replace(intervals[0], low=low, high=high), few)
