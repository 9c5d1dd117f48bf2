"""An attribution from start to finish: train all combinations, share out the difference, keep the numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
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
from normlab.study.rates import own_runs


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
    found = attribution(study, factors, result.runs, chance_loss(len(result.records.study["data"]["classes"])))
    folder = Path(result.folder)
    with writing_to(folder):
        write_file(folder / ATTRIBUTION, sealed_json(found.as_json()))
    return found, folder


def attribution(study: Study, factors: list[Factor], runs: pl.DataFrame, chance: float) -> Attribution:
    """Share out the difference from the records of all combinations; diverged runs count as `stats.divergence` says.

    Args:
        study: The two arms.
        factors: In which they differ.
        runs: Records of `all_combinations`. Where rates were tuned, a seed's run is the one that its own validation
            data choose; see `own_runs`.
        chance: The loss at chance level.
    """
    fresh = with_counted_scores(runs, chance).filter(pl.col("stage") != "tuning")
    reported = own_runs(fresh) if study.tuned else fresh.sort("seed")
    metric = "test_accuracy" if reported["test_accuracy"].null_count() == 0 else "test_loss"
    names = combinations(study, factors)
    values = {
        chosen: reported.filter(pl.col("arm") == name)[COUNTED[metric]].to_numpy() for chosen, name in names.items()
    }
    found = shapley(values)
    first, last = names[frozenset()], names[frozenset(factor.name for factor in factors)]
    whole = values[frozenset(factor.name for factor in factors)] - values[frozenset()]
    interactions = [_part(pair, each) for pair, each in found.interactions.items()]
    return Attribution(
        metric=metric,
        baseline=first,
        arm=last,
        pairs=len(whole),
        factors=factors,
        difference=_part((), whole),
        shares=[_part((factor.name,), found.shares[factor.name]) for factor in factors],
        interactions=sorted(interactions, key=lambda part: -abs(part.mean)),
        values={name: float(values[chosen].mean()) for chosen, name in names.items()},
    )


def _part(names: tuple[str, ...], each: np.ndarray) -> Part:
    few = tuple(each.tolist()) if each.size < FEWEST_PAIRS else ()
    return Part(names, float(each.mean()), paired_bootstrap(each), few)
